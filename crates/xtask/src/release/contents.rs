//! An archive: the program, what explains it, and what a distribution would put beside it.

use super::version::Version;
use crate::image::Arch;
use anyhow::Context as _;
use pipglr_e2e::command::CommandExt as _;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Files of the repository in each archive.
const DOCUMENTS: [&str; 3] = ["LICENSE", "README.md", "CHANGELOG.md"];
/// The bill of materials inside.
pub(super) const BILL: &str = "sbom.cdx.json";
/// Shells and the names their completions have where they look for them.
pub(super) const COMPLETIONS: [(&str, &str); 3] = [("bash", "pipglr"), ("zsh", "_pipglr"), ("fish", "pipglr.fish")];

/// The archive's name without `.tar.gz`, and its directory's.
pub(super) fn name(version: &Version, arch: &Arch) -> String {
    format!("pipglr-{version}-linux-{}", arch.debian)
}

/// Makes `NAME.tar.gz` in `out`. Pages and completions are written by `native`, which can be run here.
pub(super) fn archive(out: &Path, name: &str, program: &Path, native: &Path, bill: &Path) -> anyhow::Result<()> {
    let place = tempfile::tempdir()?;
    let root = place.path().join(name);
    fs::create_dir(&root)?;
    let copy =
        |from: &Path, to: &str| fs::copy(from, root.join(to)).with_context(|| format!("copy {}", from.display()));
    copy(program, "pipglr")?;
    copy(bill, BILL)?;
    for document in DOCUMENTS {
        copy(&pipglr_e2e::repository().join(document), document)?;
    }
    Command::new(native).arg("man").arg(root.join("man/man1")).run_text()?;
    for (shell, file) in COMPLETIONS {
        let directory = root.join("completions").join(shell);
        fs::create_dir_all(&directory)?;
        fs::write(
            directory.join(file),
            Command::new(native).args(["completion", shell]).run_text()?,
        )?;
    }
    let modes = ["u=rwX,go=rX"];
    Command::new("chmod")
        .arg("--recursive")
        .args(modes)
        .arg(&root)
        .run_text()?;
    // The same files make the same archive, whoever makes it.
    let mut tar = Command::new("tar");
    tar.args([
        "--create",
        "--sort=name",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
        "--format=gnu",
    ])
    .arg(format!("--mtime=@{}", time_of_last_commit()?))
    .arg("--use-compress-program=gzip -9 --no-name")
    .arg("--file")
    .arg(fs::canonicalize(out)?.join(format!("{name}.tar.gz")))
    .arg("--directory")
    .arg(place.path())
    .arg(name);
    tar.run_text().map(drop)
}

/// Seconds since 1970: the time in all that is made.
pub(super) fn time_of_last_commit() -> anyhow::Result<String> {
    let mut git = Command::new("git");
    git.args(["log", "-1", "--format=%ct"])
        .current_dir(pipglr_e2e::repository());
    Ok(git.run_text()?.trim().to_owned())
}
