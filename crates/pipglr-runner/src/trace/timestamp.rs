//! Line framing of a trace: every line of a stream gets a header with time, stream and continuation flag.
//!
//! Compat: gitlab-runner common/buildlogger/internal/timestamper/timestamper.go.

use super::state::bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Longest partial line that is held back before it is written out as a continued line.
const LONGEST_LINE: usize = 8 * 1024;

/// Frames one stream. With timestamps off, bytes pass unchanged.
#[derive(Debug)]
pub(super) struct LineFramer {
    tag: Option<[u8; 3]>,
    line: PartialLine,
}

/// The line a framer is in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct PartialLine {
    #[serde(with = "bytes")]
    partial: Vec<u8>,
    began: Option<Timestamp>,
    continues: bool,
}

impl PartialLine {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl LineFramer {
    /// A framer for stream number `number` (`00` runner, `01` job), as stdout or stderr.
    pub(super) fn new(timestamps: bool, number: u8, stderr: bool) -> Self {
        let hex = b"0123456789abcdef";
        let tag = [
            hex[usize::from(number >> 4)],
            hex[usize::from(number & 15)],
            if stderr { b'E' } else { b'O' },
        ];
        Self {
            tag: timestamps.then_some(tag),
            line: PartialLine::default(),
        }
    }

    /// The line it is in.
    pub(super) fn held(&self) -> &PartialLine {
        &self.line
    }

    /// Goes on within a line another framer began.
    pub(super) fn resume(&mut self, line: PartialLine) {
        self.line = line;
    }

    /// Appends the framed form of `input`, received at `now`, to `out`.
    pub(super) fn push(&mut self, input: &[u8], now: Timestamp, out: &mut Vec<u8>) {
        if self.tag.is_none() {
            out.extend_from_slice(input);
            return;
        }
        let mut rest = input;
        while let Some(end) = rest.iter().position(|&b| b == b'\n') {
            self.line.began.get_or_insert(now);
            self.line.partial.extend_from_slice(&rest[..end]);
            self.write_line(out, false);
            rest = &rest[end + 1..];
        }
        if rest.is_empty() {
            return;
        }
        self.line.began.get_or_insert(now);
        self.line.partial.extend_from_slice(rest);
        // Progress bars and section markers must show up while they happen.
        if rest.contains(&b'\r') {
            self.write_line(out, true);
        }
        while self.line.partial.len() > LONGEST_LINE {
            let tail = self.line.partial.split_off(LONGEST_LINE);
            self.write_line(out, true);
            self.line.partial = tail;
            self.line.began = Some(now);
        }
    }

    /// Writes a pending partial line.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>) {
        if !self.line.partial.is_empty() {
            self.write_line(out, false);
        }
    }

    fn write_line(&mut self, out: &mut Vec<u8>, continues: bool) {
        let Some(tag) = self.tag else { return };
        let began = self.line.began.take().unwrap_or_default();
        out.extend_from_slice(format!("{began:.6} ").as_bytes());
        out.extend_from_slice(&tag);
        out.push(if self.line.continues { b'+' } else { b' ' });
        out.append(&mut self.line.partial);
        out.push(b'\n');
        self.line.continues = continues;
    }
}

#[cfg(test)]
mod tests {
    use super::LineFramer;
    use jiff::Timestamp;

    fn framed(chunks: &[&str]) -> String {
        let now: Timestamp = "2026-08-22T10:15:30.123456Z".parse().unwrap();
        let mut framer = LineFramer::new(true, 1, false);
        let mut out = Vec::new();
        for chunk in chunks {
            framer.push(chunk.as_bytes(), now, &mut out);
        }
        framer.flush(&mut out);
        String::from_utf8(out)
            .unwrap()
            .replace("2026-08-22T10:15:30.123456Z 01O", "@")
    }

    #[test]
    fn lines_are_framed() {
        for (chunks, expected) in [
            (&["one\ntwo\n"][..], "@ one\n@ two\n"),
            (&["par", "tial\n"], "@ partial\n"),
            (&["no newline"], "@ no newline\n"),
            (&["\n"], "@ \n"),
            (&["10%\r", "20%\r", "done\n"], "@ 10%\r\n@+20%\r\n@+done\n"),
            (&["a\r\nb\n"], "@ a\r\n@ b\n"),
        ] {
            assert_eq!(framed(chunks), expected, "{chunks:?}");
        }
    }

    #[test]
    fn header_is_32_bytes() {
        let mut framer = LineFramer::new(true, 15, true);
        let mut out = Vec::new();
        framer.push(b"x\n", "2026-08-22T10:15:30Z".parse().unwrap(), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "2026-08-22T10:15:30.000000Z 0fE x\n");
    }

    #[test]
    fn long_partial_lines_are_cut() {
        let text = framed(&[&"x".repeat(8192 + 5)]);
        assert_eq!(text, format!("@ {}\n@+xxxxx\n", "x".repeat(8192)));
    }

    #[test]
    fn without_timestamps_bytes_pass() {
        let mut framer = LineFramer::new(false, 1, false);
        let mut out = Vec::new();
        framer.push(b"a\rb", Timestamp::UNIX_EPOCH, &mut out);
        assert_eq!(out, b"a\rb");
    }
}
