//! Facts about the project and one commit, asked from git. Reads the user's repository, never writes to it.

mod load;
mod remote;

pub(crate) use load::{find_commit, load_file, load_project, load_source, merge_base};
pub(crate) use remote::Remote;

use crate::url::ExternalUrl;
use std::path::PathBuf;

/// GitLab cuts `CI_COMMIT_MESSAGE` here.
const MESSAGE_LIMIT: usize = 100_000;

/// What a pipeline is created for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Revision {
    /// The working tree's `HEAD`.
    #[default]
    Head,
    /// The working tree as it is: changes that are not committed and new files that are not ignored included. Variables
    /// tell of `HEAD` nevertheless.
    WorkingTree,
    /// A branch, a tag, a full ref name or a commit.
    Named(String),
}

/// What kind of name a pipeline's ref is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefKind {
    Branch,
    Tag,
    MergeRequest,
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
    /// The instance the project is on; `None` is this coordinator.
    pub(crate) server: Option<ExternalUrl>,
    /// Where the instance takes ssh, if it is known.
    pub(crate) ssh: Option<(String, u16)>,
    /// Whether jobs are told that they run on somebody's desk.
    pub(crate) is_local: bool,
    /// git's `user.name` and `user.email`.
    pub(crate) user_name: String,
    pub(crate) user_email: String,
}

impl Reference {
    /// `refs/tags/…` or `refs/heads/…`.
    pub(crate) fn full_name(&self) -> String {
        let directory = if self.kind == RefKind::Tag { "tags" } else { "heads" };
        format!("refs/{directory}/{}", self.name)
    }
}

impl Project {
    /// What the user is called in URLs.
    pub(crate) fn user_login(&self) -> &str {
        self.user_email.split('@').next().unwrap_or_default()
    }

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
