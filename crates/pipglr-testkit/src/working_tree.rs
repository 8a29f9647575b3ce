//! Working trees of git for programs that look at one.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Makes `directory` a working tree on the branch `main`, with one commit of these files and of what is there.
///
/// # Panics
/// A file cannot be written, or git fails.
pub fn commit(directory: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().expect("files lie below the directory")).expect("a directory");
        fs::write(path, text).expect("a file");
    }
    for words in [
        &["init", "--quiet", "--initial-branch=main"][..],
        &["add", "."],
        &["commit", "--quiet", "--allow-empty", "-m", "x"],
    ] {
        let status = Command::new("git")
            .args(["-c", "user.name=x", "-c", "user.email=x"])
            .args(words)
            .current_dir(directory)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .status()
            .expect("git is installed");
        assert!(status.success(), "git {words:?}");
    }
}
