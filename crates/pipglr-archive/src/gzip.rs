//! Regular files as concatenated gzip members, each with its name, path and time in its header.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use flate2::{Compression, GzBuilder};

use crate::beneath::Beneath;
use crate::error::Error;
use crate::select::{Entry, EntryKind};
use crate::write::copy_at_most;

/// Says in a gzip header that the file system is not told.
const UNKNOWN_SYSTEM: u8 = 255;

/// Writes one gzip member per entry, in order; returns how many bytes the files had.
///
/// # Errors
/// [`Error::NotRegular`] if any entry is not a regular file, before anything is written.
pub fn write_gzip<W: Write>(root: &Path, entries: &[Entry], mut out: W) -> Result<u64, Error> {
    if let Some(entry) = entries.iter().find(|e| e.kind != EntryKind::File) {
        return Err(Error::NotRegular {
            path: entry.name.clone(),
        });
    }
    let output = |source: io::Error| Error::Output { source };
    let beneath = Beneath::open(root)?;
    let mut total = 0;
    for entry in entries {
        let (mut file, stat) = beneath.open_file(&entry.source)?;
        let base = entry.name.file_name().unwrap_or_default();
        let mut member = GzBuilder::new()
            .filename(header_text(base.as_bytes()))
            .comment(header_text(entry.name.as_os_str().as_bytes()))
            .mtime(u32::try_from(stat.st_mtime).unwrap_or(0))
            .operating_system(UNKNOWN_SYSTEM)
            .write(&mut out, Compression::default());
        total += copy_at_most(&mut file, &mut member, u64::MAX, &entry.name)?;
        member.finish().map_err(output)?;
    }
    out.flush().map_err(output)?;
    Ok(total)
}

/// A name as it may stand in a gzip header, which holds no UTF-8.
///
/// Compat: non-ASCII text and text with `%` is percent-encoded like one segment of a URL path and marked
/// with `e:` (gitlab-runner, helpers/archives/gzip_create.go).
fn header_text(name: &[u8]) -> String {
    let plain = str::from_utf8(name)
        .ok()
        .filter(|text| text.is_ascii() && !text.contains('%'));
    if let Some(text) = plain {
        return text.to_owned();
    }
    let mut text = String::from("e:");
    for &byte in name {
        if byte.is_ascii_alphanumeric() || b"-_.~$&+=:@".contains(&byte) {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("writing to a String cannot fail");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::header_text;

    #[test]
    fn header_text_is_encoded_only_where_needed() {
        let rows: [(&[u8], &str); 6] = [
            (b"a b/c,d", "a b/c,d"),
            (b"100%", "e:100%25"),
            ("d/é x".as_bytes(), "e:d%2F%C3%A9%20x"),
            (b"\xff", "e:%FF"),
            (b"%!*'();:@&=+$,/?", "e:%25%21%2A%27%28%29%3B:@&=+$%2C%2F%3F"),
            (b"%-_.~", "e:%25-_.~"),
        ];
        for (name, expected) in rows {
            assert_eq!(header_text(name), expected);
        }
    }
}
