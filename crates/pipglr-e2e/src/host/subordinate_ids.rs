//! Ranges of accounts in `/etc/subuid` and `/etc/subgid`.

use anyhow::Context as _;
use std::fs;
use std::path::Path;

/// What an account needs, as the README says.
pub(super) const NEEDED: u64 = 65539;

/// Gives `name` a range of `ids` that overlaps no other; replaces a smaller one.
pub(super) fn grant(path: &Path, name: &str, ids: u64) -> anyhow::Result<()> {
    let text = fs::read_to_string(path).unwrap_or_default();
    if let Some(new) = with_range(&text, name, ids) {
        fs::write(path, new).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// The new content of a subordinate ID file, or `None` if it is right already.
fn with_range(text: &str, name: &str, ids: u64) -> Option<String> {
    let parse = |line: &str| -> Option<(String, u64, u64)> {
        let mut fields = line.split(':');
        Some((
            fields.next()?.to_owned(),
            fields.next()?.parse().ok()?,
            fields.next()?.trim().parse().ok()?,
        ))
    };
    let ranges: Vec<_> = text.lines().filter_map(parse).collect();
    if ranges.iter().any(|(owner, _, count)| owner == name && *count >= ids) {
        return None;
    }
    let others = ranges.iter().filter(|(owner, ..)| owner != name);
    let start = others
        .map(|(_, start, count)| start + count)
        .max()
        .unwrap_or(0)
        .max(200_000);
    let mut new = without(text, name);
    new.push_str(&format!("{name}:{start}:{ids}\n"));
    Some(new)
}

/// The lines of others.
fn without(text: &str, name: &str) -> String {
    text.lines()
        .filter(|l| !l.starts_with(&format!("{name}:")))
        .map(|l| format!("{l}\n"))
        .collect()
}

/// Takes the range of `name` away.
pub(super) fn withdraw(path: &Path, name: &str) -> anyhow::Result<()> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let new = without(&text, name);
    if new != text {
        fs::write(path, new).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{NEEDED, with_range};

    #[test]
    fn ranges_do_not_overlap_and_are_large_enough() {
        for (text, expected) in [
            ("", Some("ci:200000:65539\n")),
            ("a:100000:65536\n", Some("a:100000:65536\nci:200000:65539\n")),
            ("a:200000:65539\n", Some("a:200000:65539\nci:265539:65539\n")),
            ("ci:100000:65536\na:300000:10\n", Some("a:300000:10\nci:300010:65539\n")),
            ("ci:100000:65539\n", None),
            ("ci:100000:70000\n", None),
        ] {
            assert_eq!(with_range(text, "ci", NEEDED).as_deref(), expected, "{text}");
        }
    }
}
