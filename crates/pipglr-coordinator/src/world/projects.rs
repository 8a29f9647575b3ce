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
        let is_whole = matches!(name.len(), 40 | 64) && is_part_of_commit(name);
        if is_whole && self.commit(&directory, reference, false).is_some() {
            return Ok(directory);
        }
        self.fetch_into(&directory, &address, name)?;
        Ok(directory)
    }

    pub(super) fn fetch_into(&self, directory: &Path, address: &str, name: &str) -> Result<(), FetchError> {
        let spec = format!("+{name}:{}", fetched_ref(name));
        let fetch = [
            "fetch",
            "--quiet",
            "--depth=1",
            "--no-tags",
            "--end-of-options",
            address,
            &spec,
        ];
        match self.ask(directory, address, &fetch) {
            Err(FetchError::NoReference) if is_part_of_commit(name) => self.fetch_all(directory, address),
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }

    /// Fetches everything: a server does not give commits by the beginning of their name, nor those no ref is at.
    fn fetch_all(&self, directory: &Path, address: &str) -> Result<(), FetchError> {
        let specs = ["+refs/heads/*:refs/all/heads/*", "+refs/tags/*:refs/all/tags/*"];
        let mut fetch = vec!["fetch", "--quiet", "--no-tags"];
        if directory.join("shallow").exists() {
            fetch.push("--unshallow");
        }
        fetch.extend(["--end-of-options", address]);
        fetch.extend(specs);
        self.ask(directory, address, &fetch).map(drop)
    }

    /// Runs a command of git that asks a server, and says what became of it.
    pub(super) fn ask(&self, directory: &Path, address: &str, arguments: &[&str]) -> Result<String, FetchError> {
        let mut all = vec!["-c", "core.sshCommand=ssh -o BatchMode=yes"];
        all.extend(arguments);
        self.timed(directory, &all)
            .map_err(|message| complaint(address, &message))
    }

    /// Runs git for at most as long as a fetch may take; its output, or its complaint.
    fn timed(&self, directory: &Path, arguments: &[&str]) -> Result<String, String> {
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
                "it is not known where {project} is: no remote of this repository names a GitLab"
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

/// Whether this can be a commit's name, or its beginning.
fn is_part_of_commit(name: &str) -> bool {
    (4..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_hexdigit())
}

/// What a failure of git means that asked a server.
fn complaint(address: &str, message: &str) -> FetchError {
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let refused = |why: String| FetchError::Refused(why);
    if has(&["couldn't find remote ref", "not our ref", "unadvertised object"]) {
        FetchError::NoReference
    } else if has(&["could not read Username", "could not read Password"]) {
        refused(format!(
            "the server asks who you are, and git has no credentials for it: `git ls-remote {address}` has to work \
             without a question, by a credential helper for example"
        ))
    } else if has(&["Authentication failed", "Permission denied"]) {
        refused(format!("{address} does not take the credentials that git has for it"))
    } else if has(&["returned error: 403", "denied"]) {
        refused(format!(
            "{address} may not be read with the credentials that git has for it"
        ))
    } else if has(&[
        "not found",
        "could not be found",
        "does not exist",
        "does not appear to be",
    ]) {
        refused(format!(
            "{address} is not there, or not for the user that git's credentials are of"
        ))
    } else {
        unavailable(format!("{address}: {}", cause(message)))
    }
}

/// The line of a complaint of git that says most.
fn cause(message: &str) -> &str {
    let lines = || message.lines().map(str::trim).filter(|line| !line.is_empty());
    // After this comes advice, before it what ssh says.
    let before = lines().take_while(|line| !line.contains("Could not read from remote repository"));
    let line = before.last().or_else(|| lines().next_back()).unwrap_or_default();
    line.trim_start_matches("fatal: ").trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::complaint;
    use pipglr_ci::FetchError;

    #[test]
    fn what_git_says_is_told_in_words_that_help() {
        let advice = "fatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\n\
                      and the repository exists.";
        for (message, expected) in [
            (
                "fatal: could not read Username for 'https://g.test': terminal prompts disabled",
                "the server asks who you are, and git has no credentials for it: `git ls-remote A` has to work without \
                 a question, by a credential helper for example",
            ),
            (
                "remote: HTTP Basic: Access denied\nfatal: Authentication failed for 'https://g.test/x.git/'",
                "A does not take the credentials that git has for it",
            ),
            (
                "fatal: unable to access 'https://g.test/x.git/': The requested URL returned error: 403",
                "A may not be read with the credentials that git has for it",
            ),
            (
                "remote: The project you were looking for could not be found or you don't have permission to view it.\n\
                 fatal: repository 'https://g.test/x.git/' not found",
                "A is not there, or not for the user that git's credentials are of",
            ),
            (
                &format!("git@g.test: Permission denied (publickey).\n{advice}"),
                "A does not take the credentials that git has for it",
            ),
        ] {
            assert_eq!(complaint("A", message), FetchError::Refused(expected.to_owned()));
        }
        for (message, expected) in [
            (
                "fatal: unable to access 'http://h:40345/x.git/': Failed to connect to h port 40345",
                "A: unable to access 'http://h:40345/x.git/': Failed to connect to h port 40345",
            ),
            (
                &format!("Host key verification failed.\n{advice}"),
                "A: Host key verification failed",
            ),
        ] {
            assert_eq!(complaint("A", message), FetchError::Unavailable(expected.to_owned()));
        }
        let missing = "fatal: couldn't find remote ref nope";
        assert_eq!(complaint("A", missing), FetchError::NoReference);
    }
}
