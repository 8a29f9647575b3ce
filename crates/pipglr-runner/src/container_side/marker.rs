//! In-band stage markers: how a container's output says where a stage begins and how it ended.
//!
//! A marker is `RS pipglr:<nonce>:<event> LF` and is written to stdout and to stderr, each stream being ordered in
//! itself. The nonce keeps honest output from being taken for a marker; a job that forges one only lies about itself.

use serde::{Deserialize, Serialize};

/// Starts every marker (ASCII record separator).
const SIGN: u8 = 0x1e;

/// Something a container announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A stage begins.
    Start { stage: String },
    /// A stage ended.
    End { stage: String, end: StageEnd },
    /// Nothing more will come.
    Finished,
}

/// How a stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageEnd {
    /// Its process ended with this exit code (128 + n for signal n).
    Exited(i32),
    /// Its time was up.
    TimedOut,
    /// It was stopped on request.
    Canceled,
    /// It could not run; the reason is in the output.
    SystemFailure,
}

impl Event {
    /// The bytes to write.
    #[must_use]
    pub fn encode(&self, nonce: &str) -> Vec<u8> {
        let text = match self {
            Self::Start { stage } => format!("start:{stage}"),
            Self::Finished => "finished".to_owned(),
            Self::End { stage, end } => match end {
                StageEnd::Exited(code) => format!("exited:{stage}:{code}"),
                StageEnd::TimedOut => format!("timedout:{stage}"),
                StageEnd::Canceled => format!("canceled:{stage}"),
                StageEnd::SystemFailure => format!("failed:{stage}"),
            },
        };
        let mut bytes = vec![SIGN];
        bytes.extend_from_slice(format!("pipglr:{nonce}:{text}\n").as_bytes());
        bytes
    }

    fn decode(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let kind = parts.next()?;
        if kind == "finished" {
            return Some(Self::Finished);
        }
        let stage = parts.next()?.to_owned();
        let end = match kind {
            "start" => return Some(Self::Start { stage }),
            "exited" => StageEnd::Exited(parts.next()?.parse().ok()?),
            "timedout" => StageEnd::TimedOut,
            "canceled" => StageEnd::Canceled,
            "failed" => StageEnd::SystemFailure,
            _ => return None,
        };
        Some(Self::End { stage, end })
    }
}

/// A piece of one stream: output, or a marker between outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Output(Vec<u8>),
    /// A marker, and how many bytes it took.
    Event(Event, usize),
}

/// Finds markers in one stream, however it is cut into chunks.
#[derive(Debug)]
pub struct MarkerReader {
    prefix: Vec<u8>,
    held: Vec<u8>,
}

/// A marker is never longer; what is longer is output.
const LONGEST_MARKER: usize = 512;

impl MarkerReader {
    /// A reader for markers with this nonce.
    #[must_use]
    pub fn new(nonce: &str) -> Self {
        let mut prefix = vec![SIGN];
        prefix.extend_from_slice(format!("pipglr:{nonce}:").as_bytes());
        Self {
            prefix,
            held: Vec::new(),
        }
    }

    /// Takes a chunk and gives the pieces that are complete.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<Piece> {
        let mut buffer = std::mem::take(&mut self.held);
        buffer.extend_from_slice(chunk);
        let (mut pieces, mut output, mut rest) = (Vec::new(), Vec::new(), buffer.as_slice());
        while let Some(at) = rest.iter().position(|&b| b == SIGN) {
            output.extend_from_slice(&rest[..at]);
            rest = &rest[at..];
            match self.marker(rest) {
                Found::Marker(event, len) => {
                    flush_output(&mut output, &mut pieces);
                    pieces.push(Piece::Event(event, len));
                    rest = &rest[len..];
                }
                Found::Incomplete => {
                    self.held = rest.to_vec();
                    rest = &[];
                    break;
                }
                Found::No => {
                    output.push(SIGN);
                    rest = &rest[1..];
                }
            }
        }
        output.extend_from_slice(rest);
        flush_output(&mut output, &mut pieces);
        pieces
    }

    /// What is held back when the stream ends.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    fn marker(&self, text: &[u8]) -> Found {
        let common = text.len().min(self.prefix.len());
        if text[..common] != self.prefix[..common] {
            return Found::No;
        }
        let body = &text[common..];
        match body.iter().take(LONGEST_MARKER).position(|&b| b == b'\n') {
            Some(end) => match std::str::from_utf8(&body[..end]).ok().and_then(Event::decode) {
                Some(event) => Found::Marker(event, common + end + 1),
                None => Found::No,
            },
            None if body.len() >= LONGEST_MARKER => Found::No,
            None => Found::Incomplete,
        }
    }
}

enum Found {
    Marker(Event, usize),
    Incomplete,
    No,
}

fn flush_output(output: &mut Vec<u8>, pieces: &mut Vec<Piece>) {
    if !output.is_empty() {
        pieces.push(Piece::Output(std::mem::take(output)));
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, MarkerReader, Piece, StageEnd};

    fn joined(pieces: Vec<Piece>) -> Vec<Piece> {
        let mut all: Vec<Piece> = Vec::new();
        for piece in pieces {
            match (all.last_mut(), piece) {
                (Some(Piece::Output(a)), Piece::Output(b)) => a.extend(b),
                (_, piece) => all.push(piece),
            }
        }
        all
    }

    #[test]
    fn markers_are_found_wherever_the_stream_is_cut() {
        let events = [
            Event::Start {
                stage: "step_script".into(),
            },
            Event::End {
                stage: "step_script".into(),
                end: StageEnd::Exited(3),
            },
            Event::End {
                stage: "after_script".into(),
                end: StageEnd::TimedOut,
            },
            Event::End {
                stage: "x".into(),
                end: StageEnd::Canceled,
            },
            Event::End {
                stage: "y".into(),
                end: StageEnd::SystemFailure,
            },
            Event::Finished,
        ];
        let (mut stream, mut expected) = (Vec::new(), Vec::new());
        for (i, event) in events.iter().enumerate() {
            let text = format!("out {i}\x1e pipglr:other:start:x\nno newline");
            stream.extend_from_slice(text.as_bytes());
            stream.extend(event.encode("n0nce"));
            expected.push(Piece::Output(text.into_bytes()));
            expected.push(Piece::Event(event.clone(), event.encode("n0nce").len()));
        }
        stream.extend_from_slice(b"\x1epipglr:n0nce:nonsense\ntail\x1e");
        for cut in 0..=stream.len() {
            let mut reader = MarkerReader::new("n0nce");
            let mut pieces = reader.push(&stream[..cut]);
            pieces.extend(reader.push(&stream[cut..]));
            pieces.push(Piece::Output(reader.finish()));
            let mut want = expected.clone();
            want.push(Piece::Output(b"\x1epipglr:n0nce:nonsense\ntail\x1e".to_vec()));
            assert_eq!(joined(pieces), want, "cut at {cut}");
        }
    }

    #[test]
    fn an_endless_marker_is_output() {
        let mut reader = MarkerReader::new("n");
        let mut stream = b"\x1epipglr:n:".to_vec();
        stream.extend(vec![b'a'; 600]);
        assert_eq!(joined(reader.push(&stream)), vec![Piece::Output(stream)]);
    }
}
