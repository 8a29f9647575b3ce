//! The base image, made from the distribution's packages and given the name that the Containerfile expects.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use super::{Arch, Podman, output, run};

/// Same release as the default base image of the Containerfile.
const SUITE: &str = "trixie";

/// Make sure that the account of `podman` has the base image; its name.
pub(super) fn provide(
    containerfile: &str,
    cache: &Path,
    arch: &Arch,
    podman: &Podman,
    refresh: bool,
) -> anyhow::Result<String> {
    let name = default_name(containerfile)?;
    let tar = cache.join(format!("{SUITE}-{}.tar", arch.debian));
    let made = refresh || !tar.exists();
    if made {
        bootstrap(&tar, arch)?;
    }
    // The base of the other architecture would have the same name.
    let held = podman
        .command()
        .args(["image", "inspect", "--format", "{{.Architecture}}", &name])
        .stderr(Stdio::null())
        .output()?;
    if made || held.stdout.trim_ascii() != arch.debian.as_bytes() {
        import(&tar, arch, podman, &name)?;
    }
    Ok(name)
}

/// What the slim base images leave out, now and of the packages installed later.
const SLIM: [&str; 5] = [
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
];

fn bootstrap(tar: &Path, arch: &Arch) -> anyhow::Result<()> {
    let parent = tar.parent().context("the cache is a directory")?;
    std::fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;
    let partial = tar.with_extension("partial.tar");
    let mut mmdebstrap = Command::new("mmdebstrap");
    mmdebstrap
        .args(["--variant=minbase", "--include=ca-certificates"])
        .arg(format!("--architectures={}", arch.debian));
    mmdebstrap.args(SLIM.map(|option| format!("--dpkgopt={option}")));
    for option in apt_options(&output(Command::new("apt-config").arg("dump"))?) {
        mmdebstrap.arg(format!("--aptopt={option}"));
    }
    mmdebstrap.arg(SUITE).arg(&partial).arg(mirror()?);
    run(&mut mmdebstrap).context("mmdebstrap makes the base image; apt-get install mmdebstrap")?;
    std::fs::rename(&partial, tar).with_context(|| format!("naming {}", tar.display()))
}

fn import(tar: &Path, arch: &Arch, podman: &Podman, name: &str) -> anyhow::Result<()> {
    // By standard input: the account may not read this directory.
    let file = std::fs::File::open(tar).with_context(|| format!("opening {}", tar.display()))?;
    let mut import = podman.command();
    import
        .args([
            "import",
            "--arch",
            arch.debian,
            "--change",
            r#"CMD=["bash"]"#,
            "-",
            name,
        ])
        .stdin(file);
    run(&mut import)
}

/// The Debian mirror of this machine's own apt configuration.
pub(crate) fn mirror() -> anyhow::Result<String> {
    let targets = output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI) $(LABEL)",
        "Created-By: Packages",
    ]))?;
    debian_mirror(&targets).context("apt knows no Debian mirror: apt-get update, then try again")
}

fn debian_mirror(targets: &str) -> Option<String> {
    targets
        .lines()
        .find_map(|line| line.strip_suffix(" Debian"))
        .map(str::to_owned)
}

/// The options of apt without which this machine's mirror may be refused, inside the base too.
pub(crate) fn apt_options(dump: &str) -> impl Iterator<Item = &str> {
    let wanted = ["Acquire::Check-", "Acquire::http::", "Acquire::https::"];
    dump.lines()
        .filter(move |line| wanted.iter().any(|prefix| line.starts_with(prefix)))
}

/// The value of `ARG BASE_IMAGE=…`.
fn default_name(containerfile: &str) -> anyhow::Result<String> {
    let name = containerfile
        .lines()
        .find_map(|line| line.strip_prefix("ARG BASE_IMAGE="))
        .context("no BASE_IMAGE")?;
    ensure!(
        name.contains(SUITE),
        "BASE_IMAGE={name}, but the base made here is {SUITE}"
    );
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_has_the_default_name() {
        let repository = super::super::repository().unwrap();
        let containerfile = std::fs::read_to_string(repository.join("Containerfile")).unwrap();
        assert_eq!(
            default_name(&containerfile).unwrap(),
            "docker.io/library/debian:trixie-slim"
        );
        assert!(default_name("ARG BASE_IMAGE=x:bookworm").is_err());
        assert!(default_name("FROM x").is_err());
    }

    #[test]
    fn mirror_is_debians_own() {
        let targets =
            "http://a.test/node nodistro\nhttp://a.test/security/ Debian-Security\nhttp://a.test/debian/ Debian\n";
        assert_eq!(debian_mirror(targets).as_deref(), Some("http://a.test/debian/"));
        assert_eq!(debian_mirror(""), None);
    }

    #[test]
    fn options_of_apt_that_the_base_needs() {
        let dump = "APT \"\";\nAcquire::Check-Date \"false\";\nAcquire::Retries \"3\";\nAcquire::http::Proxy \"http://p.test\";\n";
        let found: Vec<&str> = apt_options(dump).collect();
        assert_eq!(
            found,
            [
                "Acquire::Check-Date \"false\";",
                "Acquire::http::Proxy \"http://p.test\";"
            ]
        );
    }
}
