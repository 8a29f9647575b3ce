//! Settings for programs in the job's image, beside the image's own.

use super::FileVariable;
use crate::container_side::notice;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Writes each file that is not there. The job can do without: a failure is only told.
pub(super) fn write(files: &[FileVariable]) {
    for file in files {
        if let Err(error) = write_new(Path::new(&file.path), file.content.expose()) {
            notice::warning(&format!("podman inside this job is not told of {}: {error}", file.path));
        }
    }
}

fn write_new(path: &Path, content: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut file = match fs::OpenOptions::new().write(true).create_new(true).open(path) {
        // The image's own word counts.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        opened => opened?,
    };
    file.set_permissions(fs::Permissions::from_mode(0o644))?;
    file.write_all(content.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::{FileVariable, write};
    use pipglr_protocol::Secret;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_is_there_stays() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        std::fs::write(path("there"), "the image's").unwrap();
        // One cannot be written, and the next one is.
        let files = ["there", "there/below", "a/b/new"].map(|name| FileVariable {
            path: path(name).display().to_string(),
            content: Secret::new("the runner's"),
        });
        write(&files);
        assert_eq!(std::fs::read_to_string(path("there")).unwrap(), "the image's");
        assert_eq!(std::fs::read_to_string(path("a/b/new")).unwrap(), "the runner's");
        let mode = std::fs::metadata(path("a/b/new")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
    }
}
