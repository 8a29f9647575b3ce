//! The working tree as a commit: what `git add --all` and a commit would make, with objects, index and refs of our own.

use super::command::{command, git, run};
use crate::Error;
use crate::project::Commit;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tokio::fs;
use tokio::process::Command;
use uuid::Uuid;

/// A place for objects that borrows those of the user's repository.
#[derive(Debug)]
pub(crate) struct Snapshots<'a> {
    /// The working tree.
    pub(crate) source: &'a Path,
    /// Its index; there may be none.
    pub(crate) index: &'a Path,
    /// Where the user's repository has its objects.
    pub(crate) borrowed: &'a str,
    /// Objects of our own.
    pub(crate) objects: PathBuf,
    /// Where LFS objects of our own go.
    pub(crate) lfs: PathBuf,
    /// Date of the commits that are made.
    pub(crate) date: &'a str,
}

impl Snapshots<'_> {
    /// A commit on top of `head` with everything of the working tree that is not ignored; `head` itself when nothing
    /// differs. The same content gives the same commit.
    pub(crate) async fn take(&self, head: &Commit) -> Result<String, Error> {
        let index = self.objects.join(format!("index-{}", Uuid::new_v4().simple()));
        let taken = self.take_with(&index, head).await;
        match fs::remove_file(&index).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &index)(error)),
            _ => taken,
        }
    }

    async fn take_with(&self, index: &Path, head: &Commit) -> Result<String, Error> {
        match fs::copy(self.index, index).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("copy", self.index)(error));
            }
            _ => {}
        }
        let modules = self.submodules(index).await?;
        self.git(index, &["add", "--all", "--", ":/"]).await?;
        // A repository that merely lies in the working tree is no submodule: nobody could fetch it.
        for stray in self.submodules(index).await?.difference(&modules) {
            self.git(index, &["update-index", "--force-remove", "--", stray])
                .await?;
        }
        let tree = self.git(index, &["write-tree"]).await?;
        if tree == git(self.source, &["rev-parse", &format!("{}^{{tree}}", head.sha)]).await? {
            return Ok(head.sha.clone());
        }
        let message = "The working tree as it is";
        self.git(index, &["commit-tree", &tree, "-p", &head.sha, "-m", message])
            .await
    }

    /// Paths of the index that are commits of other repositories.
    async fn submodules(&self, index: &Path) -> Result<BTreeSet<String>, Error> {
        let listing = self.git(index, &["ls-files", "--stage", "-z", "--", ":/"]).await?;
        let module = |entry: &str| {
            let (facts, path) = entry.split_once('\t')?;
            facts.starts_with("160000 ").then(|| path.to_owned())
        };
        Ok(listing.split('\0').filter_map(module).collect())
    }

    async fn git(&self, index: &Path, args: &[&str]) -> Result<String, Error> {
        run(self.command(index), args, None).await
    }

    fn command(&self, index: &Path) -> Command {
        let mut command = command(self.source);
        command
            .env("GIT_INDEX_FILE", index)
            .env("GIT_OBJECT_DIRECTORY", &self.objects)
            .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", self.borrowed)
            // Filters of git-lfs would store new objects in the user's repository.
            .env("GIT_CONFIG_COUNT", "2")
            .env("GIT_CONFIG_KEY_0", "lfs.storage")
            .env("GIT_CONFIG_VALUE_0", &self.lfs)
            .env("GIT_CONFIG_KEY_1", "advice.addEmbeddedRepo")
            .env("GIT_CONFIG_VALUE_1", "false");
        for who in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{who}_NAME"), "pipglr")
                .env(format!("GIT_{who}_EMAIL"), "pipglr@localhost")
                .env(format!("GIT_{who}_DATE"), self.date);
        }
        command
    }
}
