//! The string that tells managers sharing a token apart. Made once, kept on the state volume.
//!
//! Compat: gitlab-runner common/systemid: `s_` from the machine's id, `r_` at random. Inside a container image the
//! machine id says nothing, so it is always a random one here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The id's file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot keep the system ID in {}", path.display())]
pub struct SystemIdError {
    path: PathBuf,
    source: io::Error,
}

/// Reads `.runner_system_id` in `directory`, or creates it.
///
/// # Errors
/// The file can be neither read nor written: a manager without a stable id would leave a trail of dead managers in
/// GitLab.
pub fn load_or_create_system_id(directory: &Path) -> Result<String, SystemIdError> {
    let path = directory.join(".runner_system_id");
    let failed = |source| SystemIdError {
        path: path.clone(),
        source,
    };
    match fs::read_to_string(&path) {
        Ok(text) if is_valid(text.trim()) => return Ok(text.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let id = temporary_system_id();
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(&path, &id))
        .map_err(failed)?;
    Ok(id)
}

/// The id kept in `directory`, if there is a good one.
#[must_use]
pub fn known_system_id(directory: &Path) -> Option<String> {
    let text = fs::read_to_string(directory.join(".runner_system_id")).ok()?;
    Some(text.trim().to_owned()).filter(|id| is_valid(id))
}

/// An id that is not kept.
#[must_use]
pub fn temporary_system_id() -> String {
    format!("r_{}", &uuid::Uuid::new_v4().simple().to_string()[..12])
}

/// `s_` or `r_` and twelve letters or digits.
fn is_valid(id: &str) -> bool {
    id.strip_prefix("s_")
        .or_else(|| id.strip_prefix("r_"))
        .is_some_and(|rest| rest.len() == 12 && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::load_or_create_system_id;

    #[test]
    fn the_id_is_stable_and_bad_ones_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let first = load_or_create_system_id(dir.path()).unwrap();
        assert!(first.starts_with("r_") && first.len() == 14, "{first}");
        assert_eq!(load_or_create_system_id(dir.path()).unwrap(), first);
        std::fs::write(dir.path().join(".runner_system_id"), "s_0123456789ab\n").unwrap();
        assert_eq!(load_or_create_system_id(dir.path()).unwrap(), "s_0123456789ab");
        std::fs::write(dir.path().join(".runner_system_id"), "garbage").unwrap();
        assert!(load_or_create_system_id(dir.path()).unwrap().starts_with("r_"));
    }
}
