//! Checksums of all files, and their signature by a key of ssh's kind.

use super::{CHECKSUMS, SIGNATURE};
use anyhow::{Context as _, ensure};
use pipglr_e2e::command::CommandExt as _;
use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Keeps a signature of something else from being taken for one of ours.
const NAMESPACE: &str = "pipglr-release";
/// Whom the checksums are said to be from.
const IDENTITY: &str = "release@pipglr";

/// Writes the checksums of every file in `out`.
pub(super) fn write_checksums(out: &Path) -> anyhow::Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(out)? {
        names.push(entry?.file_name());
    }
    names.sort();
    let sums = Command::new("sha256sum")
        .arg("--")
        .args(&names)
        .current_dir(out)
        .run_text()?;
    fs::write(out.join(CHECKSUMS), sums).context("write the checksums")
}

/// Fails unless all files have the sums that stand in the list, and every other file is listed.
pub(super) fn verify_checksums(out: &Path) -> anyhow::Result<()> {
    let mut check = Command::new("sha256sum");
    check
        .args(["--check", "--strict", "--quiet", CHECKSUMS])
        .current_dir(out)
        .run_text()?;
    let list = fs::read_to_string(out.join(CHECKSUMS))?;
    for entry in fs::read_dir(out)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        let listed = list.lines().any(|line| line.ends_with(&format!("  {name}")));
        ensure!(
            listed || [CHECKSUMS, SIGNATURE].contains(&name.as_ref()),
            "{name} is not in {CHECKSUMS}"
        );
    }
    Ok(())
}

/// A private key that ssh-keygen can use.
#[derive(Debug)]
pub(super) struct Key {
    /// ssh-keygen takes no key that others may read, as files of CI variables can be.
    place: TempDir,
    public: String,
}

impl Key {
    /// The key in `file`.
    pub(super) fn open(file: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(file)
            .with_context(|| format!("read the signing key {}: it has to be a file", file.display()))?;
        let place = tempfile::tempdir()?;
        let mut copy = fs::File::options();
        let mut copy = copy
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(place.path().join("key"))?;
        // Without the last line's end, which CI variables lose, it is no key.
        std::io::Write::write_all(
            &mut copy,
            format!("{}\n", text.trim_end().replace("\r\n", "\n")).as_bytes(),
        )?;
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-y", "-P", "", "-f"]).arg(place.path().join("key"));
        let said = keygen.stdin(Stdio::null()).run_any()?;
        ensure!(
            said.status.success(),
            "{} is no private key without a passphrase: ssh-keygen -t ed25519 -N '' makes one",
            file.display()
        );
        let public = String::from_utf8(said.stdout)?.trim().to_owned();
        Ok(Self { place, public })
    }

    pub(super) fn public(&self) -> &str {
        &self.public
    }

    /// Writes `FILE.sig`.
    pub(super) fn sign(&self, file: &Path) -> anyhow::Result<()> {
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-Y", "sign", "-q", "-n", NAMESPACE, "-f"]);
        keygen.arg(self.place.path().join("key")).arg(file).run_text()?;
        Ok(())
    }
}

/// Fails unless the checksums in `out` are signed by the key whose public half is `public`.
pub(super) fn verify(out: &Path, public: &str) -> anyhow::Result<()> {
    let place = tempfile::tempdir()?;
    let signers = place.path().join("allowed_signers");
    fs::write(&signers, format!("{IDENTITY} namespaces=\"{NAMESPACE}\" {public}\n"))?;
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-Y", "verify", "-q", "-n", NAMESPACE, "-I", IDENTITY, "-f"]);
    keygen.arg(&signers).arg("-s").arg(out.join(SIGNATURE));
    let list = fs::read_to_string(out.join(CHECKSUMS))?;
    keygen.run_with_input(&list).context("the signature of the checksums")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(directory: &Path, name: &str) -> std::path::PathBuf {
        let key = directory.join(name);
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key);
        keygen.run_text().unwrap();
        key
    }

    #[test]
    fn a_change_is_seen() {
        let (keys, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let out = out.path();
        let (ours, other) = (key(keys.path(), "ours"), key(keys.path(), "other"));
        // As a variable of GitLab gives it: readable by all, without the last line's end.
        let text = fs::read_to_string(&ours).unwrap();
        let variable = keys.path().join("variable");
        fs::write(&variable, text.trim_end()).unwrap();
        let ours = Key::open(&variable).unwrap();
        fs::write(out.join("a.tar.gz"), "a").unwrap();
        write_checksums(out).unwrap();
        ours.sign(&out.join(CHECKSUMS)).unwrap();
        verify_checksums(out).unwrap();
        verify(out, ours.public()).unwrap();
        assert!(
            verify(out, Key::open(&other).unwrap().public()).is_err(),
            "by another key"
        );
        fs::write(out.join("b"), "b").unwrap();
        let error = verify_checksums(out).unwrap_err().to_string();
        assert_eq!(error, "b is not in SHA256SUMS");
        fs::remove_file(out.join("b")).unwrap();
        fs::write(out.join("a.tar.gz"), "b").unwrap();
        assert!(verify_checksums(out).is_err(), "another content");
        write_checksums(out).unwrap();
        assert!(verify(out, ours.public()).is_err(), "another list");
    }

    #[test]
    fn what_is_no_key_is_told() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("key");
        let error = format!("{:#}", Key::open(&file).unwrap_err());
        assert!(error.starts_with("read the signing key "), "{error}");
        fs::write(&file, "secret words").unwrap();
        let error = format!("{:#}", Key::open(&file).unwrap_err());
        assert!(error.contains("is no private key"), "{error}");
        assert!(!error.contains("secret words"), "{error}");
    }
}
