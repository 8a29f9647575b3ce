//! Credentials of image registries: where they come from, and which fit an image. Pure.
//!
//! Compat: gitlab-runner helpers/docker/auth/auth.go. Credential helpers are never executed: a job may write
//! `DOCKER_AUTH_CONFIG`, and would have the runner execute what it names.

use super::AcceptedJob;
use super::allowed::without_tag;
use super::image::RegistryCredentials;
use crate::job::variables::Variables;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pipglr_protocol::Secret;
use std::collections::BTreeMap;

/// A docker `config.json`, and where it was found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RegistryAuth {
    /// Named in the job's log.
    pub origin: String,
    pub content: Secret,
}

/// Credentials by registry, or registry and path; the first definition wins.
#[derive(Debug, Default)]
struct Known(BTreeMap<String, RegistryCredentials>);

/// The credentials for `reference`: of `DOCKER_AUTH_CONFIG`, the operator's files, the payload, in this order.
pub(super) fn credentials(
    job: &AcceptedJob,
    variables: &Variables,
    reference: &str,
    warnings: &mut Vec<String>,
) -> Option<RegistryCredentials> {
    let of_job = variables.value("DOCKER_AUTH_CONFIG").map(|content| RegistryAuth {
        origin: "$DOCKER_AUTH_CONFIG".to_owned(),
        content,
    });
    let mut known = Known::default();
    for source in of_job.iter().chain(&job.registry_auth) {
        if let Err(why) = known.add(source, warnings) {
            warnings.push(format!("credentials from {} are not used: {why}", source.origin));
        }
    }
    for credential in job.payload.credentials.iter().filter(|c| c.kind == "registry") {
        let origin = "job payload (GitLab Registry)".to_owned();
        known.insert(
            &credential.url,
            &credential.username,
            credential.password.clone(),
            origin,
        );
    }
    known.find(reference)
}

#[derive(serde::Deserialize)]
struct ConfigFile {
    #[serde(default)]
    auths: Option<BTreeMap<String, Entry>>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
    #[serde(default, rename = "credHelpers")]
    helpers: Option<BTreeMap<String, String>>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Entry {
    auth: Secret,
    username: String,
    password: Secret,
}

impl Known {
    fn add(&mut self, source: &RegistryAuth, warnings: &mut Vec<String>) -> Result<(), String> {
        if source.content.expose().trim().is_empty() {
            return Ok(());
        }
        // The parser's own words could quote what is secret.
        let unreadable = |_| "it is no docker config.json".to_owned();
        let file: ConfigFile = serde_json::from_str(source.content.expose()).map_err(unreadable)?;
        let helpers = file.helpers.unwrap_or_default();
        for name in file
            .store
            .iter()
            .chain(helpers.values())
            .filter(|name| !name.is_empty())
        {
            warnings.push(format!(
                "credential helper {name:?} of {} is not executed; name the credentials themselves in `auths`",
                source.origin
            ));
        }
        // `.dockercfg` has no `auths` around its entries.
        let legacy = || serde_json::from_str::<BTreeMap<String, Entry>>(source.content.expose()).unwrap_or_default();
        for (registry, entry) in file.auths.unwrap_or_else(legacy) {
            if let Some((username, password)) = entry.credentials() {
                self.insert(&registry, &username, password, source.origin.clone());
            }
        }
        Ok(())
    }

    fn insert(&mut self, registry: &str, username: &str, password: Secret, origin: String) {
        self.0.entry(registry_path(registry)).or_insert(RegistryCredentials {
            username: username.to_owned(),
            password,
            origin,
        });
    }

    /// The longest path that `reference` is below of.
    fn find(&self, reference: &str) -> Option<RegistryCredentials> {
        let name = without_tag(reference);
        let (host, path) = name.split_once('/')?;
        let mut wanted = format!("{}/{path}", host.to_lowercase());
        loop {
            if let Some(found) = self.0.get(&wanted) {
                return Some(found.clone());
            }
            wanted.truncate(wanted.rfind('/')?);
        }
    }
}

impl Entry {
    fn credentials(&self) -> Option<(String, Secret)> {
        if self.auth.is_empty() {
            return (!self.username.is_empty()).then(|| (self.username.clone(), self.password.clone()));
        }
        let decoded = STANDARD.decode(self.auth.expose().trim()).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (username, password) = text.split_once(':')?;
        Some((username.to_owned(), Secret::new(password.trim_end_matches('\0'))))
    }
}

/// A registry as a path to compare: URLs are cut to their host, Docker Hub has one name.
fn registry_path(registry: &str) -> String {
    let url = ["https://", "http://"]
        .iter()
        .find_map(|scheme| registry.strip_prefix(scheme));
    let path = match url {
        Some(rest) => rest.split('/').next().unwrap_or_default(),
        None => registry.trim_end_matches('/'),
    };
    let (host, rest) = match path.find('/') {
        Some(at) => path.split_at(at),
        None => (path, ""),
    };
    match host.to_lowercase().as_str() {
        "index.docker.io" | "registry-1.docker.io" => format!("docker.io{rest}"),
        host => format!("{host}{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Known, RegistryAuth, registry_path};
    use pipglr_protocol::Secret;

    fn known(files: &[&str]) -> (Known, Vec<String>) {
        let (mut known, mut warnings) = (Known::default(), Vec::new());
        for (index, content) in files.iter().enumerate() {
            let source = RegistryAuth {
                origin: format!("file {index}"),
                content: Secret::new(*content),
            };
            warnings.extend(known.add(&source, &mut Vec::new()).err());
            known.add(&source, &mut warnings).ok();
        }
        (known, warnings)
    }

    #[test]
    fn the_longest_path_and_the_first_source_win() {
        // user:secret, hub:pass
        let first = r#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "aHViOnBhc3M="},
            "reg.example": {"username": "whole", "password": "w"},
            "reg.example/group/sub": {"auth": "dXNlcjpzZWNyZXQ="}
        }}"#;
        let second = r#"{"auths": {"reg.example": {"username": "late", "password": "l"},
            "REG2.example:5000": {"username": "upper", "password": "u:u"}}}"#;
        let legacy = r#"{"legacy.example": {"username": "old", "password": "o"}}"#;
        let (known, warnings) = known(&[first, second, legacy]);
        assert_eq!(warnings, Vec::<String>::new());
        for (name, reference, expected) in [
            (
                "Docker Hub",
                "docker.io/library/alpine:3",
                Some(("hub", "pass", "file 0")),
            ),
            ("the host", "reg.example/other:1", Some(("whole", "w", "file 0"))),
            (
                "a longer path",
                "reg.example/group/sub/image:1",
                Some(("user", "secret", "file 0")),
            ),
            (
                "the path itself",
                "reg.example/group/sub:1",
                Some(("user", "secret", "file 0")),
            ),
            (
                "part of a name",
                "reg.example/group/submarine:1",
                Some(("whole", "w", "file 0")),
            ),
            (
                "with a port",
                "reg2.example:5000/x@sha256:ab",
                Some(("upper", "u:u", "file 1")),
            ),
            ("without its port", "reg2.example/x:1", None),
            ("an old file", "legacy.example/x:1", Some(("old", "o", "file 2"))),
            ("a host that only begins alike", "reg.example.evil/x:1", None),
        ] {
            let found = known.find(reference);
            let got = found
                .as_ref()
                .map(|c| (c.username.as_str(), c.password.expose(), c.origin.as_str()));
            assert_eq!(got, expected, "{name}");
        }
    }

    #[test]
    fn helpers_are_named_and_not_executed() {
        let (known, warnings) =
            known(&[r#"{"credsStore": "evil", "credHelpers": {"a.example": "../x"}, "auths": {}}"#]);
        assert!(known.find("a.example/x:1").is_none());
        let text = |name: &str| {
            format!("credential helper {name:?} of file 0 is not executed; name the credentials themselves in `auths`")
        };
        assert_eq!(warnings, [text("evil"), text("../x")]);
    }

    #[test]
    fn an_unreadable_file_is_told_without_its_content() {
        let (_, warnings) = known(&["{\"auths\": {\"a\": {\"password\": s3cret", "", "3"]);
        assert_eq!(warnings, ["it is no docker config.json", "it is no docker config.json"]);
    }

    #[test]
    fn registries_have_one_name() {
        for (registry, path) in [
            ("https://index.docker.io/v1/", "docker.io"),
            ("index.docker.io", "docker.io"),
            ("http://Reg.example:5000/v2/", "reg.example:5000"),
            ("reg.example/Group/", "reg.example/Group"),
        ] {
            assert_eq!(registry_path(registry), path);
        }
    }
}
