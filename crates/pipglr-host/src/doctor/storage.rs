//! podman's storage: its driver, and the file system it is on.

use super::Finding;
use super::looking::Host;
use super::mounts::Mount;
use super::remedy::{Remedy, Who};
use std::path::PathBuf;

/// Servers keep no IDs of others' users, or lack what layers need.
const FOREIGN: &[&str] = &[
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "9p",
    "virtiofs",
    "ceph",
    "glusterfs",
    "lustre",
    "gpfs",
    "afs",
    "beegfs",
    "vboxsf",
    "ecryptfs",
    "fuse.sshfs",
    "fuse.glusterfs",
    "vfat",
    "exfat",
    "ntfs",
    "ntfs3",
    "fuseblk",
];
/// Layers of the kernel's cannot lie on these.
const LAYERED: &[&str] = &["overlay", "aufs", "fuse.fuse-overlayfs"];

#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) root: PathBuf,
    /// The driver, and the program it mounts by, if podman says so.
    pub(super) driver: Option<String>,
    pub(super) mount_program: Option<String>,
    /// Images and containers in it.
    pub(super) content: u64,
    pub(super) mount: Option<Mount>,
}

pub(super) fn look(host: &Host) -> Facts {
    let info = host.podman_info().ok();
    let text = |pointer: &str| info.and_then(|info| Some(info.pointer(pointer)?.as_str()?.to_owned()));
    let number = |pointer: &str| info.and_then(|info| info.pointer(pointer)?.as_u64()).unwrap_or(0);
    let root = place(host);
    let program = info.and_then(|info| {
        let option = info.pointer("/store/graphOptions")?.get("overlay.mount_program")?;
        let path = option.as_str().or_else(|| option.get("Executable")?.as_str())?;
        Some(path.to_owned())
    });
    Facts {
        driver: text("/store/graphDriverName"),
        mount_program: program,
        content: number("/store/imageStore/number") + number("/store/containerStore/number"),
        mount: host.mount_of(&host.nearest(&root)),
        root,
    }
}

/// Where it is: podman's word, else that of storage.conf(5), else where it is by itself.
pub(super) fn place(host: &Host) -> PathBuf {
    let of_podman = || {
        Some(
            host.podman_info()
                .ok()?
                .pointer("/store/graphRoot")?
                .as_str()?
                .to_owned(),
        )
    };
    let of_file = || {
        let text = host.text(host.account.home.join(".config/containers/storage.conf"))?;
        let document: toml_edit::DocumentMut = text.parse().ok()?;
        let root = document.get("storage")?.get("graphroot")?.as_str()?;
        Some(root.replace("$HOME", &host.account.home.to_string_lossy()))
    };
    of_podman().or_else(of_file).map_or_else(
        || host.account.home.join(".local/share/containers/storage"),
        PathBuf::from,
    )
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let findings = [driver(facts), file_system(facts), options(facts)];
    findings.into_iter().flatten().collect()
}

fn driver(facts: &Facts) -> Option<Finding> {
    const CHECK: &str = "storage-driver";
    let name = facts.driver.as_deref()?;
    match (name, &facts.mount_program) {
        ("vfs", _) => Some(Finding::warning(
            CHECK,
            "vfs: every container is a whole copy of its image, which costs seconds and disk",
            to_overlay(facts),
        )),
        ("overlay", Some(program)) => Some(Finding::warning(
            CHECK,
            format!("overlay by {program}: slow with many files; the kernel does it, too, from 5.12 on"),
            Remedy::advice("remove mount_program from storage.conf, then: podman system reset"),
        )),
        (name, _) => Some(Finding::ok(CHECK, name)),
    }
}

/// The driver counts for what is in the storage, too.
fn to_overlay(facts: &Facts) -> Remedy {
    let file = "~/.config/containers/storage.conf";
    let remedy = Remedy::account([
        "mkdir -p ~/.config/containers".to_owned(),
        format!("sed -i 's/^ *driver *=.*/driver = \"overlay\"/' {file} 2>/dev/null || true"),
        format!("grep -qs '^driver = \"overlay\"' {file} || printf '[storage]\\ndriver = \"overlay\"\\n' > {file}"),
        "podman system reset --force".to_owned(),
    ]);
    if facts.content == 0 {
        remedy
    } else {
        remedy.by_hand(format!(
            "it removes {} images and containers, and all volumes",
            facts.content
        ))
    }
}

fn file_system(facts: &Facts) -> Option<Finding> {
    const CHECK: &str = "storage-filesystem";
    let mount = facts.mount.as_ref()?;
    let (kind, root) = (mount.kind.as_str(), facts.root.display());
    let elsewhere = || {
        Remedy::advice(
            "set graphroot in ~/.config/containers/storage.conf ([storage]) to a directory of the account on a disk of \
             this machine, ext4 or xfs",
        )
    };
    let text = format!("{root} is on {kind}");
    Some(if FOREIGN.contains(&kind) {
        Finding::failure(
            CHECK,
            format!("{text}: files of other users cannot be made there"),
            elsewhere(),
        )
    } else if LAYERED.contains(&kind) {
        let text = format!("{text}: layers of containers cannot lie on it");
        Finding::failure(CHECK, text, elsewhere())
    } else {
        Finding::ok(CHECK, text)
    })
}

fn options(facts: &Facts) -> Option<Finding> {
    const CHECK: &str = "storage-mount";
    let mount = facts.mount.as_ref()?;
    let path = mount.path.display();
    if !mount.has("ro") {
        return Some(Finding::ok(CHECK, format!("{path} can be written")));
    }
    // podman's own namespace has the mounts that were there when it was made, and podman cannot leave it by itself: its lock
    // is on what it sees read-only. It makes another one when the process that holds it is gone.
    let remedy = Remedy::root([format!("mount -o remount,bind,rw {path}")])
        .and(
            Who::Account,
            ["kill $(cat $XDG_RUNTIME_DIR/libpod/tmp/pause.pid) || true"],
        )
        .by_hand(format!(
            "see first why {path} is read-only: a kernel makes it so after errors of the disk"
        ));
    Some(Finding::failure(
        CHECK,
        format!(
            "{} is on {path}, which is mounted ro: nothing in it can be written",
            facts.root.display()
        ),
        remedy,
    ))
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::mounts::table;
    use super::super::tests::{Case, verify};
    use super::{Facts, judge};

    fn on(kind: &str, options: &str) -> Option<super::Mount> {
        table(&format!("1 0 0:1 / /home {options} - {kind} x rw\n")).pop()
    }

    fn good() -> Facts {
        Facts {
            root: "/home/ci/.local/share/containers/storage".into(),
            driver: Some("overlay".into()),
            mount_program: None,
            content: 0,
            mount: on("ext4", "rw"),
        }
    }

    const CASES: &[Case<Facts>] = &[
        (
            "storage-driver",
            |f| f.driver = Some("vfs".into()),
            Verdict::Warning,
            "whole copy",
            "as the account: podman system reset --force",
        ),
        (
            "storage-driver",
            |f| {
                f.driver = Some("vfs".into());
                f.content = 3;
            },
            Verdict::Warning,
            "whole copy",
            "by hand: it removes 3 images",
        ),
        (
            "storage-driver",
            |f| f.mount_program = Some("/usr/bin/fuse-overlayfs".into()),
            Verdict::Warning,
            "overlay by /usr/bin/fuse-overlayfs",
            "by hand: remove mount_program",
        ),
        (
            "storage-filesystem",
            |f| f.mount = on("nfs4", "rw"),
            Verdict::Failure,
            "is on nfs4",
            "by hand: set graphroot",
        ),
        (
            "storage-filesystem",
            |f| f.mount = on("overlay", "rw"),
            Verdict::Failure,
            "layers of containers cannot lie on it",
            "by hand: set graphroot",
        ),
        (
            "storage-mount",
            |f| f.mount = on("ext4", "ro"),
            Verdict::Failure,
            "mounted ro",
            "as root: mount -o remount,bind,rw /home",
        ),
    ];

    #[test]
    fn each_broken_host_has_its_verdict_and_remedy() {
        verify(&good(), judge, CASES);
    }
}
