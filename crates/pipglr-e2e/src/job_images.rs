//! Images for jobs, made from the distribution's packages and put into a registry, from which jobs really pull them.

use crate::command::CommandExt as _;
use crate::host::Account;
use crate::registry::Registry;
use anyhow::Context as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// An image: its repository and the packages in it.
#[derive(Debug, Clone, Copy)]
pub struct JobImage {
    pub repository: &'static str,
    packages: &'static [&'static str],
}

/// Small: a shell and the basic tools.
pub const SMALL: JobImage = JobImage {
    repository: "ci/debian",
    packages: &[],
};
/// For building C programs from the distribution's source packages.
pub const BUILD: JobImage = JobImage {
    repository: "ci/build",
    packages: &["gcc", "libc6-dev", "make", "dpkg-dev", "ca-certificates"],
};
/// For building container images inside jobs.
pub const NESTED: JobImage = JobImage {
    repository: "ci/podman",
    packages: &[
        "podman",
        "crun",
        "fuse-overlayfs",
        "netavark",
        "passt",
        "uidmap",
        "ca-certificates",
    ],
};
/// No image: a host with podman, for [`crate::host::debian13`].
pub(crate) const HOST: JobImage = JobImage {
    repository: "host/debian13",
    packages: &[
        "podman",
        "crun",
        "fuse-overlayfs",
        "netavark",
        "aardvark-dns",
        "passt",
        "uidmap",
        "ca-certificates",
        "jq",
        "catatonit",
    ],
};

/// No image either: a host with systemd, logind and podman, for stories that break it. It keeps its packages, so that they can
/// be installed again.
pub const HOST_WITH_SYSTEMD: JobImage = JobImage {
    repository: "host/systemd",
    packages: &[
        "systemd",
        "systemd-sysv",
        "dbus",
        "dbus-user-session",
        "libpam-systemd",
        "podman",
        "crun",
        "fuse-overlayfs",
        "netavark",
        "aardvark-dns",
        "passt",
        "uidmap",
        "ca-certificates",
        "curl",
        "keyutils",
        "procps",
    ],
};

/// Images are made by one thread at a time, so that none is made twice.
static MAKING: Mutex<()> = Mutex::new(());

/// The tag of all images: the release they are made of.
pub const TAG: &str = "trixie";

impl JobImage {
    /// The reference jobs use.
    #[must_use]
    pub fn reference(&self, registry: &Registry) -> String {
        format!("{}/{}:{TAG}", registry.address_inside(), self.repository)
    }

    /// Makes sure that `registry` has the image.
    ///
    /// # Errors
    /// A step fails.
    pub fn provide(&self, registry: &Registry, account: &Account, say: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
        let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        if registry.has(self.repository, TAG)? {
            return Ok(());
        }
        let tar = self.tar(say)?;
        let name = format!("{}/{}:{TAG}", registry.address(), self.repository);
        say(&format!("pushing {} to the registry on loopback", self.repository));
        let file = fs::File::open(&tar).with_context(|| format!("open {}", tar.display()))?;
        let mut import = account.podman(["import", "--quiet", "--change", "CMD=[\"bash\"]", "-", &name]);
        let imported = import.stdin(file).run_any()?;
        anyhow::ensure!(
            imported.status.success(),
            "podman import: {}",
            String::from_utf8_lossy(&imported.stderr)
        );
        account
            .podman(["push", "--quiet", "--tls-verify=false", &name])
            .run_text()?;
        account.podman(["rmi", "--force", &name]).run_text()?;
        Ok(())
    }

    /// The root file system as a tar, from the cache or made anew.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn rootfs(&self, say: &mut dyn FnMut(&str)) -> anyhow::Result<PathBuf> {
        let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        self.tar(say)
    }

    fn tar(&self, say: &mut dyn FnMut(&str)) -> anyhow::Result<PathBuf> {
        let directory = crate::cache().join("rootfs");
        fs::create_dir_all(&directory)?;
        let tar = directory.join(format!("{}-{TAG}.tar", self.repository.replace('/', "-")));
        // One of other packages is another one.
        let (list, wanted) = (tar.with_extension("packages"), self.packages.join("\n"));
        let is_current = tar.exists() && fs::read_to_string(&list).is_ok_and(|there| there == wanted);
        if !is_current {
            say(&format!(
                "making the job image {} from the distribution's packages",
                self.repository
            ));
            bootstrap(&tar, self)?;
            fs::write(&list, wanted).with_context(|| format!("write {}", list.display()))?;
        }
        Ok(tar)
    }
}

/// Runs mmdebstrap with this machine's own mirror, source packages included.
fn bootstrap(tar: &Path, image: &JobImage) -> anyhow::Result<()> {
    let packages = image.packages;
    let mirror = mirror()?;
    let partial = tar.with_extension("partial.tar");
    let mut command = Command::new("mmdebstrap");
    command.args(["--variant=minbase", "--quiet", "--skip=cleanup/apt/lists"]);
    if image.repository == HOST_WITH_SYSTEMD.repository {
        command.arg("--skip=cleanup/apt/cache");
    }
    for excluded in ["doc", "man", "info", "locale"] {
        command.arg(format!("--dpkgopt=path-exclude=/usr/share/{excluded}/*"));
    }
    let options = Command::new("apt-config").arg("dump").run_text()?;
    for option in options
        .lines()
        .filter(|l| l.starts_with("Acquire::Check-") || l.starts_with("Acquire::http"))
    {
        command.arg(format!("--aptopt={option}"));
    }
    if !packages.is_empty() {
        command.arg(format!("--include={}", packages.join(",")));
    }
    command.arg(TAG).arg(&partial).args([
        format!("deb {mirror} {TAG} main"),
        format!("deb-src {mirror} {TAG} main"),
    ]);
    command.run_text().context("make a root file system with mmdebstrap")?;
    fs::rename(&partial, tar).with_context(|| format!("name {}", tar.display()))
}

/// The Debian mirror this machine's apt uses.
fn mirror() -> anyhow::Result<String> {
    let arguments = [
        "indextargets",
        "--format",
        "$(REPO_URI) $(LABEL)",
        "Created-By: Packages",
    ];
    let targets = Command::new("apt-get").args(arguments).run_text()?;
    let mirror = targets.lines().find_map(|line| line.strip_suffix(" Debian"));
    mirror
        .map(str::to_owned)
        .context("apt knows no Debian mirror: run apt-get update, then try again")
}
