//! A small value in two files that are written in turn: whenever the writer dies, the last whole value can be read.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Number, length and checksum before the value.
const HEAD: usize = 16;

/// The two files.
#[derive(Debug)]
pub(super) struct Slots {
    files: [File; 2],
    /// Of the last value.
    number: u64,
}

impl Slots {
    /// Opens the files `name.0` and `name.1` of `directory`, or creates them, and gives the last value.
    pub(super) fn open(directory: &Path, name: &str) -> io::Result<(Self, Option<Vec<u8>>)> {
        let open = |index: u8| {
            File::options()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .mode(0o600)
                .open(directory.join(format!("{name}.{index}")))
        };
        let files = [open(0)?, open(1)?];
        let newest = newest([read(&files[0])?, read(&files[1])?]);
        let (number, value) = newest.map_or((0, None), |(number, value)| (number, Some(value)));
        Ok((Self { files, number }, value))
    }

    /// The last value, for one who only looks while another process writes.
    pub(super) fn peek(directory: &Path, name: &str) -> io::Result<Option<Vec<u8>>> {
        let value = |index: u8| -> io::Result<Option<(u64, Vec<u8>)>> {
            match File::open(directory.join(format!("{name}.{index}"))) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                // Grown or cut meanwhile: not whole.
                file => Ok(read(&file?).ok().flatten()),
            }
        };
        Ok(newest([value(0)?, value(1)?]).map(|(_, value)| value))
    }

    /// Replaces the value. It survives the end of this process, not that of the machine.
    pub(super) fn write(&mut self, value: &[u8]) -> io::Result<()> {
        let number = self.number + 1;
        let mut bytes = Vec::with_capacity(HEAD + value.len());
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(value.len()).map_err(io::Error::other)?.to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(value).to_le_bytes());
        bytes.extend_from_slice(value);
        self.files[usize::from(number % 2 == 1)].write_all_at(&bytes, 0)?;
        self.number = number;
        Ok(())
    }
}

fn newest(values: [Option<(u64, Vec<u8>)>; 2]) -> Option<(u64, Vec<u8>)> {
    values.into_iter().flatten().max_by_key(|(number, _)| *number)
}

/// What a file holds; nothing if its last write was cut off.
fn read(file: &File) -> io::Result<Option<(u64, Vec<u8>)>> {
    let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, 0)?;
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() else {
        return Ok(None);
    };
    let number = |range: std::ops::Range<usize>| {
        head[range]
            .iter()
            .rev()
            .fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte))
    };
    let value = usize::try_from(number(8..12)).ok().and_then(|len| rest.get(..len));
    Ok(value
        .filter(|v| u64::from(crc32fast::hash(v)) == number(12..16))
        .map(|v| (number(0..8), v.to_vec())))
}

#[cfg(test)]
mod tests {
    use super::Slots;

    #[test]
    fn the_last_whole_value_is_read_wherever_a_write_was_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let (mut slots, none) = Slots::open(dir.path(), "p").unwrap();
        assert_eq!(none, None);
        for value in ["first and long", "second", "third!"] {
            slots.write(value.as_bytes()).unwrap();
        }
        let read = || Slots::open(dir.path(), "p").unwrap().1;
        assert_eq!(read().as_deref(), Some(b"third!".as_slice()));
        let newest = dir.path().join("p.1");
        let whole = std::fs::read(&newest).unwrap();
        for cut in 1..22 {
            let mut torn = whole.clone();
            torn[cut - 1] ^= 0x40;
            std::fs::write(&newest, &torn).unwrap();
            let value = read().unwrap();
            assert!(cut <= 8 && value == b"third!" || value == b"second", "byte {cut}");
            std::fs::write(&newest, &whole[..cut]).unwrap();
            assert_eq!(read().as_deref(), Some(b"second".as_slice()), "cut at {cut}");
        }
        let (mut slots, _) = Slots::open(dir.path(), "p").unwrap();
        slots.write(b"fourth").unwrap();
        assert_eq!(read().as_deref(), Some(b"fourth".as_slice()));
    }
}
