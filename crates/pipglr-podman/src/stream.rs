//! Multiplexed output of attach, exec and logs: a pure decoder of 8-byte-header frames. No I/O.

use bytes::{Buf as _, Bytes, BytesMut};

/// Which of the process's outputs a frame came from. A terminal has only `Stdout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutputKind {
    /// File descriptor 1, or the terminal.
    Stdout,
    /// File descriptor 2. podman's own late errors (`Error: …`) arrive here too.
    Stderr,
}

/// One piece of output. In logs a frame is one line, or a part of a very long one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Where the bytes came from.
    pub kind: OutputKind,
    /// The bytes as written; never changed, not necessarily text.
    pub data: Bytes,
}

/// Why a multiplexed stream could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The first byte of a header names no stream.
    #[error("unknown stream number {0}")]
    UnknownStream(u8),
    /// The header announces more than [`FrameDecoder::MAX_FRAME`] bytes.
    #[error("frame of {0} bytes")]
    TooLong(u32),
    /// The stream ended inside a frame.
    #[error("ended inside a frame, {0} bytes left over")]
    Truncated(usize),
}

/// Incremental decoder: any split of the input gives the same frames.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    buffer: BytesMut,
    last: Option<OutputKind>,
}

const HEADER: usize = 8;

impl FrameDecoder {
    /// Longest frame accepted, in bytes. podman cuts its frames at the size of its own buffers, far below this.
    pub const MAX_FRAME: u32 = 16 * 1024 * 1024;

    /// Adds received bytes. Take the frames they complete with [`Self::next_frame`].
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// Takes the next whole frame, or `None` until more bytes are pushed.
    ///
    /// # Errors
    /// A malformed header; the stream cannot be continued after it.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        // Compat: with `logs=true`, attach writes each line's newline after the frame without counting it in the
        // header (podman libpod/oci_conmon_common.go, HTTPAttach). No stream has the number 10, so it is unambiguous.
        if let (Some(kind), Some(b'\n')) = (self.last, self.buffer.first()) {
            let data = self.buffer.split_to(1).freeze();
            return Ok(Some(Frame { kind, data }));
        }
        let Some(&[stream, _, _, _, a, b, c, d]) = self.buffer.first_chunk::<HEADER>() else {
            return match self.buffer.first() {
                Some(&stream) => output_kind(stream).map(|_| None),
                None => Ok(None),
            };
        };
        let kind = output_kind(stream)?;
        let length = u32::from_be_bytes([a, b, c, d]);
        if length > Self::MAX_FRAME {
            return Err(FrameError::TooLong(length));
        }
        let length = length as usize;
        if self.buffer.len() < HEADER + length {
            self.buffer.reserve(HEADER + length - self.buffer.len());
            return Ok(None);
        }
        self.buffer.advance(HEADER);
        self.last = Some(kind);
        let data = self.buffer.split_to(length).freeze();
        Ok(Some(Frame { kind, data }))
    }

    /// Checks, at the end of input, that no frame was cut.
    ///
    /// # Errors
    /// [`FrameError::Truncated`] with the number of bytes that belong to no whole frame.
    pub fn finish(&self) -> Result<(), FrameError> {
        match self.buffer.len() {
            0 => Ok(()),
            left => Err(FrameError::Truncated(left)),
        }
    }
}

/// Stream 0 is standard input, which Docker defines as shown on standard output.
fn output_kind(stream: u8) -> Result<OutputKind, FrameError> {
    match stream {
        0 | 1 => Ok(OutputKind::Stdout),
        2 => Ok(OutputKind::Stderr),
        other => Err(FrameError::UnknownStream(other)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(frames: &[(u8, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (stream, data) in frames {
            out.extend_from_slice(&[*stream, 0, 0, 0]);
            out.extend_from_slice(&(data.len() as u32).to_be_bytes());
            out.extend_from_slice(data);
        }
        out
    }

    fn frame(kind: OutputKind, data: &[u8]) -> Frame {
        Frame {
            kind,
            data: Bytes::copy_from_slice(data),
        }
    }

    fn decode<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Frame>, FrameError> {
        let mut decoder = FrameDecoder::default();
        let mut frames = Vec::new();
        for chunk in chunks {
            decoder.push(chunk);
            while let Some(frame) = decoder.next_frame()? {
                frames.push(frame);
            }
        }
        decoder.finish()?;
        Ok(frames)
    }

    #[test]
    fn a_split_at_any_byte_gives_the_same_frames() {
        let input = encode(&[(1, b"out\n"), (2, b"err"), (1, b""), (0, b"in"), (1, &[0, 1, 2, 255])]);
        let expected = vec![
            frame(OutputKind::Stdout, b"out\n"),
            frame(OutputKind::Stderr, b"err"),
            frame(OutputKind::Stdout, b""),
            frame(OutputKind::Stdout, b"in"),
            frame(OutputKind::Stdout, &[0, 1, 2, 255]),
        ];
        for at in 0..=input.len() {
            let (head, tail) = input.split_at(at);
            assert_eq!(decode([head, tail]), Ok(expected.clone()), "split at {at}");
        }
        assert_eq!(decode(input.chunks(1)), Ok(expected));
    }

    #[test]
    fn a_newline_between_frames_belongs_to_the_frame_before() {
        let mut input = encode(&[(2, b"line")]);
        input.push(b'\n');
        input.extend(encode(&[(1, b"next")]));
        let expected = vec![
            frame(OutputKind::Stderr, b"line"),
            frame(OutputKind::Stderr, b"\n"),
            frame(OutputKind::Stdout, b"next"),
        ];
        assert_eq!(decode([input.as_slice()]), Ok(expected.clone()));
        assert_eq!(decode(input.chunks(1)), Ok(expected));
    }

    #[test]
    fn a_malformed_stream_is_an_error() {
        for (input, expected) in [
            (&b"\n"[..], FrameError::UnknownStream(10)),
            (b"HTTP/1.1 500", FrameError::UnknownStream(b'H')),
            (b"\x03", FrameError::UnknownStream(3)),
            (b"\x01\0\0\0\xff\xff\xff\xff", FrameError::TooLong(u32::MAX)),
            (b"\x01\0\0", FrameError::Truncated(3)),
            (b"\x01\0\0\0\0\0\0\x02a", FrameError::Truncated(9)),
        ] {
            assert_eq!(decode([input]), Err(expected), "{input:?}");
        }
    }

    #[test]
    fn frames_before_a_malformed_one_are_delivered() {
        let mut decoder = FrameDecoder::default();
        decoder.push(&encode(&[(1, b"good")]));
        decoder.push(b"\x07rubbish");
        assert_eq!(decoder.next_frame(), Ok(Some(frame(OutputKind::Stdout, b"good"))));
        assert_eq!(decoder.next_frame(), Err(FrameError::UnknownStream(7)));
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_frames(
            frames in prop::collection::vec((0u8..3, prop::collection::vec(any::<u8>(), 0..40)), 0..12),
            sizes in prop::collection::vec(1usize..17, 1..40),
        ) {
            let borrowed: Vec<(u8, &[u8])> = frames.iter().map(|(s, d)| (*s, d.as_slice())).collect();
            let input = encode(&borrowed);
            let mut chunks = Vec::new();
            let mut rest = input.as_slice();
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (head, tail) = rest.split_at((*size).min(rest.len()));
                chunks.push(head);
                rest = tail;
            }
            let expected: Vec<Frame> = frames
                .iter()
                .map(|(s, d)| frame(if *s == 2 { OutputKind::Stderr } else { OutputKind::Stdout }, d))
                .collect();
            prop_assert_eq!(decode(chunks), Ok(expected));
        }
    }
}
