//! Logs that mean harm.

use super::{ends::Ends, render};
use proptest::prelude::*;

/// Tags this module writes; `"…"` stands for class names.
const TAGS: &[&str] = &[
    "div",
    "div class=e",
    "div class=c",
    "time",
    "span class=\"…\"",
    "span class=took",
    "details class=sec",
    "details class=sec open",
    "summary",
    "p class=gap",
    "code",
    "i class=cut",
];

/// Every tag is one of ours and closed in order; everything else is text.
fn check(html: &str) -> Result<(), String> {
    let mut open = Vec::new();
    let mut parts = html.split('<');
    parts.next();
    for part in parts {
        let (tag, _) = part.split_once('>').ok_or("a tag without an end")?;
        let name = tag.split(' ').next().unwrap_or_default();
        if let Some(closed) = tag.strip_prefix('/') {
            if open.pop() != Some(closed) {
                return Err(format!("</{closed}> closes nothing"));
            }
            continue;
        }
        let is_class = |c: char| c.is_ascii_alphanumeric() || c == ' ';
        let plain = match tag
            .strip_prefix("span class=\"")
            .and_then(|rest| rest.strip_suffix('"'))
        {
            Some(classes) if classes.chars().all(is_class) => "span class=\"…\"",
            _ => tag,
        };
        if !TAGS.contains(&plain) {
            return Err(format!("<{tag}>"));
        }
        open.push(name);
    }
    if open.is_empty() {
        Ok(())
    } else {
        Err(format!("{open:?} stay open"))
    }
}

fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(
        [
            "</script>",
            "<script>",
            "</div>",
            "<!--",
            "]]>",
            "&lt;",
            "\"'>",
            "\x1b[31m",
            "\x1b[0m",
            "\x1b[38;5;200m",
            "\x1b[38;2;1;2;3m",
            "\x1b[",
            "\x1b]0;",
            "\x1bP",
            "\x07",
            "\x1b[2K",
            "\r",
            "\n",
            "\n\n",
            "\x08",
            "\0",
            "\u{202e}",
            "\u{9b}31m",
            "section_start:1:a\r",
            "section_start:1:<b>\r",
            "section_end:1:a\r",
            "section_start:1:b[collapsed=true]\r\x1b[0K",
            "2026-08-22T10:15:30.123456Z 01O ",
            "2026-08-22T10:15:30.123456Z 01O+",
            "2026-08-22T10:15:30.123456Z 01E ",
            "text ",
        ]
        .map(|text| text.as_bytes().to_vec())
        .to_vec(),
    );
    prop_oneof![4 => known, 1 => prop::collection::vec(any::<u8>(), 0..8)]
}

proptest! {
    #[test]
    fn nothing_in_a_log_becomes_markup(parts in prop::collection::vec(fragment(), 0..80), cut in any::<bool>(), budget in 0_usize..4000) {
        let bytes = parts.concat();
        let (head, tail) = bytes.split_at(bytes.len() / 2);
        let ends = if cut {
            Ends { head: head.to_vec(), tail: Some(tail.to_vec()), size: bytes.len() as u64 + 7 }
        } else {
            Ends { head: bytes.clone(), tail: None, size: bytes.len() as u64 }
        };
        let log = render(ends, budget, "/a <path>");
        prop_assert_eq!(check(&log.html), Ok(()));
        prop_assert_eq!(check(&log.excerpt), Ok(()));
        prop_assert!(log.html.len() <= budget + 400, "{} > {budget}", log.html.len());
        prop_assert!(!log.html.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
    }
}

#[test]
fn the_check_finds_what_it_should() {
    for html in [
        "<script>",
        "<div>",
        "</div>",
        "<div><time></div></time>",
        "<span class=\"x\" onload=\"y\"></span>",
        "<",
    ] {
        assert!(check(html).is_err(), "{html}");
    }
    assert_eq!(check("a<div><span class=\"f1 bo\">x</span></div>"), Ok(()));
}
