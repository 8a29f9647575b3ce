//! A job's log without what may differ between two runs or between the two runners.

/// What follows the first text up to one of the characters of the second is different in each run.
const VOLATILE: [(&str, &str); 8] = [
    ("Running with ", "\x1b"),
    ("  on quickstart ", "\x1b"),
    ("Running on runner-", "-"),
    (" via ", "\x1b"),
    ("section_start:", ":"),
    ("section_end:", ":"),
    (" id=", " "),
    ("token=", " \x1b\n"),
];

/// Lines only one of the runners writes, and why.
///
/// docs/compatibility.md has a row for each.
const DROPPED: [(&str, &str); 5] = [
    ("Using helper image", "we have none"),
    ("gitlab-runner-helper", "we have none"),
    ("Gitaly correlation ID", "of an instance's logs, not of the job"),
    (
        "Using effective pull policy",
        "told once for each container there, once for each image here",
    ),
    ("Using docker image sha256:", "told twice there, once here"),
];

/// The log with line headers taken off, volatile words replaced, and one runner's own lines dropped.
pub(super) fn log(text: &str) -> String {
    let lines = without_headers(text);
    let kept = lines
        .iter()
        .filter(|line| !DROPPED.iter().any(|(part, _)| line.contains(part)));
    kept.map(|line| stable(line) + "\n").collect()
}

/// Takes `2026-01-02T03:04:05.678901Z 01O ` off each line. A `+` in place of the last space continues the line before:
/// where a line is cut depends on how its bytes happened to arrive.
fn without_headers(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.split('\n') {
        let is_header = line.len() >= 32 && line.as_bytes()[26] == b'Z' && line.is_char_boundary(32);
        let content = if is_header { &line[32..] } else { line };
        match lines.last_mut() {
            Some(last) if is_header && line.as_bytes()[31] == b'+' => last.push_str(content),
            _ => lines.push(content.to_owned()),
        }
    }
    lines
}

fn stable(line: &str) -> String {
    let mut line = line.to_owned();
    for (prefix, ends) in VOLATILE {
        let mut from = 0;
        while let Some(at) = line[from..].find(prefix) {
            let start = from + at + prefix.len();
            let end = line[start..]
                .find(|c| ends.contains(c))
                .map_or(line.len(), |n| start + n);
            line.replace_range(start..end, "…");
            from = start;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::log;

    #[test]
    fn only_what_may_differ_is_taken_out() {
        for (raw, expected) in [
            ("2026-01-02T03:04:05.678901Z 01O text", "text\n"),
            (
                "2026-01-02T03:04:05.678901Z 00O Running with pipglr 1 (abc)\x1b[0;m",
                "Running with …\x1b[0;m\n",
            ),
            (
                "section_start:1700000000:a\rsection_end:1700000001:b",
                "section_start:…:a\rsection_end:…:b\n",
            ),
            (
                "Running on runner-x- via host...\x1b[0;m",
                "Running on runner-…- via …\x1b[0;m\n",
            ),
            ("Using helper image:  x", ""),
            ("ok        job=a id=7 token=abc", "ok        job=a id=… token=…\n"),
            ("plain", "plain\n"),
            (
                "2026-01-02T03:04:05.678901Z 01O one\n2026-01-02T03:04:05.678902Z 01O+two\nthree",
                "onetwo\nthree\n",
            ),
        ] {
            assert_eq!(log(raw), expected, "{raw:?}");
        }
    }
}
