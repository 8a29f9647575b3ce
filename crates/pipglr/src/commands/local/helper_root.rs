//! The root directory of helper containers on a host: a skeleton, with the host's own `/usr` mounted read-only below it.
//! So git in there is the host's git, and nothing has to be pulled for it. In the image, `image/build/configure` makes
//! the like.

use crate::error::CliError;
use anyhow::{Context as _, anyhow};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// Where helper containers look for programs; what is elsewhere on the host is not in there.
const PROGRAMS: [&str; 4] = ["/usr/local/bin", "/usr/bin", "/usr/local/sbin", "/usr/sbin"];
/// Links of a host whose system is all in `/usr`.
const LINKS: [&str; 6] = ["bin", "lib", "lib32", "lib64", "libx32", "sbin"];
const DIRECTORIES: [&str; 14] = [
    "usr",
    "proc",
    "sys",
    "dev",
    "run",
    "builds",
    "cache",
    "root",
    "tmp",
    "var/tmp",
    ".pipglr",
    "etc/ssl/certs",
    "etc/pki/tls/certs",
    "etc/ld.so.conf.d",
];
/// Where distributions keep the certificates they trust, in one file.
const CERTIFICATES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// Where programs look for them.
const CERTIFICATES_INSIDE: &str = "etc/ssl/certs/ca-certificates.crt";
const CERTIFICATES_LINKS: [&str; 2] = ["etc/pki/tls/certs/ca-bundle.crt", "etc/ssl/cert.pem"];

/// What is in the skeleton as files, for mounts of podman and for git.
const FILES: [(&str, &str); 8] = [
    (".pipglr/pipglr", ""),
    (".pipglr/coordinator.sock", ""),
    ("etc/hostname", ""),
    ("etc/hosts", ""),
    ("etc/resolv.conf", ""),
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    ),
    ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    ("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
];

/// Makes the skeleton at `root`, which must not be there, after it was found that this host can serve.
pub(super) fn make(root: &Path) -> Result<(), CliError> {
    check_host()?;
    make_skeleton(root).with_context(|| format!("make {}", root.display()))?;
    Ok(())
}

/// Whether `/usr` of this host is enough for git.
fn check_host() -> Result<(), CliError> {
    let nested = "pipglr local --nested needs nothing of this host but podman";
    for directory in ["/bin", "/lib"] {
        let real = fs::canonicalize(directory).unwrap_or_default();
        if !real.starts_with("/usr") {
            return Err(CliError::with_hint(
                anyhow!("{directory} of this host is not a part of /usr: git cannot be used in helper containers"),
                nested,
            ));
        }
    }
    if PROGRAMS
        .iter()
        .any(|directory| Path::new(directory).join("git").is_file())
    {
        return Ok(());
    }
    Err(CliError::with_hint(
        anyhow!(
            "there is no git in {}, which is where helper containers look",
            PROGRAMS.join(", ")
        ),
        format!("install the distribution's git, or use the sandbox: {nested}"),
    ))
}

fn make_skeleton(root: &Path) -> io::Result<()> {
    for directory in DIRECTORIES {
        fs::create_dir_all(root.join(directory))?;
    }
    for directory in ["tmp", "var/tmp"] {
        fs::set_permissions(root.join(directory), Permissions::from_mode(0o1777))?;
    }
    for link in LINKS.iter().filter(|link| Path::new("/usr").join(link).exists()) {
        symlink(format!("usr/{link}"), root.join(link))?;
    }
    symlink("/proc/mounts", root.join("etc/mtab"))?;
    for (name, content) in FILES {
        fs::write(root.join(name), content)?;
    }
    // Libraries of programs in /usr/local are found by it.
    copy_if_there(Path::new("/etc/ld.so.cache"), &root.join("etc/ld.so.cache"))?;
    let bundle = CERTIFICATES.iter().map(PathBuf::from).find(|path| path.is_file());
    if let Some(bundle) = bundle {
        copy_if_there(&bundle, &root.join(CERTIFICATES_INSIDE))?;
        for link in CERTIFICATES_LINKS {
            symlink(Path::new("/").join(CERTIFICATES_INSIDE), root.join(link))?;
        }
    }
    Ok(())
}

fn copy_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::read(from) {
        Ok(bytes) => fs::write(to, bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::make_skeleton;

    #[test]
    fn a_skeleton_has_a_place_for_every_mount() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        make_skeleton(&root).unwrap();
        for name in [
            "usr",
            "proc",
            "sys",
            "dev",
            "tmp",
            "builds",
            "cache",
            ".pipglr/pipglr",
            ".pipglr/coordinator.sock",
        ] {
            assert!(root.join(name).exists(), "{name}");
        }
        assert_eq!(std::fs::read_link(root.join("bin")).unwrap().to_str(), Some("usr/bin"));
        assert!(make_skeleton(&root).is_err(), "it is made once");
    }
}
