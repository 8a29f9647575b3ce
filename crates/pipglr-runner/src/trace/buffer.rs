//! The job log on disk: append-only, counted, limited. It outlives the process that writes it.

use super::state::BufferState;
use crc32fast::Hasher;
use pipglr_protocol::update::Output;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The largest piece of a log sent at once.
///
/// Compat: gitlab-runner common/consts.go `DefaultTracePatchLimit`.
pub(super) const CHUNK: u64 = 1024 * 1024;

/// Bytes of a job's output that are kept in memory when the disk takes no more. The runner's own lines always are.
const MOST_IN_MEMORY: usize = 64 * 1024;

/// The bytes of one job's log, as they are sent.
#[derive(Debug)]
pub(super) struct Buffer {
    /// Nothing of a log that is only in memory.
    file: Option<File>,
    path: PathBuf,
    len: u64,
    /// How many of the bytes are in the file; the rest is in memory, because the disk did not take it.
    in_file: u64,
    memory: Vec<u8>,
    limit: u64,
    full: bool,
    crc: Hasher,
    /// Tail of a UTF-8 sequence that was cut by a write.
    torn: Vec<u8>,
}

impl Buffer {
    /// Opens the file, or creates it, and goes on from `state`: what an earlier process wrote after that is cut off.
    /// `limit` is in bytes.
    pub(super) fn open(path: &Path, limit: u64, state: &BufferState) -> io::Result<Self> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(path)?;
        if file.metadata()?.len() < state.len {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the job log has less than the {} bytes it is known to have", state.len),
            ));
        }
        file.set_len(state.len)?;
        let mut buffer = Self {
            file: Some(file),
            path: path.to_owned(),
            len: state.len,
            in_file: state.len,
            memory: Vec::new(),
            limit,
            full: state.full,
            crc: Hasher::new(),
            torn: state.torn.clone(),
        };
        let mut offset = 0;
        while offset < buffer.len {
            let chunk = buffer.read(offset)?;
            buffer.crc.update(&chunk);
            offset += chunk.len() as u64;
        }
        Ok(buffer)
    }

    /// A log for which there is no room on disk.
    pub(super) fn in_memory(path: &Path, limit: u64) -> Self {
        Self {
            file: None,
            path: path.to_owned(),
            len: 0,
            in_file: 0,
            memory: Vec::new(),
            limit,
            full: false,
            crc: Hasher::new(),
            torn: Vec::new(),
        }
    }

    /// Where it is, to go on with later. A next process has nothing but the file.
    pub(super) fn state(&self) -> BufferState {
        BufferState {
            len: self.in_file,
            full: self.full,
            torn: self.torn.clone(),
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Whether the limit is reached: nothing more will be kept.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Whether memory has as much of the job's output as may be there.
    pub(super) fn is_crowded(&self) -> bool {
        self.memory.len() >= MOST_IN_MEMORY
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Checksum and size of everything written so far.
    pub(super) fn output(&self) -> Output {
        Output::of(self.crc.clone().finalize(), self.len)
    }

    /// Appends bytes; what is not UTF-8 becomes U+FFFD, what is over the limit is dropped after one notice.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.full {
            return Ok(());
        }
        self.torn.extend_from_slice(bytes);
        let text = take_utf8(&mut self.torn);
        self.write_limited(&text)
    }

    /// Writes a torn character that will not be completed any more.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let rest = std::mem::take(&mut self.torn);
        if rest.is_empty() || self.full {
            Ok(())
        } else {
            self.write_limited(&String::from_utf8_lossy(&rest))
        }
    }

    /// Reads at most [`CHUNK`] bytes from `offset`.
    pub(super) fn read(&self, offset: u64) -> io::Result<Vec<u8>> {
        let size = self.len.saturating_sub(offset).min(CHUNK);
        let from_file = size.min(self.in_file.saturating_sub(offset));
        let mut chunk = vec![0; usize::try_from(from_file).expect("a chunk fits in memory")];
        if let Some(file) = self.file.as_ref().filter(|_| from_file > 0) {
            file.read_exact_at(&mut chunk, offset)?;
        }
        let begin = usize::try_from((offset + from_file).saturating_sub(self.in_file)).unwrap_or(usize::MAX);
        let end = begin.saturating_add(usize::try_from(size - from_file).expect("a chunk fits in memory"));
        chunk.extend_from_slice(self.memory.get(begin..end).unwrap_or_default());
        Ok(chunk)
    }

    fn write_limited(&mut self, text: &str) -> io::Result<()> {
        let room = self.limit.saturating_sub(self.len);
        if (text.len() as u64) < room {
            return self.write(text.as_bytes());
        }
        let mut cut = usize::try_from(room).unwrap_or(usize::MAX).min(text.len());
        while !text.is_char_boundary(cut) {
            cut -= 1;
        }
        self.write(&text.as_bytes()[..cut])?;
        let limit = self.limit;
        self.full = true;
        self.write(
            format!(
                "\n\x1b[33;1mJob's log exceeded limit of {limit} bytes.\n\
                 Job execution will continue but no more output will be collected.\x1b[0;m\n"
            )
            .as_bytes(),
        )
    }

    /// What the disk does not take stays in memory, so that the coordinator hears of it; the first time that is an error.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = match &self.file {
            Some(file) if self.memory.is_empty() => Some(file.write_all_at(bytes, self.len)),
            _ => None,
        };
        self.crc.update(bytes);
        self.len += bytes.len() as u64;
        if let Some(Ok(())) = written {
            self.in_file = self.len;
        } else {
            self.memory.extend_from_slice(bytes);
        }
        written.unwrap_or(Ok(()))
    }
}

/// Takes all complete characters off `bytes`, replacing invalid ones; an incomplete last one stays.
fn take_utf8(bytes: &mut Vec<u8>) -> String {
    let keep = match std::str::from_utf8(bytes) {
        Ok(_) => 0,
        Err(error) if error.error_len().is_none() => bytes.len() - error.valid_up_to(),
        Err(_) => incomplete_tail(bytes),
    };
    let rest = bytes.split_off(bytes.len() - keep);
    let text = String::from_utf8_lossy(bytes).into_owned();
    *bytes = rest;
    text
}

/// How many bytes at the end are the start of a character that may still be completed.
fn incomplete_tail(bytes: &[u8]) -> usize {
    (1..=3.min(bytes.len()))
        .find(|&n| {
            std::str::from_utf8(&bytes[bytes.len() - n..])
                .is_err_and(|e| e.valid_up_to() == 0 && e.error_len().is_none())
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Buffer, BufferState};

    fn buffer(limit: u64) -> (tempfile::TempDir, Buffer) {
        let dir = tempfile::tempdir().unwrap();
        let buffer = Buffer::open(&dir.path().join("trace"), limit, &BufferState::default()).unwrap();
        (dir, buffer)
    }

    fn text(buffer: &Buffer) -> String {
        String::from_utf8(buffer.read(0).unwrap()).unwrap()
    }

    #[test]
    fn checksum_and_size_are_those_of_the_bytes() {
        let (_dir, mut b) = buffer(100);
        b.append(b"123456789").unwrap();
        assert_eq!(b.output().checksum.as_deref(), Some("crc32:cbf43926"));
        assert_eq!(b.output().bytesize, Some(9));
    }

    #[test]
    fn characters_cut_by_writes_are_whole_in_the_log() {
        let (_dir, mut b) = buffer(100);
        let bytes = "aéß€😀z".as_bytes();
        for byte in bytes {
            b.append(&[*byte]).unwrap();
        }
        assert_eq!(text(&b), "aéß€😀z");
    }

    #[test]
    fn invalid_bytes_are_replaced() {
        let (_dir, mut b) = buffer(100);
        b.append(b"a\xffb\xe2\x82").unwrap();
        b.append(b"x\xe2").unwrap();
        b.flush().unwrap();
        assert_eq!(text(&b), "a\u{fffd}b\u{fffd}x\u{fffd}");
    }

    #[test]
    fn the_limit_cuts_between_characters_and_says_so_once() {
        let (_dir, mut b) = buffer(6);
        b.append("abcd€".as_bytes()).unwrap();
        b.append(b"more").unwrap();
        assert_eq!(
            text(&b),
            "abcd\n\x1b[33;1mJob's log exceeded limit of 6 bytes.\n\
             Job execution will continue but no more output will be collected.\x1b[0;m\n"
        );
    }

    #[test]
    fn what_a_full_disk_does_not_take_is_sent_from_memory() {
        let (_dir, mut b) = buffer(1 << 20);
        b.append(b"on disk, ").unwrap();
        b.file = Some(std::fs::File::options().write(true).open("/dev/full").unwrap());
        let error = b.append(b"not on disk").unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        b.append(b", nor this").unwrap();
        assert_eq!(b.read(12).unwrap(), b" on disk, nor this");
        assert_eq!(b.output().bytesize, Some(30));
        assert_eq!(b.state().len, 9, "a next process has the file alone");
        assert!(!b.is_crowded());
        b.append(&[b'x'; super::MOST_IN_MEMORY]).unwrap();
        assert!(b.is_crowded());
        let mut none = Buffer::in_memory(std::path::Path::new("nowhere"), 1 << 20);
        none.append(b"all of it").unwrap();
        assert_eq!(text(&none), "all of it");
    }
}
