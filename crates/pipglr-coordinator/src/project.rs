//! Facts about the project and one commit, asked from git. Reads the user's repository, never writes to it.

use crate::git::git;
use crate::options::ServeOptions;
use crate::{Error, git};
use std::path::{Path, PathBuf};

/// GitLab cuts `CI_COMMIT_MESSAGE` here.
const MESSAGE_LIMIT: usize = 100_000;

/// What a pipeline is created for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Revision {
    /// The working tree's `HEAD`.
    #[default]
    Head,
    /// A branch, a tag, a full ref name or a commit.
    Named(String),
}

/// What kind of name a pipeline's ref is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefKind {
    Branch,
    Tag,
    /// A commit no branch or tag was named for.
    Detached,
}

/// The ref a pipeline runs for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    /// Without `refs/heads/`; eight digits of the commit when detached.
    pub(crate) name: String,
    pub(crate) kind: RefKind,
    /// Of an annotated tag.
    pub(crate) tag_message: String,
}

/// The commit a pipeline runs for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) sha: String,
    /// `Name <mail>`.
    pub(crate) author: String,
    /// Strict ISO 8601, of the committer.
    pub(crate) timestamp: String,
    pub(crate) message: String,
}

impl Commit {
    /// Eight digits, whatever git would abbreviate to.
    pub(crate) fn short_sha(&self) -> &str {
        self.sha.get(..8).unwrap_or(&self.sha)
    }

    /// The full first line.
    pub(crate) fn title(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }

    /// The message without the title, or all of it when the title is too long to be one.
    pub(crate) fn description(&self) -> &str {
        let whole = self.message.as_str();
        let body = whole.split_once('\n').map(|(_, rest)| rest).unwrap_or_default();
        if self.title().chars().count() < 100 {
            body.trim()
        } else {
            whole.trim()
        }
    }

    /// The message as far as GitLab keeps it, and whether it was cut.
    pub(crate) fn limited_message(&self) -> (&str, bool) {
        let end = self.message.floor_char_boundary(MESSAGE_LIMIT);
        (&self.message[..end], end < self.message.len())
    }
}

/// The one project of this coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Project {
    /// Top level of the working tree.
    pub(crate) repo: PathBuf,
    /// `namespace/project`.
    pub(crate) path: String,
    pub(crate) default_branch: String,
    pub(crate) config_path: String,
    /// `sha1` or `sha256`.
    pub(crate) object_format: String,
    /// git's `user.name` and `user.email`.
    pub(crate) user_name: String,
    pub(crate) user_email: String,
}

impl Project {
    /// The last part of the path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// The path without its last part.
    pub(crate) fn namespace(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(namespace, _)| namespace)
    }

    /// The first part of the path.
    pub(crate) fn root_namespace(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }
}

/// Asks git about the project.
pub(crate) async fn load_project(options: &ServeOptions) -> Result<Project, Error> {
    let repo = PathBuf::from(git(&options.repo, &["rev-parse", "--show-toplevel"]).await?);
    Ok(Project {
        path: options.resolve_project_path(&repo)?,
        default_branch: load_default_branch(&repo).await?,
        config_path: options.config_path.clone(),
        object_format: git(&repo, &["rev-parse", "--show-object-format"]).await?,
        user_name: load_setting(&repo, "user.name").await,
        user_email: load_setting(&repo, "user.email").await,
        repo,
    })
}

/// A value of git's configuration; git fails for one that is not set.
async fn load_setting(repo: &Path, key: &str) -> String {
    git(repo, &["config", "--get", key]).await.unwrap_or_default()
}

async fn load_default_branch(repo: &Path) -> Result<String, Error> {
    let heads = git(
        repo,
        &[
            "for-each-ref",
            "--format=%(refname) %(symref)",
            "refs/remotes/origin/HEAD",
            "refs/heads/main",
            "refs/heads/master",
        ],
    )
    .await?;
    let remote = heads
        .lines()
        .find_map(|line| line.split_once(' ')?.1.strip_prefix("refs/remotes/origin/"));
    let local = heads
        .lines()
        .find_map(|line| line.split_once(' ')?.0.strip_prefix("refs/heads/"));
    if let Some(branch) = remote.or(local) {
        return Ok(branch.to_owned());
    }
    Ok(current_branch(repo).await.unwrap_or_else(|| "main".to_owned()))
}

/// The branch `HEAD` is on; git fails when it is detached.
async fn current_branch(repo: &Path) -> Option<String> {
    git(repo, &["symbolic-ref", "--quiet", "--short", "HEAD"]).await.ok()
}

/// Finds the ref and commit of a revision.
pub(crate) async fn load_source(repo: &Path, revision: &Revision) -> Result<(Reference, Commit), Error> {
    let (full_name, kind) = match revision {
        Revision::Head => match current_branch(repo).await {
            Some(branch) => (format!("refs/heads/{branch}"), RefKind::Branch),
            None => ("HEAD".to_owned(), RefKind::Detached),
        },
        Revision::Named(name) => find_ref(repo, name).await,
    };
    let peeled = format!("{full_name}^{{commit}}");
    let sha = git(repo, &["rev-parse", "--verify", "--quiet", "--end-of-options", &peeled])
        .await
        .map_err(|_| {
            let revision = match revision {
                Revision::Head => "HEAD",
                Revision::Named(name) => name.as_str(),
            };
            Error::UnknownRevision {
                revision: revision.to_owned(),
            }
        })?;
    let commit = load_commit(repo, &sha).await?;
    let (name, tag_message) = match kind {
        RefKind::Branch => (full_name.trim_start_matches("refs/heads/").to_owned(), String::new()),
        RefKind::Tag => (
            full_name.trim_start_matches("refs/tags/").to_owned(),
            load_tag_message(repo, &full_name).await?,
        ),
        RefKind::Detached => (commit.short_sha().to_owned(), String::new()),
    };
    Ok((
        Reference {
            name,
            kind,
            tag_message,
        },
        commit,
    ))
}

/// A branch wins over a tag of the same name, as for `git push`.
async fn find_ref(repo: &Path, name: &str) -> (String, RefKind) {
    let short = name
        .strip_prefix("refs/heads/")
        .or_else(|| name.strip_prefix("refs/tags/"))
        .unwrap_or(name);
    for (prefix, kind) in [("refs/heads/", RefKind::Branch), ("refs/tags/", RefKind::Tag)] {
        let full = format!("{prefix}{short}");
        let candidate = name == short || name == full;
        if candidate && git(repo, &["show-ref", "--verify", "--quiet", &full]).await.is_ok() {
            return (full, kind);
        }
    }
    (name.to_owned(), RefKind::Detached)
}

async fn load_commit(repo: &Path, sha: &str) -> Result<Commit, Error> {
    let text = git(
        repo,
        &[
            "log",
            "-1",
            "-z",
            "--no-show-signature",
            "--format=%an <%ae>%x00%cI%x00%B",
            sha,
        ],
    )
    .await?;
    let mut fields = text.splitn(3, '\0').map(str::to_owned);
    let mut field = || fields.next().unwrap_or_default();
    let (author, timestamp, message) = (field(), field(), field());
    Ok(Commit {
        sha: sha.to_owned(),
        author,
        timestamp,
        message: message.trim_end_matches('\0').to_owned(),
    })
}

async fn load_tag_message(repo: &Path, full_name: &str) -> Result<String, Error> {
    let text = git(
        repo,
        &["for-each-ref", "--format=%(objecttype)%00%(contents)", full_name],
    )
    .await?;
    Ok(match text.split_once('\0') {
        Some(("tag", contents)) => contents.trim_end().to_owned(),
        _ => String::new(),
    })
}

/// Reads a file of a commit; `None` when the commit does not have it.
pub(crate) async fn load_file(repo: &Path, sha: &str, path: &str) -> Result<Option<String>, Error> {
    let listing = git(repo, &["ls-tree", "--full-tree", "--name-only", "-z", sha, "--", path]).await?;
    if listing.is_empty() {
        return Ok(None);
    }
    let mut text = git::git(repo, &["cat-file", "blob", &format!("{sha}:{path}")]).await?;
    // git() takes one line end away.
    text.push('\n');
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::Commit;

    #[test]
    fn commit_messages_are_split_as_gitlab_does() {
        let long = "x".repeat(100);
        for (message, title, description) in [
            ("one\n", "one", ""),
            ("one\n\ntwo\nthree\n", "one", "two\nthree"),
            ("", "", ""),
            (&format!("{long}\n\nbody\n"), long.as_str(), &format!("{long}\n\nbody")),
        ] {
            let commit = Commit {
                message: message.to_owned(),
                ..Commit::default()
            };
            assert_eq!((commit.title(), commit.description()), (title, description));
        }
    }

    #[test]
    fn long_messages_are_cut_at_a_character() {
        let message = format!("{}é", "x".repeat(99_999));
        let commit = Commit {
            message,
            ..Commit::default()
        };
        let (limited, cut) = commit.limited_message();
        assert_eq!((limited.len(), cut), (99_999, true));
    }
}
