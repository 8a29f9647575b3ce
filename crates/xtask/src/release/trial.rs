//! The release of programs that are there already, signed by a throw-away key: for `cargo xtask test`.

use super::version::Version;
use pipglr_e2e::command::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// Makes a release of `programs`, checks it as every release is, and throws it away.
pub(crate) fn trial(programs: &[(&str, &Path)]) -> anyhow::Result<()> {
    let place = tempfile::tempdir()?;
    let key = place.path().join("key");
    let mut keygen = Command::new("ssh-keygen");
    keygen
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .run_text()?;
    let out = place.path().join("dist");
    super::make(&Version::of_workspace()?, &out, Some(&key), programs)?;
    // It must be able to fail.
    let listed = out.join(super::CHECKSUMS);
    let list = std::fs::read_to_string(&listed)?;
    std::fs::write(&listed, list.replace("linux-amd64", "linux-other"))?;
    let public = std::fs::read_to_string(key.with_extension("pub"))?;
    let changed = super::check::everything(&Version::of_workspace()?, &out, Some(public.trim()));
    anyhow::ensure!(changed.is_err(), "a changed list of checksums was taken for ours");
    Ok(())
}
