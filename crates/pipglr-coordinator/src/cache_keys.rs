//! Keys of caches that follow files of the commit.
//!
//! Compat: GitLab lib/gitlab/ci/pipeline/seed/build/cache.rb.

use crate::Error;
use crate::git::git;
use pipglr_ci::model::{CacheKey, Pipeline};
use sha1::{Digest as _, Sha1};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

/// Replaces every key that follows files by its text for the commit `sha`.
pub(crate) async fn resolve(pipeline: &Pipeline, repo: &Path, sha: &str) -> Result<Pipeline, Error> {
    let mut pipeline = pipeline.clone();
    for job in &mut pipeline.jobs {
        for (index, cache) in job.caches.iter_mut().enumerate() {
            let CacheKey::Files { files, commits, prefix } = &cache.key else {
                continue;
            };
            let mut ids = BTreeSet::new();
            for pattern in files {
                if *commits {
                    ids.extend(last_commit(repo, sha, pattern).await?);
                } else {
                    ids.extend(blobs(repo, sha, pattern).await?);
                }
            }
            // Two caches of a job without a prefix would otherwise be one.
            let prefix = prefix.clone().unwrap_or_else(|| index.to_string());
            cache.key = CacheKey::Text(format!("{prefix}-{}", digest(&ids)));
        }
    }
    Ok(pipeline)
}

fn digest(ids: &BTreeSet<String>) -> String {
    if ids.is_empty() {
        return "default".to_owned();
    }
    let joined = ids.iter().map(String::as_str).collect::<Vec<_>>().join("-");
    Sha1::digest(joined.as_bytes())
        .iter()
        .fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// The contents of matching files: what a comparison of the commit with nothing shows.
async fn blobs(repo: &Path, sha: &str, pattern: &str) -> Result<Vec<String>, Error> {
    let nothing = git(repo, &["hash-object", "-t", "tree", "/dev/null"]).await?;
    let path = pathspec(pattern);
    let listing = git(
        repo,
        &[
            "diff-tree",
            "-r",
            "--no-renames",
            "--no-abbrev",
            &nothing,
            sha,
            "--",
            &path,
        ],
    )
    .await?;
    // `:<mode> <mode> <id> <id> <status>\t<path>`
    let id = |line: &str| line.split(' ').nth(3).map(str::to_owned);
    Ok(listing.lines().filter_map(id).collect())
}

/// The commit that changed matching files last.
async fn last_commit(repo: &Path, sha: &str, pattern: &str) -> Result<Option<String>, Error> {
    let path = pathspec(pattern);
    let id = git(
        repo,
        &["log", "-1", "--no-show-signature", "--format=%H", sha, "--", &path],
    )
    .await?;
    Ok(Some(id).filter(|id| !id.is_empty()))
}

fn pathspec(pattern: &str) -> String {
    format!(
        ":(top,glob){}",
        pattern.trim_start_matches("./").trim_start_matches('/')
    )
}
