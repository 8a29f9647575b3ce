//! From a cache's key as its author wrote it to a name that can be a path.
//!
//! Compat: gitlab-runner cache/cachekey/cachekey.go.

use super::AllVariables;
use super::names::hex;
use crate::container_side::helper::Notice;
use sha2::{Digest as _, Sha256};

/// A key that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// For the log.
    pub(super) human: String,
    /// For paths: relative, without `..`.
    pub(super) storage: String,
    /// The storage name is a digest (`FF_HASH_CACHE_KEYS`).
    pub(super) hashed: bool,
}

/// Makes a key of an expanded text; `None` if nothing of it is left.
pub(super) fn cache_key(raw: &str, hashed: bool, notices: &mut Vec<Notice>) -> Option<Key> {
    if raw.is_empty() {
        return None;
    }
    if hashed {
        return Some(Key {
            human: raw.to_owned(),
            storage: hex(&Sha256::digest(raw.as_bytes())),
            hashed,
        });
    }
    let clean = sanitized(raw);
    if clean.is_empty() {
        notices.push(Notice::Caution(format!("cache key {raw:?} could not be sanitized")));
        return None;
    }
    if clean != raw {
        notices.push(Notice::Caution(format!("cache key {raw:?} sanitized to {clean:?}")));
    }
    Some(Key {
        human: clean.clone(),
        storage: clean,
        hashed,
    })
}

/// The key of the variable `CACHE_FALLBACK_KEY`. It is the only one GitLab adds no suffix to, so it must not reach the
/// caches of protected branches.
pub(super) fn fallback_key(all: &AllVariables, hashed: bool, notices: &mut Vec<Notice>) -> Option<Key> {
    let value = all.variables.expand(&all.variables.get("CACHE_FALLBACK_KEY")?);
    let key = cache_key(&value, hashed, notices)?;
    let ends = |c: char| c == '.' || c.is_whitespace();
    if sanitized(&value).trim_end_matches(ends).ends_with("-protected") {
        let text = format!(
            "CACHE_FALLBACK_KEY {:?} not allowed to end in \"-protected\"",
            key.human
        );
        notices.push(Notice::Caution(text));
        return None;
    }
    Some(key)
}

/// A relative path that cannot climb; empty if nothing is left.
fn sanitized(raw: &str) -> String {
    let mut text = raw.to_owned();
    for (from, to) in [("%2f", "/"), ("%2F", "/"), ("%2e", "."), ("%2E", "."), ("\\", "/")] {
        text = text.replace(from, to);
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    while let Some(last) = parts.pop() {
        let last = last.trim_end();
        // `.. ` was an ordinary name until now.
        if !matches!(last, "" | "." | "..") {
            parts.push(last);
            break;
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::{cache_key, sanitized};
    use crate::container_side::helper::Notice;

    #[test]
    fn keys_become_paths_that_cannot_climb() {
        // Rows after gitlab-runner's cachekey_test.go; the last group is ours.
        for (raw, clean) in [
            ("key", "key"),
            ("job/main", "job/main"),
            ("/key", "key"),
            ("key/", "key"),
            ("a//b/./c", "a/b/c"),
            ("../../key", "key"),
            ("a/../../b", "b"),
            ("a%2Fb%2fc", "a/b/c"),
            ("a/%2E%2e/b", "b"),
            ("a\\b", "a/b"),
            ("\\..\\b", "b"),
            ("key \t", "key"),
            (" key", " key"),
            ("a /b ", "a /b"),
            ("a/b/ / ", "a/b"),
            ("a/\u{a0}", "a"),
            ("ключ", "ключ"),
            ("%", "%"),
            ("", ""),
            (".", ""),
            ("..", ""),
            ("/", ""),
            (" ", ""),
            (" / ", ""),
            ("%2F", ""),
            (".. ", ""),
            ("a/.. ", "a"),
            ("a/. ", "a"),
        ] {
            assert_eq!(sanitized(raw), clean, "{raw:?}");
            assert_eq!(sanitized(clean), clean, "clean keys stay: {raw:?}");
        }
    }

    #[test]
    fn the_author_is_told_when_a_key_changes() {
        let told = |raw: &str, hashed| {
            let mut notices = Vec::new();
            let key = cache_key(raw, hashed, &mut notices).map(|k| k.human);
            (key, notices)
        };
        let caution = |text: &str| vec![Notice::Caution(text.to_owned())];
        assert_eq!(told("a", false), (Some("a".into()), vec![]));
        assert_eq!(
            told("a/", false),
            (Some("a".into()), caution(r#"cache key "a/" sanitized to "a""#))
        );
        assert_eq!(
            told("..", false),
            (None, caution(r#"cache key ".." could not be sanitized"#))
        );
        assert_eq!(told("", false), (None, vec![]));
        assert_eq!(told("../a", true), (Some("../a".into()), vec![]));
    }

    #[test]
    fn hashed_keys_are_digests_of_what_was_written() {
        let key = cache_key("a/../b", true, &mut Vec::new()).unwrap();
        assert_eq!(
            key.storage,
            "900ea8b7e0d8fe30857c1bb629272e28cfd7f7af61a81f7b6964b271b69dab69"
        );
    }
}
