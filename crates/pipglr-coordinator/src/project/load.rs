//! Facts asked from git. Reads the user's repository, never writes to it.

use super::{Commit, Project, RefKind, Reference, Remote, Revision};
use crate::Error;
use crate::creation::RefName;
use crate::git::{self, git};
use crate::options::{Identity, ServeOptions};
use crate::url::ExternalUrl;
use std::path::{Path, PathBuf};

/// Asks git about the project.
pub(crate) async fn load_project(options: &ServeOptions) -> Result<Project, Error> {
    let repo = PathBuf::from(git(&options.repo, &["rev-parse", "--show-toplevel"]).await?);
    let remote = match &options.identity {
        Identity::Coordinator => None,
        Identity::Remote(name) => load_remote(&repo, name).await,
    };
    let server = match &remote {
        Some(remote) => Some(ExternalUrl::parse(&remote.web)?),
        None => None,
    };
    Ok(Project {
        path: options.resolve_project_path(&repo, remote.as_ref().map(|r| r.path.as_str()))?,
        is_local: options.identity != Identity::Coordinator,
        server,
        ssh: remote.and_then(|remote| remote.ssh),
        default_branch: load_default_branch(&repo, remote_name(options)).await?,
        config_path: options.config_path.clone(),
        object_format: git(&repo, &["rev-parse", "--show-object-format"]).await?,
        user_name: load_setting(&repo, "user.name").await,
        user_email: load_setting(&repo, "user.email").await,
        repo,
    })
}

/// The remote of this name, if there is one and its address names a project on a server.
async fn load_remote(repo: &Path, name: &str) -> Option<Remote> {
    let url = git(repo, &["remote", "get-url", name]).await.ok()?;
    Remote::parse(&url)
}

fn remote_name(options: &ServeOptions) -> &str {
    match &options.identity {
        Identity::Coordinator => "origin",
        Identity::Remote(name) => name,
    }
}

/// A value of git's configuration; git fails for one that is not set.
async fn load_setting(repo: &Path, key: &str) -> String {
    git(repo, &["config", "--get", key]).await.unwrap_or_default()
}

async fn load_default_branch(repo: &Path, remote: &str) -> Result<String, Error> {
    let of_remote = format!("refs/remotes/{remote}/");
    let heads = git(
        repo,
        &[
            "for-each-ref",
            "--format=%(refname) %(symref)",
            &format!("{of_remote}HEAD"),
            "refs/heads/main",
            "refs/heads/master",
        ],
    )
    .await?;
    let remote = heads
        .lines()
        .find_map(|line| line.split_once(' ')?.1.strip_prefix(&of_remote));
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
pub(crate) async fn load_source(
    repo: &Path,
    revision: &Revision,
    wished: &RefName,
) -> Result<(Reference, Commit), Error> {
    let (full_name, own_kind) = match revision {
        Revision::Head | Revision::WorkingTree => match current_branch(repo).await {
            Some(branch) => (format!("refs/heads/{branch}"), RefKind::Branch),
            None => ("HEAD".to_owned(), RefKind::Detached),
        },
        Revision::Named(name) => find_ref(repo, name).await,
    };
    let sha = find_commit(repo, &full_name)
        .await?
        .ok_or_else(|| Error::UnknownRevision {
            revision: match revision {
                Revision::Head | Revision::WorkingTree => "HEAD".to_owned(),
                Revision::Named(name) => name.clone(),
            },
        })?;
    let commit = load_commit(repo, &sha).await?;
    let (kind, name) = match wished {
        RefName::Branch(name) => (RefKind::Branch, name.clone()),
        RefName::Tag(name) => (RefKind::Tag, name.clone()),
        RefName::OfRevision => (own_kind, short_name(&full_name, own_kind, &commit)),
    };
    let tag_message = match kind {
        RefKind::Tag => load_tag_message(repo, &format!("refs/tags/{name}")).await?,
        _ => String::new(),
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

fn short_name(full_name: &str, kind: RefKind, commit: &Commit) -> String {
    let prefix = match kind {
        RefKind::Branch => "refs/heads/",
        RefKind::Tag => "refs/tags/",
        RefKind::MergeRequest | RefKind::Detached => return commit.short_sha().to_owned(),
    };
    full_name.trim_start_matches(prefix).to_owned()
}

/// The commit a name stands for, if there is one.
pub(crate) async fn find_commit(repo: &Path, name: &str) -> Result<Option<String>, Error> {
    let peeled = format!("{name}^{{commit}}");
    let found = git(repo, &["rev-parse", "--verify", "--quiet", "--end-of-options", &peeled]).await;
    match found {
        Ok(sha) => Ok(Some(sha)),
        // git says nothing at all about a name it does not know.
        Err(Error::Git { .. }) => Ok(None),
        Err(error) => Err(error),
    }
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

/// Where two branches part; `None` if they have nothing in common or one is not there.
pub(crate) async fn merge_base(repo: &Path, one: &str, other: &str) -> Result<Option<String>, Error> {
    for candidate in [one.to_owned(), format!("refs/remotes/origin/{one}")] {
        let Some(commit) = find_commit(repo, &candidate).await? else {
            continue;
        };
        return match git(repo, &["merge-base", &commit, other]).await {
            Ok(base) => Ok(Some(base)),
            // git says nothing when there is none.
            Err(Error::Git { .. }) => Ok(None),
            Err(error) => Err(error),
        };
    }
    Ok(None)
}
