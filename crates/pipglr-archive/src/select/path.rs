//! Paths as text.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

/// Removes `.`, doubled and trailing separators, and `..` with what precedes it, by text alone.
pub(super) fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir | Component::Prefix(_) => {}
            Component::RootDir => cleaned.push("/"),
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => match cleaned.components().next_back() {
                Some(Component::Normal(_)) => {
                    cleaned.pop();
                }
                Some(Component::RootDir) => {}
                _ => cleaned.push(".."),
            },
        }
    }
    cleaned
}

/// The leading components of a pattern that have no special character.
pub(super) fn literal_base(pattern: &Path) -> PathBuf {
    let special = |component: &&OsStr| {
        let bytes = component.as_bytes();
        !bytes.iter().any(|b| b"*?[]{}\\".contains(b))
    };
    pattern.iter().take_while(special).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_by_text() {
        let rows = [
            ("", ""),
            (".", ""),
            ("./a//b/", "a/b"),
            ("a/../b", "b"),
            ("a/../../b", "../b"),
            ("../../a", "../../a"),
            ("/../a", "/a"),
            ("/", "/"),
        ];
        for (path, cleaned) in rows {
            assert_eq!(clean(Path::new(path)), Path::new(cleaned), "{path}");
        }
    }

    #[test]
    fn the_literal_base_ends_at_the_first_special_component() {
        let rows = [
            ("a/b", "a/b"),
            ("a/*/b", "a"),
            ("*", ""),
            ("a/b?/c", "a"),
            ("a/{b,c}", "a"),
            ("a\\b/c", ""),
        ];
        for (pattern, base) in rows {
            assert_eq!(literal_base(Path::new(pattern)), Path::new(base), "{pattern}");
        }
    }
}
