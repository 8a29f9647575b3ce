//! The static program, compiled on this machine.

use std::path::{Path, PathBuf};

use super::{Arch, run};

/// Compile `pipglr` for `arch`; the path of the program.
pub(super) fn compile(repository: &Path, arch: &Arch) -> anyhow::Result<PathBuf> {
    let arguments = [
        "build",
        "--release",
        "--locked",
        "--package=pipglr",
        "--target",
        arch.target,
    ];
    let mut cargo = pipglr_e2e::cargo::cargo(&arguments);
    run(&mut cargo)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository.join("target"), PathBuf::from);
    Ok(target.join(arch.target).join("release/pipglr"))
}
