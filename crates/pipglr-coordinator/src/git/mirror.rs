//! The bare repository that jobs fetch from. It borrows the objects of the user's repository and has refs of its own,
//! so that a pipeline's ref never appears in the user's repository.

use super::command::{git, git_with_input};
use super::snapshot::Snapshots;
use crate::Error;
use crate::pipeline::PipelineId;
use crate::project::{Commit, Project, RefKind, Reference};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tokio::fs;
use tokio::sync::Mutex;

/// The served repository.
#[derive(Debug)]
pub(crate) struct Mirror {
    path: PathBuf,
    source: PathBuf,
    /// One change of refs at a time: git refuses a second.
    refs: Mutex<()>,
}

impl Mirror {
    /// Makes the mirror anew; it holds nothing worth keeping between two runs.
    pub(crate) async fn create(root: &Path, project: &Project) -> Result<Self, Error> {
        let path = root.join(format!("{}.git", project.path));
        match fs::remove_dir_all(&path).await {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("remove", &path)(e));
            }
            _ => {}
        }
        fs::create_dir_all(&path).await.map_err(Error::io("create", &path))?;
        let format = format!("--object-format={}", project.object_format);
        git(&path, &["init", "--quiet", "--bare", "--template=", &format, "."]).await?;
        let mirror = Self {
            path,
            source: project.repo.clone(),
            refs: Mutex::new(()),
        };
        mirror.borrow_objects().await?;
        let head = format!("refs/heads/{}", project.default_branch);
        git(&mirror.path, &["symbolic-ref", "HEAD", &head]).await?;
        for (key, value) in [
            ("uploadpack.allowReachableSHA1InWant", "true"),
            ("uploadpack.allowTipSHA1InWant", "true"),
            ("uploadpack.allowFilter", "true"),
            ("http.receivepack", "false"),
            // Automatic housekeeping would copy the borrowed objects.
            ("gc.auto", "0"),
        ] {
            git(&mirror.path, &["config", key, value]).await?;
        }
        Ok(mirror)
    }

    /// The bare repository's directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where LFS objects are, whether there are any or not: the user's, and those of snapshots.
    pub(crate) async fn lfs_objects(&self) -> Result<[PathBuf; 2], Error> {
        let arguments = ["rev-parse", "--path-format=absolute", "--git-common-dir"];
        let directory = git(&self.source, &arguments).await?;
        Ok([Path::new(&directory).join("lfs/objects"), self.path.join("lfs/objects")])
    }

    /// The working tree as a commit of this repository.
    pub(crate) async fn snapshot(&self, head: &Commit) -> Result<String, Error> {
        let (index, borrowed) = (self.source_path("index").await?, self.source_path("objects").await?);
        let snapshots = Snapshots {
            source: &self.source,
            index: Path::new(&index),
            borrowed: &borrowed,
            objects: self.path.join("objects"),
            lfs: self.path.join("lfs"),
            date: &head.timestamp,
        };
        snapshots.take(head).await
    }

    async fn borrow_objects(&self) -> Result<(), Error> {
        let objects = self.source_path("objects").await?;
        let info = self.path.join("objects/info");
        fs::create_dir_all(&info).await.map_err(Error::io("create", &info))?;
        let alternates = info.join("alternates");
        fs::write(&alternates, format!("{objects}\n"))
            .await
            .map_err(Error::io("write", &alternates))
    }

    /// A shallow source has a list of commits without parents, which can change at any time.
    async fn copy_shallow_list(&self) -> Result<(), Error> {
        let shallow = PathBuf::from(self.source_path("shallow").await?);
        let copy = self.path.join("shallow");
        match fs::copy(&shallow, &copy).await {
            Ok(_) => Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => match fs::remove_file(&copy).await {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &copy)(e)),
                _ => Ok(()),
            },
            Err(e) => Err(Error::io("copy", &shallow)(e)),
        }
    }

    async fn source_path(&self, name: &str) -> Result<String, Error> {
        git(
            &self.source,
            &["rev-parse", "--path-format=absolute", "--git-path", name],
        )
        .await
    }

    /// Brings branches and tags up to date and adds `refs/pipelines/<id>`. The pipeline's own branch or tag points
    /// to the pipeline's commit.
    pub(crate) async fn publish(&self, id: PipelineId, reference: &Reference, sha: &str) -> Result<(), Error> {
        let _guard = self.refs.lock().await;
        self.copy_shallow_list().await?;
        let existing = refs(&self.path).await?;
        let mut wanted = refs(&self.source).await?;
        match reference.kind {
            RefKind::Branch => {
                wanted.insert(format!("refs/heads/{}", reference.name), sha.to_owned());
            }
            // The tag's ref may name a tag object, which has to stay.
            RefKind::Tag => {
                wanted
                    .entry(format!("refs/tags/{}", reference.name))
                    .or_insert_with(|| sha.to_owned());
            }
            RefKind::MergeRequest | RefKind::Detached => {}
        }
        let mut stale = String::new();
        for name in existing.keys().filter(|name| !wanted.contains_key(*name)) {
            writeln!(stale, "delete {name}").expect("writing to a string cannot fail");
        }
        let mut updates = format!("update refs/pipelines/{id} {sha}\n");
        for (name, object) in wanted
            .iter()
            .filter(|(name, object)| existing.get(*name) != Some(object))
        {
            writeln!(updates, "update {name} {object}").expect("writing to a string cannot fail");
        }
        // Two transactions, because a stale `a` is in the way of a new `a/b`.
        for commands in [stale, updates].iter().filter(|c| !c.is_empty()) {
            git_with_input(&self.path, &["update-ref", "--stdin"], commands).await?;
        }
        Ok(())
    }
}

/// Branches and tags with the objects they name.
async fn refs(repository: &Path) -> Result<BTreeMap<String, String>, Error> {
    let listing = git(
        repository,
        &[
            "for-each-ref",
            "--format=%(objectname) %(refname)",
            "refs/heads",
            "refs/tags",
        ],
    )
    .await?;
    let pairs = listing.lines().filter_map(|line| line.split_once(' '));
    Ok(pairs
        .map(|(object, name)| (name.to_owned(), object.to_owned()))
        .collect())
}
