//! `cache`.

use super::artifacts::upload_when;
use super::{Fields, Keywords, STRINGS, below, boolean, of, string, strings, wrong_type};
use crate::diagnostics::Problems;
use crate::model::{Cache, CacheKey, CachePolicy};
use crate::yaml::Node;

const CACHE: Keywords = Keywords {
    supported: &[
        "key",
        "paths",
        "untracked",
        "unprotect",
        "policy",
        "when",
        "fallback_keys",
    ],
};

const KEY: Keywords = Keywords {
    supported: &["files", "files_commits", "prefix"],
};

/// Compat: `Gitlab::Ci::Config::Entry::Caches`, `Entry::Key`, `Entry::Cache`.
const CACHES_LIMIT: usize = 4;
const FILES_LIMIT: usize = 2;
const FALLBACK_KEYS_LIMIT: usize = 5;

/// Files to keep between jobs: one mapping or several. Null and what is empty are none.
pub(crate) fn caches(problems: &mut Problems, parent: &str, node: &Node) -> Vec<Cache> {
    if node.is_null() {
        return Vec::new();
    }
    let at = below(parent, "cache");
    let Some(items) = node.as_sequence() else {
        return cache(problems, &at, node).into_iter().collect();
    };
    if items.len() > CACHES_LIMIT {
        let message = format!("{at} config: number of caches exceeds the limit (maximum is {CACHES_LIMIT})");
        problems.error(node.span, message);
    }
    items.iter().filter_map(|item| cache(problems, &at, item)).collect()
}

fn cache(problems: &mut Problems, at: &str, node: &Node) -> Option<Cache> {
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{at} config"), "a hash or an array of hashes");
        return None;
    };
    if entries.is_empty() {
        return None;
    }
    let fields = Fields::read(problems, at, entries, &CACHE);
    let mut cache = Cache::default();
    if let Some(node) = fields.get("key") {
        cache.key = key(problems, at, node);
    }
    if let Some(node) = fields.get("paths") {
        cache.paths = strings(problems, node, &format!("{at}:paths config")).unwrap_or_default();
    }
    if let Some(node) = fields.get("untracked") {
        cache.untracked = boolean(problems, node, &of(at, "untracked")).unwrap_or(false);
    }
    if let Some(node) = fields.get("unprotect") {
        cache.unprotect = boolean(problems, node, &of(at, "unprotect")).unwrap_or(false);
    }
    if let Some(node) = fields.get("policy") {
        cache.policy = policy(problems, at, node);
    }
    if let Some(node) = fields.get("when") {
        cache.when = upload_when(problems, at, node);
    }
    if let Some(node) = fields.get("fallback_keys") {
        cache.fallback_keys = fallback_keys(problems, at, node);
    }
    Some(cache)
}

fn key(problems: &mut Problems, at: &str, node: &Node) -> CacheKey {
    let at = below(at, "key");
    if node.is_null() {
        return CacheKey::default();
    }
    if let Some(text) = node.as_str() {
        check_key(problems, &at, node, text);
        return CacheKey::Text(text.to_owned());
    }
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{at} config"), "a hash or a string");
        return CacheKey::default();
    };
    let fields = Fields::read(problems, &at, entries, &KEY);
    let prefix = fields
        .get("prefix")
        .and_then(|node| string(problems, node, &of(&at, "prefix")));
    if let (Some(node), Some(prefix)) = (fields.get("prefix"), &prefix) {
        check_key(problems, &below(&at, "prefix"), node, prefix);
    }
    let (name, files) = match (fields.get("files"), fields.get("files_commits")) {
        (Some(files), None) => ("files", files),
        (None, Some(files)) => ("files_commits", files),
        (Some(_), Some(_)) | (None, None) => {
            let message = format!("{at} config must use exactly one of these keys: files, files_commits");
            problems.error(node.span, message);
            return CacheKey::default();
        }
    };
    CacheKey::Files {
        files: key_files(problems, &below(&at, name), files),
        commits: name == "files_commits",
        prefix,
    }
}

fn key_files(problems: &mut Problems, at: &str, node: &Node) -> Vec<String> {
    let subject = format!("{at} config");
    if node.is_null() {
        wrong_type(problems, node, &subject, STRINGS);
    }
    let files = strings(problems, node, &subject).unwrap_or_default();
    if node.as_sequence().is_some_and(<[_]>::is_empty) {
        problems.error(node.span, format!("{subject} requires at least 1 item"));
    } else if files.len() > FILES_LIMIT {
        let message = format!("{subject} has too many items (maximum is {FILES_LIMIT})");
        problems.error(node.span, message);
    }
    files
}

/// A key becomes one component of a path.
fn check_key(problems: &mut Problems, at: &str, node: &Node, text: &str) {
    let decoded = text.replace("%2F", "/").replace("%2f", "/");
    let decoded = decoded.replace("%2E", ".").replace("%2e", ".");
    if decoded.contains('/') {
        let message = format!("{at} config cannot contain the \"/\" character");
        problems.error_with_hint(
            node.span,
            message,
            format!("write it as {:?}", decoded.replace('/', "-")),
        );
    } else if matches!(decoded.as_str(), "." | "..") {
        problems.error(node.span, format!("{at} config cannot be \".\" or \"..\""));
    }
}

fn policy(problems: &mut Problems, at: &str, node: &Node) -> CachePolicy {
    match node.as_str() {
        Some("pull") => CachePolicy::Pull,
        Some("push") => CachePolicy::Push,
        Some("pull-push") => CachePolicy::PullPush,
        // Compat: `Gitlab::Ci::Config::Entry::Cache` leaves variables to the runner.
        Some(text) if text.starts_with('$') => CachePolicy::Variable(text.to_owned()),
        _ => {
            if !node.is_null() && !node.is_reported() {
                let message = format!("{at} policy should be a variable or one of: pull-push, push, pull");
                problems.error(node.span, message);
            }
            CachePolicy::PullPush
        }
    }
}

fn fallback_keys(problems: &mut Problems, at: &str, node: &Node) -> Vec<String> {
    let subject = format!("{at}:fallback_keys config");
    let keys = strings(problems, node, &subject).unwrap_or_default();
    if keys.len() > FALLBACK_KEYS_LIMIT {
        let message = format!("{subject} has too many items (maximum is {FALLBACK_KEYS_LIMIT})");
        problems.error(node.span, message);
    }
    keys
}
