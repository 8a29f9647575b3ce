//! Components: templates of a project at a version.

use super::{Repository, unavailable};
use pipglr_ci::{Component, FetchError, Fetched, Origin, World as _};
use std::path::Path;

/// The newest release.
const LATEST: &str = "~latest";

impl Repository {
    /// Compat: GitLab lib/gitlab/ci/components/instance_path.rb.
    pub(super) fn find_component(&self, address: &str) -> Result<Component, FetchError> {
        let (path, reference) = address.split_once('@').ok_or(FetchError::NoReference)?;
        let (host, rest) = path.split_once('/').ok_or(FetchError::NoProject)?;
        let (project, name) = rest.rsplit_once('/').ok_or(FetchError::NoProject)?;
        let (directory, address) = self.component_repository(host, project)?;
        let version = self.version(&directory, address.as_deref(), reference)?;
        if let Some(address) = &address
            && !self.outlook.sources.offline
        {
            self.fetch_into(&directory, address, &version)?;
        }
        let candidates = [
            format!("refs/pipglr/{version}"),
            version.clone(),
            format!("refs/remotes/origin/{version}"),
        ];
        let sha = candidates.iter().find_map(|candidate| {
            let peeled = format!("{candidate}^{{commit}}");
            self.git(
                &directory,
                &["rev-parse", "--verify", "--quiet", "--end-of-options", &peeled],
            )
        });
        let sha = sha.ok_or(FetchError::NoReference)?;
        let key = format!("{host}/{project}");
        self.directories.borrow_mut().insert(key.clone(), directory);
        let origin = Origin::Other {
            project: key,
            sha: sha.clone(),
        };
        let files = [
            format!("templates/{name}.yml"),
            format!("templates/{name}/template.yml"),
        ];
        let text = files
            .iter()
            .map(|file| self.local(&origin, file))
            .find(|read| *read != Err(FetchError::Missing))
            .unwrap_or(Err(FetchError::Missing))?;
        Ok(Component {
            file: Fetched { text, origin },
            name: name.to_owned(),
            sha,
            version,
            reference: reference.to_owned(),
        })
    }

    /// Where the component's project is: a directory that stands for it, or a repository and the address it is of.
    fn component_repository(
        &self,
        host: &str,
        project: &str,
    ) -> Result<(std::path::PathBuf, Option<String>), FetchError> {
        let server = self.outlook.project.server.as_ref();
        let is_own_server = server.is_none_or(|server| server.fqdn == host || server.host == host);
        let named = self.outlook.sources.projects.get(&format!("{host}/{project}")).cloned();
        if let Some(directory) = named.or_else(|| self.directory(project).filter(|_| is_own_server)) {
            return Ok((directory, None));
        }
        let protocol = server
            .filter(|server| server.fqdn == host)
            .map_or("https", |s| s.protocol.as_str());
        let address = match &self.outlook.project.ssh {
            Some((name, port)) if name == host => format!("ssh://git@{name}:{port}/{project}.git"),
            _ => format!("{protocol}://{host}/{project}.git"),
        };
        Ok((self.cached_repository(&address)?, Some(address)))
    }

    /// The tag, branch or commit that a version stands for.
    fn version(&self, directory: &Path, address: Option<&str>, reference: &str) -> Result<String, FetchError> {
        let Some(wanted) = Wanted::parse(reference) else {
            return Ok(reference.to_owned());
        };
        let listing = match address {
            Some(_) if self.outlook.sources.offline => self
                .git(
                    directory,
                    &["for-each-ref", "--format=refs/tags/%(refname:lstrip=2)", "refs/pipglr"],
                )
                .unwrap_or_default(),
            Some(address) => self.ask(
                directory,
                address,
                &["ls-remote", "--tags", "--refs", "--end-of-options", address],
            )?,
            None => self
                .git(directory, &["for-each-ref", "--format=%(refname)", "refs/tags"])
                .ok_or_else(|| unavailable("git cannot list the tags"))?,
        };
        let tags = listing
            .lines()
            .filter_map(|line| line.rsplit_once("refs/tags/").map(|(_, tag)| tag));
        match wanted.highest(tags) {
            Some(tag) => Ok(tag),
            // Compat: what fits no release may be the name of a branch or a tag.
            None if reference != LATEST => Ok(reference.to_owned()),
            None => Err(FetchError::NoReference),
        }
    }
}

/// A version that leaves something open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    major: Option<u64>,
    minor: Option<u64>,
}

impl Wanted {
    /// `~latest`, `1` or `1.2`.
    fn parse(reference: &str) -> Option<Self> {
        if reference == LATEST {
            return Some(Self {
                major: None,
                minor: None,
            });
        }
        let (major, minor) = match reference.split_once('.') {
            Some((major, minor)) => (major, Some(minor.parse().ok()?)),
            None => (reference, None),
        };
        Some(Self {
            major: Some(major.parse().ok()?),
            minor,
        })
    }

    /// The highest released version that fits.
    fn highest<'t>(self, tags: impl Iterator<Item = &'t str>) -> Option<String> {
        let fits = |(major, minor, _): &(u64, u64, u64)| {
            self.major.is_none_or(|m| m == *major) && self.minor.is_none_or(|m| m == *minor)
        };
        let versions = tags.filter_map(|tag| Some((released(tag)?, tag)));
        let highest = versions
            .filter(|(version, _)| fits(version))
            .max_by_key(|(version, _)| *version);
        highest.map(|(_, tag)| tag.to_owned())
    }
}

/// `1.2.3` or `v1.2.3`; versions before a release do not count.
fn released(tag: &str) -> Option<(u64, u64, u64)> {
    let mut parts = tag.strip_prefix('v').unwrap_or(tag).splitn(3, '.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::Wanted;

    #[test]
    fn open_versions_are_the_highest_release_that_fits() {
        let tags = ["1.0.0", "1.2.0", "1.10.1", "v2.0.0", "2.1.0-rc1", "nightly"];
        for (reference, expected) in [
            ("~latest", Some("v2.0.0")),
            ("1", Some("1.10.1")),
            ("1.2", Some("1.2.0")),
            ("2.1", None),
            ("3", None),
        ] {
            let wanted = Wanted::parse(reference).unwrap();
            assert_eq!(wanted.highest(tags.into_iter()).as_deref(), expected, "{reference}");
        }
        for reference in ["1.2.0", "main", "0123abc", "nightly"] {
            assert_eq!(Wanted::parse(reference), None, "{reference}");
        }
    }
}
