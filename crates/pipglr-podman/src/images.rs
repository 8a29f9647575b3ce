//! Images: look up, pull, list, remove.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use http::header::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::{Client, existed, found};
use crate::error::Error;
use crate::json::{JsonLines, null_default};
use crate::request::{ApiRequest, Filters, image_segment};
use crate::spec::HealthConfig;

/// A local image.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Image {
    /// 64 hexadecimal digits without `sha256:`.
    pub id: String,
    /// Digest of the manifest.
    #[serde(default)]
    pub digest: String,
    /// Names with tags.
    #[serde(default, deserialize_with = "null_default")]
    pub repo_tags: Vec<String>,
    /// Names with digests.
    #[serde(default, deserialize_with = "null_default")]
    pub repo_digests: Vec<String>,
    /// Go's name of the operating system, e.g. `linux`.
    #[serde(default)]
    pub os: String,
    /// Go's name of the architecture, e.g. `arm64`.
    #[serde(default)]
    pub architecture: String,
    /// How containers of this image start.
    #[serde(deserialize_with = "null_default")]
    pub config: ImageConfig,
    /// The image's own health check; present where it has one.
    #[serde(default)]
    pub healthcheck: Option<HealthConfig>,
}

/// The part of an image that says how its containers start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ImageConfig {
    /// Program and first arguments; `None` where the image has none.
    pub entrypoint: Option<Vec<String>>,
    /// Default arguments, or the command where there is no entrypoint.
    pub cmd: Option<Vec<String>>,
    /// `KEY=value` entries.
    #[serde(deserialize_with = "null_default")]
    pub env: Vec<String>,
    /// `user[:group]`, empty for root.
    pub user: String,
    /// Working directory, empty for `/`.
    pub working_dir: String,
    /// Ports by `number/protocol`.
    #[serde(deserialize_with = "null_default")]
    exposed_ports: BTreeMap<String, Value>,
    /// Declared volumes by path.
    #[serde(deserialize_with = "null_default")]
    volumes: BTreeMap<String, Value>,
    /// Labels.
    #[serde(deserialize_with = "null_default")]
    pub labels: BTreeMap<String, String>,
    /// Signal that asks the main process to end, e.g. `SIGQUIT`; empty for `SIGTERM`.
    pub stop_signal: String,
}

impl ImageConfig {
    /// Declared ports, e.g. `5432/tcp`, in order of their text.
    pub fn exposed_ports(&self) -> impl Iterator<Item = &str> {
        self.exposed_ports.keys().map(String::as_str)
    }

    /// Paths the image declares as volumes.
    pub fn volumes(&self) -> impl Iterator<Item = &str> {
        self.volumes.keys().map(String::as_str)
    }
}

/// One line of the list of images.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImageSummary {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Names with tags; empty for a dangling image.
    #[serde(default, deserialize_with = "null_default")]
    pub repo_tags: Vec<String>,
    /// Names with digests.
    #[serde(default, deserialize_with = "null_default")]
    pub repo_digests: Vec<String>,
    /// Labels.
    #[serde(default, deserialize_with = "null_default")]
    pub labels: BTreeMap<String, String>,
    /// Bytes, layers shared with others counted in full.
    #[serde(default)]
    pub size: i64,
    /// Seconds since 1970.
    #[serde(default)]
    pub created: i64,
}

/// What to pull and how.
#[derive(Clone, Debug, Default)]
pub struct PullRequest {
    /// Full name; podman may refuse short ones, as it cannot ask which registry is meant.
    pub reference: String,
    /// `always` (podman's default), `missing`, `newer` or `never`.
    pub policy: Option<String>,
    /// Platform other than the host's.
    pub platform: Option<Platform>,
    /// `Some(false)` accepts HTTP and untrusted certificates; `None` leaves it to the host's registries.conf.
    pub tls_verify: Option<bool>,
    /// Credentials; `None` leaves it to the account's own auth file.
    pub auth: Option<RegistryAuth>,
}

/// Platform of an image in Go's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Platform {
    /// e.g. `linux`.
    pub os: Option<String>,
    /// e.g. `arm64`.
    pub arch: Option<String>,
    /// e.g. `v8`.
    pub variant: Option<String>,
}

impl Platform {
    /// Reads `os[/arch[/variant]]`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut parts = text
            .splitn(3, '/')
            .map(|part| (!part.is_empty()).then(|| part.to_owned()));
        Self {
            os: parts.next().flatten(),
            arch: parts.next().flatten(),
            variant: parts.next().flatten(),
        }
    }
}

/// Credentials of a registry. The password cannot be printed.
#[derive(Clone, Debug)]
pub struct RegistryAuth {
    /// User name.
    pub username: String,
    /// Password or token.
    pub password: SecretString,
    /// Registry, or registry and path prefix, the credentials are for. With `None` podman uses them for whatever
    /// registry the reference leads to.
    pub server: Option<String>,
}

const REGISTRY_AUTH: HeaderName = HeaderName::from_static("x-registry-auth");

#[derive(Serialize)]
struct Credentials<'a> {
    username: &'a str,
    password: &'a str,
}

impl RegistryAuth {
    /// Compat: padded URL-safe base64 of one `{username,password}`, or of a map from registry to such
    /// (podman `pkg/auth/auth.go`).
    fn to_header(&self) -> HeaderValue {
        let credentials = Credentials {
            username: &self.username,
            password: self.password.expose_secret(),
        };
        let json = match &self.server {
            Some(server) => serde_json::to_vec(&BTreeMap::from([(server, credentials)])),
            None => serde_json::to_vec(&credentials),
        };
        let encoded = URL_SAFE.encode(json.expect("strings are always JSON"));
        let mut value = HeaderValue::from_str(&encoded).expect("base64 is ASCII");
        value.set_sensitive(true);
        value
    }
}

impl PullRequest {
    fn to_request(&self) -> ApiRequest {
        let platform = self.platform.clone().unwrap_or_default();
        let mut request = ApiRequest::post("/images/pull")
            .query("reference", &self.reference)
            .query_if("policy", self.policy.as_deref())
            .query_if("OS", platform.os)
            .query_if("Arch", platform.arch)
            .query_if("Variant", platform.variant);
        if let Some(verify) = self.tls_verify {
            request = request.flag("tlsVerify", verify);
        }
        match &self.auth {
            Some(auth) => request.header(REGISTRY_AUTH, auth.to_header()),
            None => request,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PullReport {
    stream: String,
    error: String,
    id: String,
}

impl Client {
    /// Looks up a local image by name, ID or digest. podman also measures its size, so do not ask in a loop.
    ///
    /// # Errors
    /// Those of any call; an unknown image is `None`.
    pub async fn image(&self, name: &str) -> Result<Option<Image>, Error> {
        let request = ApiRequest::get(format!("/images/{}/json", image_segment(name)));
        found(self.fetch(&request).await)
    }

    /// Pulls an image and returns its ID. `on_progress` gets podman's progress text as it comes, a few words at a time.
    ///
    /// # Errors
    /// [`Error::Pull`] with podman's whole text, whether it came as a status or inside the stream.
    pub async fn pull(&self, pull: &PullRequest, mut on_progress: impl FnMut(&str)) -> Result<String, Error> {
        let failed = |message| Error::Pull {
            reference: pull.reference.clone(),
            message,
        };
        let mut lines = match JsonLines::open(&self.transport, pull.to_request()).await {
            Ok(lines) => lines,
            Err(Error::Api { message, .. }) => return Err(failed(message)),
            Err(Error::NotFound { what }) => return Err(failed(what)),
            Err(error) => return Err(error),
        };
        let mut id = String::new();
        while let Some(report) = lines.next::<PullReport>().await? {
            if !report.error.is_empty() {
                return Err(failed(report.error));
            }
            if !report.stream.is_empty() {
                on_progress(&report.stream);
            }
            if !report.id.is_empty() {
                id = report.id;
            }
        }
        if id.is_empty() {
            return Err(failed("the stream ended without naming an image".to_owned()));
        }
        Ok(id)
    }

    /// Lists local images.
    ///
    /// # Errors
    /// Those of any call; see [`Error`].
    pub async fn images(&self, filters: &Filters) -> Result<Vec<ImageSummary>, Error> {
        self.fetch(&ApiRequest::get("/images/json").filters(filters)).await
    }

    /// Removes an image's name, and the image with its last one. `false` when there was none.
    ///
    /// `force` also removes the containers that use it.
    ///
    /// # Errors
    /// [`Error::Conflict`] when a container uses it.
    pub async fn remove_image(&self, name: &str, force: bool) -> Result<bool, Error> {
        let request = ApiRequest::delete(format!("/images/{}", image_segment(name))).flag("force", force);
        existed(self.run(&request).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth(server: Option<&str>) -> RegistryAuth {
        RegistryAuth {
            username: "me".to_owned(),
            password: SecretString::from("s3cret?>"),
            server: server.map(str::to_owned),
        }
    }

    #[test]
    fn credentials_are_sent_but_never_shown() {
        for (server, json) in [
            (None, r#"{"username":"me","password":"s3cret?>"}"#),
            (
                Some("reg.io/group"),
                r#"{"reg.io/group":{"username":"me","password":"s3cret?>"}}"#,
            ),
        ] {
            let header = auth(server).to_header();
            assert_eq!(URL_SAFE.decode(header.as_bytes()).unwrap(), json.as_bytes());
            assert!(header.is_sensitive());
            let pull = PullRequest {
                auth: Some(auth(server)),
                ..PullRequest::default()
            };
            assert!(!format!("{pull:?}").contains("s3cret"));
        }
    }

    #[test]
    fn a_platform_is_read_from_its_text() {
        let platform = |os: &str, arch: Option<&str>, variant: Option<&str>| Platform {
            os: Some(os.to_owned()),
            arch: arch.map(str::to_owned),
            variant: variant.map(str::to_owned),
        };
        assert_eq!(Platform::parse("linux"), platform("linux", None, None));
        assert_eq!(
            Platform::parse("linux/arm/v7"),
            platform("linux", Some("arm"), Some("v7"))
        );
        assert_eq!(Platform::parse(""), Platform::default());
    }
}
