//! The virtual machine's disk: a stock Debian from the distribution's packages, its kernel beside it.

use anyhow::{Context as _, ensure};
use pipglr_e2e::command::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const SUITE: &str = "trixie";

/// What a small server has: kernel, systemd with logind and a bus for users, network, ssh, sudo.
const PACKAGES: [&str; 15] = [
    "linux-image-cloud-amd64",
    "initramfs-tools",
    "zstd",
    "e2fsprogs",
    "systemd-sysv",
    "udev",
    "dbus",
    "dbus-user-session",
    "libpam-systemd",
    "openssh-server",
    "sudo",
    "ca-certificates",
    "iproute2",
    "passwd",
    "login",
];

/// Manuals are not read there, and take time to unpack in a machine that is emulated.
const WITHOUT: [&str; 3] = ["doc", "man", "locale"];

/// Run in the new root directory: a disk to mount, a name, an address by DHCP, the name server of QEMU's network.
const CUSTOMIZE: &str = r#"set -e
printf '/dev/vda / ext4 defaults 0 1\n' >"$1/etc/fstab"
echo acceptance >"$1/etc/hostname"
printf '[Match]\nType=ether\n[Network]\nDHCP=yes\n' >"$1/etc/systemd/network/20-dhcp.network"
rm -f "$1/etc/resolv.conf"; echo nameserver 10.0.2.3 >"$1/etc/resolv.conf"
chroot "$1" systemctl --quiet enable systemd-networkd.service ssh.service
chroot "$1" systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer dpkg-db-backup.timer
chroot "$1" passwd --quiet --lock root
"#;

/// The disk grows up to this size; what is not used takes no room here.
const SIZE: &str = "8G";

/// Files of a machine that can be booted. It is never written to: machines put what they change elsewhere.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) disk: PathBuf,
    pub(super) kernel: PathBuf,
    pub(super) initrd: PathBuf,
}

/// The base from the cache below `directory`, or made anew.
pub(super) fn provide(directory: &Path, refresh: bool, say: &mut dyn FnMut(&str)) -> anyhow::Result<Base> {
    let recipe = recipe()?;
    let place = directory.join(format!("base-{}", key(&recipe)?));
    if refresh && place.exists() {
        std::fs::remove_dir_all(&place).with_context(|| format!("remove {}", place.display()))?;
    }
    if !place.exists() {
        say("making a Debian from the distribution's packages");
        remove_others(directory)?;
        let partial = directory.join("base.partial");
        if partial.exists() {
            std::fs::remove_dir_all(&partial).with_context(|| format!("remove {}", partial.display()))?;
        }
        std::fs::create_dir_all(&partial).with_context(|| format!("create {}", partial.display()))?;
        make(&partial, &recipe)?;
        std::fs::rename(&partial, &place).with_context(|| format!("name {}", place.display()))?;
    }
    Ok(Base {
        disk: place.join("disk.img"),
        kernel: place.join("vmlinuz"),
        initrd: place.join("initrd.img"),
    })
}

/// Bases by older recipes.
fn remove_others(directory: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("base-") {
            std::fs::remove_dir_all(entry.path()).with_context(|| format!("remove {}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// The arguments of mmdebstrap but the directory: they and the size are all the base depends on.
fn recipe() -> anyhow::Result<Vec<String>> {
    let mut all: Vec<String> = ["--variant=minbase", "--mode=root", "--format=directory", "--quiet"]
        .map(str::to_owned)
        .into();
    all.push(format!("--include={}", PACKAGES.join(",")));
    for part in WITHOUT {
        all.push(format!("--dpkgopt=path-exclude=/usr/share/{part}/*"));
    }
    let options = Command::new("apt-config").arg("dump").run_text()?;
    for option in crate::image::apt_options(&options) {
        all.push(format!("--aptopt={option}"));
    }
    all.push(format!("--customize-hook={CUSTOMIZE}"));
    Ok(all)
}

fn key(recipe: &[String]) -> anyhow::Result<String> {
    let text = format!("{SUITE}\n{SIZE}\n{}\n{}\n", crate::image::mirror()?, recipe.join("\n"));
    let sum = Command::new("sha256sum").run_with_input(&text)?;
    let sum = sum.get(..12).context("sha256sum prints a sum")?;
    Ok(sum.to_owned())
}

fn make(directory: &Path, recipe: &[String]) -> anyhow::Result<()> {
    let root = directory.join("root");
    let mut mmdebstrap = Command::new("mmdebstrap");
    mmdebstrap
        .args(recipe)
        .arg(SUITE)
        .arg(&root)
        .arg(format!("deb {} {SUITE} main", crate::image::mirror()?));
    mmdebstrap.run_text().context("make a Debian with mmdebstrap")?;
    for name in ["vmlinuz", "initrd.img"] {
        let found: Vec<PathBuf> = std::fs::read_dir(root.join("boot"))?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| {
                path.file_name()
                    .is_some_and(|file| file.to_string_lossy().starts_with(&format!("{name}-")))
            })
            .collect();
        ensure!(found.len() == 1, "kernels in the new Debian: {found:?}");
        let to = directory.join(name);
        std::fs::copy(&found[0], &to).with_context(|| format!("copy {}", to.display()))?;
    }
    let disk = directory.join("disk.img");
    let mut truncate = Command::new("truncate");
    truncate.arg("--size").arg(SIZE).arg(&disk).run_text()?;
    let mut mkfs = Command::new("mkfs.ext4");
    mkfs.args(["-q", "-m", "0", "-d"]).arg(&root).arg(&disk).run_text()?;
    std::fs::remove_dir_all(&root).with_context(|| format!("remove {}", root.display()))
}
