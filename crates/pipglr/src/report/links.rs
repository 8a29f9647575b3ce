//! Where a page finds files beside it.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// A link from the page at `page` to `target`: relative if the page's directory can be moved with it.
pub(super) fn to(target: &Path, page: &Path) -> String {
    let directory = page.parent().unwrap_or(Path::new("/"));
    match target.strip_prefix(directory) {
        Ok(below) => format!("./{}", encoded(below)),
        Err(_) => format!("file://{}", encoded(target)),
    }
}

fn encoded(path: &Path) -> String {
    let mut text = String::new();
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' => text.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
            byte => {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::to;
    use std::path::Path;

    #[test]
    fn links_are_relative_where_they_can_be() {
        for (target, link) in [
            ("/run/data/a b.zip", "./data/a%20b.zip"),
            ("/elsewhere/é\"'.zip", "file:///elsewhere/%C3%A9%22%27.zip"),
            ("/run/javascript:x", "./javascript%3Ax"),
        ] {
            assert_eq!(to(Path::new(target), Path::new("/run/page.html")), link);
        }
    }
}
