//! The static program, compiled on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Arch, output, run};

/// What git says of the last commit that changed the program: the same source gives the same program.
fn of_last_change(repository: &Path, format: &str) -> Option<String> {
    let mut git = Command::new("git");
    git.args(["log", "-1", "--abbrev=8", &format!("--format={format}")])
        .args(["--", "Cargo.toml", "Cargo.lock", "crates"])
        .current_dir(repository);
    match output(&mut git) {
        Ok(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Err(error) => {
            println!("the program will not know its revision: {error:#}");
            None
        }
    }
}

/// Compile `pipglr` for `arch`; the path of the program.
pub(crate) fn compile(repository: &Path, arch: &Arch) -> anyhow::Result<PathBuf> {
    let arguments = [
        "build",
        "--release",
        "--locked",
        "--package=pipglr",
        "--target",
        arch.target,
    ];
    let mut cargo = pipglr_e2e::cargo::cargo(&arguments);
    for (name, format) in [("PIPGLR_REVISION", "%h"), ("PIPGLR_BUILT", "%cI")] {
        if let Some(value) = of_last_change(repository, format) {
            cargo.env(name, value);
        }
    }
    run(&mut cargo)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository.join("target"), PathBuf::from);
    Ok(target.join(arch.target).join("release/pipglr"))
}
