//! Installing what is missing, and saying so.

use crate::command::CommandExt as _;
use std::process::Command;

/// A Debian package, known by a program it brings.
#[derive(Debug, Clone, Copy)]
pub struct Package {
    pub name: &'static str,
    /// Absolute path, or a name looked up in `PATH`.
    pub program: &'static str,
}

const fn package(name: &'static str, program: &'static str) -> Package {
    Package { name, program }
}

/// What the stage itself needs.
pub const STAGE: [Package; 20] = [
    package("podman", "podman"),
    package("uidmap", "newuidmap"),
    package("slirp4netns", "slirp4netns"),
    package("fuse-overlayfs", "fuse-overlayfs"),
    package("crun", "crun"),
    package("passt", "pasta"),
    package("netavark", "/usr/lib/podman/netavark"),
    package("aardvark-dns", "/usr/lib/podman/aardvark-dns"),
    package("iptables", "iptables"),
    package("e2fsprogs", "mkfs.ext4"),
    package("mmdebstrap", "mmdebstrap"),
    package("musl-tools", "musl-gcc"),
    package("docker-registry", "docker-registry"),
    package("git", "git"),
    package("curl", "curl"),
    package("jq", "jq"),
    package("util-linux", "nsenter"),
    package("passwd", "useradd"),
    package("procps", "pkill"),
    package("openssl", "openssl"),
];

/// For the program of the other architecture.
pub const CROSS: [Package; 3] = [
    package("gcc-aarch64-linux-gnu", "aarch64-linux-gnu-gcc"),
    package("libc6-dev-arm64-cross", "/usr/aarch64-linux-gnu/include/stdio.h"),
    package("qemu-user-static", "qemu-aarch64-static"),
];

/// For releases.
pub const RELEASE: [Package; 3] = [
    package("musl-tools", "musl-gcc"),
    package("git", "git"),
    package("openssh-client", "ssh-keygen"),
];

/// For a virtual machine.
pub const MACHINE: [Package; 2] = [
    package("qemu-system-x86", "qemu-system-x86_64"),
    package("openssh-client", "ssh"),
];

/// What the program needs that `cargo xtask bench` measures beside ours.
pub const PEER: [Package; 2] = [package("npm", "npm"), package("rsync", "rsync")];

/// To look at pages as people do.
pub const BROWSER: [Package; 2] = [
    package("chromium", "chromium"),
    package("chromium-driver", "chromedriver"),
];

/// Installs those of `packages` whose program is missing; uses sudo unless run by root.
///
/// # Errors
/// apt fails, or this is no Debian.
pub fn install(packages: &[Package], say: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
    let missing: Vec<&str> = packages
        .iter()
        .filter(|p| !is_there(p.program))
        .map(|p| p.name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    say(&format!("installing missing packages: {}", missing.join(" ")));
    as_root("apt-get").arg("update").run_text()?;
    as_root("apt-get")
        .args(["install", "--yes", "--no-install-recommends"])
        .args(&missing)
        .run_text()?;
    Ok(())
}

/// Adds the Rust target `target` if rustup does not have it yet.
///
/// # Errors
/// rustup fails.
pub fn rust_target(target: &str, say: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
    let installed = Command::new("rustup")
        .args(["target", "list", "--installed"])
        .run_text()?;
    if installed.lines().any(|line| line == target) {
        return Ok(());
    }
    say(&format!("adding Rust target {target}"));
    Command::new("rustup").args(["target", "add", target]).run_text()?;
    Ok(())
}

/// A command run by root: directly, or through sudo.
#[must_use]
pub fn as_root(program: &str) -> Command {
    let mut command = if is_root() {
        Command::new(program)
    } else {
        let mut sudo = Command::new("sudo");
        sudo.arg(program);
        sudo
    };
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// Whether we are root.
#[must_use]
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0)
}

fn is_there(program: &str) -> bool {
    if program.starts_with('/') {
        return std::path::Path::new(program).exists();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|dir| dir.join(program).exists())
}
