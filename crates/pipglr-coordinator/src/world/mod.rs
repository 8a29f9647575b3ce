//! What an evaluation sees outside the configuration: files of the commit that is served, other projects, the network.
//!
//! Everything here blocks, because the evaluator asks and waits; it runs on a thread that may. What is fetched stays in
//! the data directory, so that it is there again without a network.

mod component;
mod network;
mod objects;
mod projects;
#[cfg(test)]
mod tests;

use crate::options::Sources;
use crate::project::Project;
use objects::Objects;
use pipglr_ci::{Component, FetchError, Origin, World};
use sha2::{Digest as _, Sha256};
use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::rc::Rc;
use tokio::runtime::Handle;

/// What one evaluation needs to know; made on an async thread, used on a blocking one.
#[derive(Debug)]
pub(crate) struct Outlook {
    /// The bare repository that has the commit, and the user's, which has the branches.
    pub(crate) mirror: PathBuf,
    pub(crate) project: Project,
    /// The commit whose files are seen.
    pub(crate) checkout: String,
    /// What `changes` is compared to by itself.
    pub(crate) changes_since: Option<String>,
    /// Files that are where the repository has none.
    pub(crate) overlay: BTreeMap<String, String>,
    pub(crate) sources: Sources,
    /// For what is fetched.
    pub(crate) cache: PathBuf,
    pub(crate) runtime: Handle,
}

/// What was found of projects at references, or why not.
type Resolved = HashMap<(String, Option<String>), Result<Origin, FetchError>>;

/// The world of one evaluation.
#[derive(Debug)]
pub(crate) struct Repository {
    outlook: Outlook,
    /// Made with the first download.
    client: OnceCell<reqwest::Client>,
    /// Repositories of other projects, found or fetched.
    directories: RefCell<HashMap<String, PathBuf>>,
    objects: RefCell<HashMap<PathBuf, Objects>>,
    paths: RefCell<HashMap<Origin, Rc<[String]>>>,
    resolved: RefCell<Resolved>,
}

impl Repository {
    pub(crate) fn new(outlook: Outlook) -> Self {
        Self {
            outlook,
            client: OnceCell::new(),
            directories: RefCell::default(),
            objects: RefCell::default(),
            paths: RefCell::default(),
            resolved: RefCell::default(),
        }
    }

    /// Repository and commit of a project's files.
    fn place(&self, origin: &Origin) -> Result<(PathBuf, String), FetchError> {
        match origin {
            Origin::Project => Ok((self.outlook.mirror.clone(), self.outlook.checkout.clone())),
            Origin::Other { project, sha } => {
                let directories = self.directories.borrow();
                let directory = directories.get(project).ok_or(FetchError::NoProject)?;
                Ok((directory.clone(), sha.clone()))
            }
            Origin::Nowhere => Err(FetchError::Missing),
        }
    }

    /// Runs git; its output without the line end, or `None` if it failed.
    fn git(&self, directory: &std::path::Path, args: &[&str]) -> Option<String> {
        self.outlook.runtime.block_on(crate::git::git(directory, args)).ok()
    }

    fn read(&self, directory: PathBuf, sha: &str, path: &str) -> Result<String, FetchError> {
        let mut all = self.objects.borrow_mut();
        let objects = match all.entry(directory) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let objects = Objects::open(entry.key()).map_err(|e| unavailable(format!("git: {e}")))?;
                entry.insert(objects)
            }
        };
        let bytes = objects
            .blob(sha, path)
            .map_err(|e| unavailable(format!("git: {e}")))?
            .ok_or(FetchError::Missing)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// What is kept of an address is in a file of this name.
fn name_of(address: &str) -> String {
    let digest = Sha256::digest(address.as_bytes());
    digest.iter().take(16).fold(String::new(), |mut name, byte| {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
        name
    })
}

fn unavailable(why: impl Into<String>) -> FetchError {
    FetchError::Unavailable(why.into())
}

impl World for Repository {
    fn local(&self, origin: &Origin, path: &str) -> Result<String, FetchError> {
        if *origin == Origin::Project
            && let Some(text) = self.outlook.overlay.get(path)
        {
            return Ok(text.clone());
        }
        let (directory, sha) = self.place(origin)?;
        self.read(directory, &sha, path)
    }

    fn paths(&self, origin: &Origin) -> Result<Rc<[String]>, FetchError> {
        if let Some(paths) = self.paths.borrow().get(origin) {
            return Ok(Rc::clone(paths));
        }
        let (directory, sha) = self.place(origin)?;
        let arguments = ["ls-tree", "-r", "-z", "--name-only", "--full-tree", &sha];
        let listing = self.git(&directory, &arguments).ok_or(FetchError::NoReference)?;
        let mut paths: Vec<String> = listing
            .split('\0')
            .filter(|p| !p.is_empty())
            .map(str::to_owned)
            .collect();
        paths.sort();
        let paths: Rc<[String]> = paths.into();
        self.paths.borrow_mut().insert(origin.clone(), Rc::clone(&paths));
        Ok(paths)
    }

    fn project(&self, project: &str, reference: Option<&str>) -> Result<Origin, FetchError> {
        let key = (project.to_owned(), reference.map(str::to_owned));
        if let Some(known) = self.resolved.borrow().get(&key) {
            return known.clone();
        }
        let found = self.find_project(project, reference);
        self.resolved.borrow_mut().insert(key, found.clone());
        found
    }

    fn remote(&self, url: &str) -> Result<String, FetchError> {
        self.download(url)
    }

    fn template(&self, name: &str) -> Result<String, FetchError> {
        self.find_template(name)
    }

    fn component(&self, address: &str) -> Result<Component, FetchError> {
        self.find_component(address)
    }

    fn changed_paths(&self, compare_to: Option<&str>) -> Result<Option<Rc<[String]>>, FetchError> {
        let base = match compare_to {
            Some(name) => self.compared_commit(name)?,
            None => match &self.outlook.changes_since {
                Some(base) => base.clone(),
                None => return Ok(None),
            },
        };
        let arguments = [
            "diff-tree",
            "-r",
            "-z",
            "--name-only",
            "--no-renames",
            &base,
            &self.outlook.checkout,
        ];
        let listing = self
            .git(&self.outlook.mirror, &arguments)
            .ok_or(FetchError::NoReference)?;
        Ok(Some(
            listing
                .split('\0')
                .filter(|p| !p.is_empty())
                .map(str::to_owned)
                .collect(),
        ))
    }
}

impl Repository {
    /// Where the pipeline's commit and the named one part.
    ///
    /// Compat: GitLab lib/gitlab/ci/build/rules/rule/clause/changes.rb: a comparison of merge requests, `base...head`.
    fn compared_commit(&self, name: &str) -> Result<String, FetchError> {
        let repo = &self.outlook.project.repo;
        let candidates = [name.to_owned(), format!("refs/remotes/origin/{name}")];
        let commit = candidates.iter().find_map(|candidate| {
            let peeled = format!("{candidate}^{{commit}}");
            self.git(repo, &["rev-parse", "--verify", "--quiet", "--end-of-options", &peeled])
        });
        let commit = commit.ok_or(FetchError::NoReference)?;
        // Commits that have nothing in common are compared as they are.
        let base = self.git(&self.outlook.mirror, &["merge-base", &commit, &self.outlook.checkout]);
        Ok(base.unwrap_or(commit))
    }
}
