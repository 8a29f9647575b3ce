//! The lines of a log: without headers, with what was written in parts put together.

use jiff::Timestamp;
use std::collections::HashMap;

/// `2026-08-22T10:15:30.123456Z 01O `: time, stream, and whether the line goes on from the one before.
const HEADER: usize = 32;

/// A line as a terminal would get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawLine {
    pub(super) time: Option<Timestamp>,
    pub(super) is_stderr: bool,
    pub(super) text: Vec<u8>,
    /// Bytes it takes in the log.
    pub(super) size: usize,
}

/// Splits a log.
pub(super) fn split(log: &[u8]) -> Vec<RawLine> {
    let mut lines: Vec<RawLine> = Vec::new();
    // Stream → the line it wrote last.
    let mut last: HashMap<[u8; 3], usize> = HashMap::new();
    for physical in log.split_inclusive(|&b| b == b'\n') {
        let body = physical.strip_suffix(b"\n").unwrap_or(physical);
        let Some((time, stream, continues)) = header(body) else {
            lines.push(RawLine {
                time: None,
                is_stderr: false,
                text: body.to_vec(),
                size: physical.len(),
            });
            continue;
        };
        let text = &body[HEADER..];
        if let Some(&index) = last.get(&stream).filter(|_| continues)
            && !ends_a_section(&lines[index].text)
        {
            lines[index].text.extend_from_slice(text);
            lines[index].size += physical.len();
            continue;
        }
        last.insert(stream, lines.len());
        lines.push(RawLine {
            time: Some(time),
            is_stderr: stream[2] == b'E',
            text: text.to_vec(),
            size: physical.len(),
        });
    }
    lines
}

/// What follows the end of a section is a line of its own, though it was written as the same.
fn ends_a_section(text: &[u8]) -> bool {
    text.starts_with(b"section_end:") && (text.ends_with(b"\r") || text.ends_with(b"\r\x1b[0K"))
}

fn header(line: &[u8]) -> Option<(Timestamp, [u8; 3], bool)> {
    let bytes = line.get(..HEADER)?;
    let stream = [bytes[28], bytes[29], bytes[30]];
    let fits = bytes[27] == b' '
        && stream[..2].iter().all(u8::is_ascii_hexdigit)
        && matches!(stream[2], b'O' | b'E')
        && matches!(bytes[31], b' ' | b'+');
    if !fits {
        return None;
    }
    let time = std::str::from_utf8(&bytes[..27]).ok()?.parse().ok()?;
    Some((time, stream, bytes[31] == b'+'))
}

#[cfg(test)]
mod tests {
    use super::split;

    /// `@` is the header of stdout, `!` of stderr, `+` after it means "continued".
    fn check(log: &str, expected: &[&str]) {
        let log = log
            .replace('@', "2026-08-22T10:15:30.123456Z 01O")
            .replace('!', "2026-08-22T10:15:31.5Z00000 01E");
        let log = log.replace("31.5Z00000", "31.500000Z");
        let found: Vec<String> = split(log.as_bytes())
            .into_iter()
            .map(|line| {
                let mark = match (line.time, line.is_stderr) {
                    (None, _) => "-",
                    (_, true) => "E",
                    _ => "O",
                };
                format!("{mark} {}", String::from_utf8_lossy(&line.text))
            })
            .collect();
        assert_eq!(found, expected, "{log:?}");
    }

    #[test]
    fn headers_are_taken_off_and_parts_put_together() {
        check("", &[]);
        check("no header\n", &["- no header"]);
        check("@ one\n@ two\n", &["O one", "O two"]);
        check(
            "@ 10%\r\n! warning\n@+20%\r\n@+done\n",
            &["O 10%\r20%\rdone", "E warning"],
        );
        check(
            "@ section_end:1:x\r\x1b[0K\n@+next\n",
            &["O section_end:1:x\r\x1b[0K", "O next"],
        );
        check(
            "@ section_start:1:x\r\x1b[0K\n@+Title\n",
            &["O section_start:1:x\r\x1b[0KTitle"],
        );
        check(
            "2026-99-22T10:15:30.123456Z 01O no time",
            &["- 2026-99-22T10:15:30.123456Z 01O no time"],
        );
    }
}
