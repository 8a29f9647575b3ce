//! The static program, compiled on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Arch, run};

/// Compile `pipglr` for `arch`; the path of the program.
pub(super) fn compile(repository: &Path, arch: &Arch) -> anyhow::Result<PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args([
            "build",
            "--release",
            "--locked",
            "--package=pipglr",
            "--target",
            arch.target,
        ])
        .current_dir(repository);
    // Set by `cargo xtask` for this program; the product must not be built by them.
    cargo
        .env_remove("CARGO_MANIFEST_DIR")
        .env_remove("CARGO_PKG_VERSION");
    run(&mut cargo)?;
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| repository.join("target"), PathBuf::from);
    Ok(target.join(arch.target).join("release/pipglr"))
}
