//! Both ends of a file: a log of any size is read in no time.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// At least as much is read at each end, in bytes: what a job did when stands there.
const LEAST: u64 = 64 * 1024;

/// What was read of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) head: Vec<u8>,
    /// Not there if `head` is everything.
    pub(super) tail: Option<Vec<u8>>,
    /// Bytes of the file.
    pub(super) size: u64,
}

/// Reads a quarter of `budget` bytes from the beginning of a log and the rest from its end. A log that is not there is
/// empty, as a job that never ran has none.
pub(super) fn read(path: &Path, budget: u64) -> io::Result<Ends> {
    let head = budget / 4;
    match File::open(path) {
        Ok(file) => ends(file, head.max(LEAST), (budget - head).max(LEAST)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Ends::default()),
        Err(error) => Err(error),
    }
}

fn ends(mut file: File, head: u64, tail: u64) -> io::Result<Ends> {
    let size = file.metadata()?.len();
    let mut first = Vec::new();
    if size <= head + tail {
        // It may grow while it is read.
        (&mut file).take(head + tail).read_to_end(&mut first)?;
        return Ok(Ends {
            head: first,
            tail: None,
            size,
        });
    }
    (&mut file).take(head).read_to_end(&mut first)?;
    file.seek(SeekFrom::Start(size - tail))?;
    let mut last = Vec::new();
    file.take(tail).read_to_end(&mut last)?;
    // Both ends are whole lines, if there are any.
    if let Some(end) = first.iter().rposition(|&b| b == b'\n') {
        first.truncate(end + 1);
    }
    if let Some(end) = last.iter().position(|&b| b == b'\n') {
        last.drain(..=end);
    }
    Ok(Ends {
        head: first,
        tail: Some(last),
        size,
    })
}

#[cfg(test)]
mod tests {
    use super::{Ends, ends, read};
    use std::path::Path;

    #[test]
    fn long_files_are_read_at_both_ends() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        for (content, head, tail) in [
            ("one\ntwo\n", "one\ntwo\n", None),
            ("one\ntwo\nthree\nfour\nfive\n", "one\n", Some("five\n")),
            ("0123456789abcdefghijkl", "012345", Some("efghijkl")),
        ] {
            std::fs::write(&path, content).unwrap();
            let expected = Ends {
                head: head.into(),
                tail: tail.map(Into::into),
                size: content.len() as u64,
            };
            assert_eq!(
                ends(std::fs::File::open(&path).unwrap(), 6, 8).unwrap(),
                expected,
                "{content:?}"
            );
        }
    }

    #[test]
    fn a_log_that_is_not_there_is_empty() {
        assert_eq!(read(Path::new("/nowhere/log"), 1).unwrap(), Ends::default());
    }
}
