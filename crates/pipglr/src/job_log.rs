//! Logs of jobs as people read them: without line headers, section markers, and what could play tricks on a terminal.

/// Takes a log apart into lines, as it grows.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// The start of a line whose end has not come yet.
    partial: Vec<u8>,
    /// A whole line that may still be continued.
    held: Option<String>,
    marker_before: bool,
}

impl Decoder {
    /// Takes the next bytes and gives the lines they complete.
    pub(crate) fn push(&mut self, bytes: &[u8], mut line: impl FnMut(String)) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(&rest[..end]);
            rest = &rest[end + 1..];
            let raw = std::mem::take(&mut self.partial);
            self.take_line(&String::from_utf8_lossy(&raw), &mut line);
        }
        self.partial.extend_from_slice(rest);
    }

    /// Gives the line that may still be continued: nothing came for a while.
    pub(crate) fn flush(&mut self, mut line: impl FnMut(String)) {
        if let Some(held) = self.held.take() {
            line(held);
        }
    }

    /// The log has ended.
    pub(crate) fn finish(&mut self, mut line: impl FnMut(String)) {
        let raw = std::mem::take(&mut self.partial);
        if !raw.is_empty() {
            self.take_line(&String::from_utf8_lossy(&raw), &mut line);
        }
        self.flush(line);
    }

    /// The line that may still be continued.
    pub(crate) fn held(&self) -> Option<&str> {
        self.held.as_deref()
    }

    fn take_line(&mut self, raw: &str, line: &mut impl FnMut(String)) {
        let (body, continues) = without_header(raw);
        let body = without_sections(body).replace("\x1b[0K", "");
        let only_marker = body.trim_end_matches('\r').is_empty() && raw.contains("section_");
        // A continued line belongs to the one before it, unless that one was only a marker.
        if continues && !self.marker_before && self.held.is_some() {
            if let Some(held) = &mut self.held {
                held.push_str(&body);
            }
        } else if !only_marker && let Some(held) = self.held.replace(body) {
            line(held);
        }
        self.marker_before = only_marker;
    }
}

/// The log as a terminal shows it.
pub(crate) fn readable(trace: &[u8]) -> String {
    let mut text = String::with_capacity(trace.len());
    let mut decoder = Decoder::default();
    let mut add = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    decoder.push(trace, &mut add);
    decoder.finish(&mut add);
    text
}

/// A line as it may be shown: what was overwritten is gone, colours stay if they are wanted, no other sequence of a
/// terminal does.
pub(crate) fn shown(line: &str, colours: bool) -> String {
    let line = line.trim_end_matches('\r');
    let line = line.rsplit('\r').find(|part| !part.is_empty()).unwrap_or_default();
    let mut out = String::with_capacity(line.len());
    let mut coloured = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => {
                if let Some(sequence) = colour(&mut chars).filter(|_| colours) {
                    coloured = true;
                    out.push_str(&sequence);
                }
            }
            '\t' => out.push_str("    "),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    if coloured {
        out.push_str("\x1b[0m");
    }
    out
}

/// Takes a sequence after its escape; gives it if it is a colour.
fn colour(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    match chars.peek() {
        Some('[') => {
            let mut sequence = String::from("\x1b[");
            chars.next();
            for c in chars.by_ref() {
                sequence.push(c);
                if ('\x40'..='\x7e').contains(&c) {
                    return (c == 'm').then_some(sequence);
                }
            }
            None
        }
        // A title or a link, up to its end.
        Some(']' | 'P' | '_' | '^' | 'X') => {
            while let Some(c) = chars.next() {
                if c == '\x07' || (c == '\x1b' && chars.next_if_eq(&'\\').is_some()) {
                    break;
                }
            }
            None
        }
        _ => {
            chars.next();
            None
        }
    }
}

/// `2026-08-22T10:15:30.123456Z 01O ` and whether it says "continued".
fn without_header(line: &str) -> (&str, bool) {
    let header = line.as_bytes();
    let is_header = header.len() >= 32
        && line.is_char_boundary(32)
        && header[26] == b'Z'
        && header[27] == b' '
        && matches!(header[30], b'O' | b'E')
        && header[10] == b'T';
    if is_header {
        (&line[32..], header[31] == b'+')
    } else {
        (line, false)
    }
}

fn without_sections(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = ["section_start:", "section_end:"]
        .iter()
        .filter_map(|m| rest.find(m))
        .min()
    {
        match rest[at..].find('\r') {
            Some(end) => {
                out.push_str(&rest[..at]);
                rest = &rest[at + end + 1..];
            }
            // A script's own words.
            None => break,
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::{Decoder, readable, shown};

    const TRACE: &str = "2026-08-22T10:15:30.123456Z 00O before\n\
                     2026-08-22T10:15:30.123456Z 00O section_start:1:step_script\r\x1b[0K\n\
                     2026-08-22T10:15:30.123456Z 00O+\x1b[0KTitle\n\
                     2026-08-22T10:15:30.123456Z 01O hello\n\
                     2026-08-22T10:15:30.123456Z 01O+ again\n\
                     2026-08-22T10:15:30.123456Z 00O section_end:1:step_script\r\x1b[0K\n\
                     no header\n\
                     no end";
    const READABLE: &str = "before\nTitle\nhello again\nno header\nno end\n";

    #[test]
    fn traces_read_like_a_terminal() {
        assert_eq!(readable(TRACE.as_bytes()), READABLE);
    }

    #[test]
    fn it_does_not_matter_in_which_pieces_a_log_comes() {
        for size in 1..40 {
            let mut decoder = Decoder::default();
            let mut text = String::new();
            let mut add = |line: String| {
                text.push_str(&line);
                text.push('\n');
            };
            for piece in TRACE.as_bytes().chunks(size) {
                decoder.push(piece, &mut add);
            }
            decoder.finish(&mut add);
            assert_eq!(text, READABLE, "pieces of {size}");
        }
    }

    #[test]
    fn only_colours_get_through_to_a_terminal() {
        for (line, with, without) in [
            ("plain", "plain", "plain"),
            ("\x1b[32;1mgreen\x1b[0m", "\x1b[32;1mgreen\x1b[0m\x1b[0m", "green"),
            ("\x1b[2Jcleared\x1b[H", "cleared", "cleared"),
            ("\x1b]0;title\x07text", "text", "text"),
            ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link", "link"),
            ("10%\r50%\r100%\r", "100%", "100%"),
            ("a\tb\x08\x07", "a    b", "a    b"),
            ("\x1bcreset", "reset", "reset"),
            ("\x1b[", "", ""),
        ] {
            assert_eq!(shown(line, true), with, "{line:?}");
            assert_eq!(shown(line, false), without, "{line:?}");
        }
    }
}
