//! Files of other projects: of a directory that stands for one, or fetched by git with the user's own credentials.

use super::{Repository, unavailable};
use pipglr_ci::{FetchError, Origin};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Compat: GitLab gives all includes of a pipeline this long.
const FETCH_TIME: Duration = Duration::from_secs(30);

impl Repository {
    pub(super) fn find_project(&self, project: &str, reference: Option<&str>) -> Result<Origin, FetchError> {
        let (directory, is_here) = match self.directory(project) {
            Some(directory) => (directory, true),
            None => (self.fetch(project, reference)?, false),
        };
        let sha = self
            .commit(&directory, reference, is_here)
            .ok_or(FetchError::NoReference)?;
        self.directories.borrow_mut().insert(project.to_owned(), directory);
        Ok(Origin::Other {
            project: project.to_owned(),
            sha,
        })
    }

    /// A directory that stands for the project: one that was named, or the user's own repository.
    pub(super) fn directory(&self, project: &str) -> Option<PathBuf> {
        let named = self.outlook.sources.projects.get(project).cloned();
        let own = (project == self.outlook.project.path).then(|| self.outlook.project.repo.clone());
        named.or(own)
    }

    /// The commit of a reference in a repository that is here, or was fetched for this reference.
    fn commit(&self, directory: &Path, reference: Option<&str>, is_here: bool) -> Option<String> {
        let name = reference.unwrap_or("HEAD");
        let own_default = format!("refs/heads/{}", self.outlook.project.default_branch);
        let candidates = match (is_here, reference) {
            (false, _) => vec![fetched_ref(name), name.to_owned()],
            // Of the user's own repository it is not the branch that is checked out, but the project's default one.
            (true, None) if *directory == *self.outlook.project.repo => vec![own_default, "HEAD".to_owned()],
            (true, _) => vec![name.to_owned(), format!("refs/remotes/origin/{name}")],
        };
        candidates.iter().find_map(|candidate| {
            let peeled = format!("{candidate}^{{commit}}");
            self.git(
                directory,
                &["rev-parse", "--verify", "--quiet", "--end-of-options", &peeled],
            )
        })
    }

    /// Fetches one commit of a project into a repository of its own. Without a network what was fetched before counts.
    fn fetch(&self, project: &str, reference: Option<&str>) -> Result<PathBuf, FetchError> {
        let address = self.address(project)?;
        let directory = self.cached_repository(&address)?;
        let name = reference.unwrap_or("HEAD");
        if self.outlook.sources.offline {
            return match self.commit(&directory, reference, false) {
                Some(_) => Ok(directory),
                None => Err(unavailable(format!(
                    "{project} was not fetched before, and the network is switched off"
                ))),
            };
        }
        let is_commit = matches!(name.len(), 40 | 64) && name.bytes().all(|b| b.is_ascii_hexdigit());
        if is_commit && self.commit(&directory, reference, false).is_some() {
            return Ok(directory);
        }
        self.fetch_into(&directory, &address, name)?;
        Ok(directory)
    }

    pub(super) fn fetch_into(&self, directory: &Path, address: &str, name: &str) -> Result<(), FetchError> {
        let spec = format!("+{name}:{}", fetched_ref(name));
        let arguments = [
            "-c",
            "core.sshCommand=ssh -o BatchMode=yes",
            "fetch",
            "--quiet",
            "--depth=1",
            "--no-tags",
            "--end-of-options",
            address,
            &spec,
        ];
        match self.timed(directory, &arguments) {
            Ok(_) => Ok(()),
            Err(message) if message.contains("couldn't find remote ref") || message.contains("not our ref") => {
                Err(FetchError::NoReference)
            }
            Err(message) if refused(&message) => Err(FetchError::NoProject),
            Err(message) => Err(unavailable(last_line(&message))),
        }
    }

    /// Runs git for at most as long as a fetch may take; its output, or its complaint.
    pub(super) fn timed(&self, directory: &Path, arguments: &[&str]) -> Result<String, String> {
        let running = crate::git::git(directory, arguments);
        let ended = self
            .outlook
            .runtime
            .block_on(async { tokio::time::timeout(FETCH_TIME, running).await });
        match ended {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(crate::Error::Git { message, .. })) => Err(message),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} seconds", FETCH_TIME.as_secs())),
        }
    }

    /// Where git fetches a project of the same instance from, the way the user's own remote does it.
    fn address(&self, project: &str) -> Result<String, FetchError> {
        if let Some((host, port)) = &self.outlook.project.ssh {
            return Ok(format!("ssh://git@{host}:{port}/{project}.git"));
        }
        match &self.outlook.project.server {
            Some(server) => Ok(format!("{}/{project}.git", server.base)),
            None => Err(unavailable(format!(
                "it is not known where {project} is: no remote names a GitLab, and no directory stands for it"
            ))),
        }
    }

    pub(super) fn cached_repository(&self, address: &str) -> Result<PathBuf, FetchError> {
        let name = super::name_of(address);
        let directory = self.outlook.cache.join("projects").join(format!("{name}.git"));
        if directory.join("HEAD").exists() {
            return Ok(directory);
        }
        std::fs::create_dir_all(&directory).map_err(|e| unavailable(format!("{}: {e}", directory.display())))?;
        match self.git(&directory, &["init", "--quiet", "--bare", "--template=", "."]) {
            Some(_) => Ok(directory),
            None => Err(unavailable("git made no repository for what is fetched")),
        }
    }
}

/// The ref under which a fetched one is kept.
fn fetched_ref(name: &str) -> String {
    format!("refs/pipglr/{name}")
}

/// Whether the server said that there is no such project, or none for us.
fn refused(message: &str) -> bool {
    [
        "not found",
        "denied",
        "could not read Username",
        "Authentication failed",
        "does not exist",
        "403",
        "404",
    ]
    .iter()
    .any(|word| message.contains(word))
}

fn last_line(message: &str) -> String {
    let line = message.lines().rfind(|line| !line.trim().is_empty());
    line.unwrap_or_default().trim_end_matches('.').to_owned()
}
