//! `cargo xtask image`: the image of the repository's Containerfile, without a container registry.
//!
//! The base comes from the distribution's packages, the program is compiled here. `podman build` of a checkout needs neither.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

mod base;
mod containerfile;
mod program;
mod provide;
mod runlabel;
mod seccomp;

pub(crate) use base::{apt_options, mirror};
pub(crate) use program::compile;
pub(crate) use provide::{Builder, native_target};

/// Where bases, programs and build contexts are kept between builds, below the repository.
const CACHE: &str = "target/image-cache";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Build argument of the Containerfile, as KEY=VALUE; may be repeated.
    #[arg(long = "build-arg", value_name = "KEY=VALUE")]
    build_args: Vec<String>,
    /// Name of the image.
    #[arg(long, default_value = "registry.gitlab.com/qontainers/pipglr:latest")]
    tag: String,
    /// Command that runs podman, for instance a script that runs it under another account.
    #[arg(long, default_value = "podman", env = "PIPGLR_PODMAN")]
    podman: String,
    /// Take this static program instead of compiling one.
    #[arg(long)]
    program: Option<PathBuf>,
    /// Make the base anew even if the cache holds one.
    #[arg(long)]
    refresh_base: bool,
    /// Only write image/seccomp.json and the generated labels of the Containerfile, then stop.
    #[arg(long)]
    write_labels: bool,
    /// Default seccomp profile to derive image/seccomp.json from, with --write-labels.
    #[arg(long, requires = "write_labels")]
    seccomp: Option<PathBuf>,
}

/// Build the image named by `args.tag` into the storage of the account that `args.podman` runs as.
///
/// # Errors
/// A tool is missing or fails, or the built image's seccomp profile is not the one derived from the image's own podman.
pub(crate) fn build(args: &Args) -> anyhow::Result<()> {
    let repository = repository()?;
    if args.write_labels {
        return containerfile::write_generated(&repository, args.seccomp.as_deref());
    }
    let arch = Arch::of(&args.build_args)?;
    let podman = Podman(args.podman.split_whitespace().map(str::to_owned).collect());
    let cache = repository.join(CACHE);
    let base = base::provide(
        &containerfile::read(&repository.join("Containerfile"))?,
        &cache,
        &arch,
        &podman,
        args.refresh_base,
    )?;
    let program = match &args.program {
        Some(path) => path.clone(),
        None => program::compile(&repository, &arch)?,
    };
    let context = assemble_context(&repository, &cache.join(format!("context-{}", arch.debian)), &program)?;

    let mut build = podman.command();
    build.arg("build").arg("--tag").arg(&args.tag);
    build.arg(format!("--build-arg=TOOLCHAIN_IMAGE={base}"));
    build.arg("--build-arg=PROGRAM=prebuilt");
    if !arch.is_here() {
        build.arg(format!("--platform=linux/{}", arch.debian));
    }
    for build_arg in &args.build_args {
        build.arg(format!("--build-arg={build_arg}"));
    }
    build.arg(".").current_dir(&context);
    run(&mut build)?;
    check_seccomp(&podman, &args.tag)
}

/// The built image's profile against the default of the podman inside it.
fn check_seccomp(podman: &Podman, image: &str) -> anyhow::Result<()> {
    let default = output(
        podman
            .command()
            .args(["run", "--rm", "--network=none", image, "cat"])
            .arg(seccomp::DEFAULT_PATH),
    )?;
    let label = output(
        podman
            .command()
            .args(["image", "inspect", "--format", "{{json .Labels}}", image]),
    )?;
    let labels: serde_json::Value = serde_json::from_str(&label)?;
    let label = labels[seccomp::LABEL]
        .as_str()
        .context("the image has no seccomp label")?;
    let derived = seccomp::with_sethostname(serde_json::from_str(&default)?)?;
    ensure!(
        derived == serde_json::from_str::<serde_json::Value>(label)?,
        "the distribution changed {}: take it out of the image, then cargo xtask image --write-labels --seccomp FILE",
        seccomp::DEFAULT_PATH
    );
    Ok(())
}

/// An architecture by its names with Debian and Rust.
#[derive(Debug)]
pub(crate) struct Arch {
    pub(crate) debian: &'static str,
    pub(crate) target: &'static str,
}

impl Arch {
    pub(crate) const ALL: [Self; 2] = [
        Self {
            debian: "amd64",
            target: "x86_64-unknown-linux-musl",
        },
        Self {
            debian: "arm64",
            target: "aarch64-unknown-linux-musl",
        },
    ];

    /// `TARGETARCH` among the build arguments, this machine's otherwise.
    fn of(build_args: &[String]) -> anyhow::Result<Self> {
        let named = build_args.iter().rev().find_map(|arg| arg.strip_prefix("TARGETARCH="));
        match named {
            None => Self::ALL
                .into_iter()
                .find(Self::is_here)
                .context("this machine is neither amd64 nor arm64"),
            Some(name) => match Self::ALL.into_iter().find(|arch| arch.debian == name) {
                Some(arch) => Ok(arch),
                None => bail!("TARGETARCH={name}: must be amd64 or arm64"),
            },
        }
    }

    pub(crate) fn is_here(&self) -> bool {
        self.machine() == std::env::consts::ARCH
    }

    /// The kernel's name for it.
    pub(crate) fn machine(&self) -> &'static str {
        self.target.split('-').next().unwrap_or_default()
    }
}

/// The words that run podman; never empty.
#[derive(Debug)]
struct Podman(Vec<String>);

impl Podman {
    fn command(&self) -> Command {
        let mut words = self.0.iter();
        let mut command = Command::new(words.next().map_or("podman", String::as_str));
        command.args(words);
        command
    }
}

fn repository() -> anyhow::Result<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(manifest
        .ancestors()
        .nth(2)
        .context("xtask lies in crates/xtask")?
        .to_owned())
}

/// A build context of the files that the prebuilt program's build uses, so that other changes do not upset podman's cache.
fn assemble_context(repository: &Path, context: &Path, program: &Path) -> anyhow::Result<PathBuf> {
    if context.exists() {
        std::fs::remove_dir_all(context).with_context(|| format!("removing {}", context.display()))?;
    }
    let prebuilt = context.join("prebuilt");
    std::fs::create_dir_all(&prebuilt).with_context(|| format!("creating {}", prebuilt.display()))?;
    let mut copy = Command::new("cp");
    copy.arg("--recursive")
        .args(["Containerfile", ".containerignore", "image"])
        .arg(context)
        .current_dir(repository);
    run(&mut copy)?;
    let to = prebuilt.join("pipglr");
    std::fs::copy(program, &to).with_context(|| format!("copying {} to {}", program.display(), to.display()))?;
    // The account that runs podman is often another one.
    run(Command::new("chmod").args(["--recursive", "u=rwX,go=rX"]).arg(context))?;
    Ok(context.to_owned())
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("starting {command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}

fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .stderr(std::process::Stdio::inherit())
        .output()
        .with_context(|| format!("starting {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_architecture() {
        let check = |args: &[&str], expected: Result<&str, &str>| {
            let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
            let found = Arch::of(&args)
                .map(|arch| arch.debian)
                .map_err(|error| error.to_string());
            assert_eq!(found, expected.map_err(str::to_owned), "{args:?}");
        };
        check(&["TARGETARCH=arm64"], Ok("arm64"));
        check(&["TARGETARCH=arm64", "X=y", "TARGETARCH=amd64"], Ok("amd64"));
        check(
            &["TARGETARCH=riscv64"],
            Err("TARGETARCH=riscv64: must be amd64 or arm64"),
        );
        check(&["TARGETARCH="], Err("TARGETARCH=: must be amd64 or arm64"));
    }
}
