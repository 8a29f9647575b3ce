//! `cargo xtask release`: what is published for a version. `docs/releasing.md` tells the whole process.
//!
//! For each architecture an archive and its bill of materials; for all of them checksums and their signature. Nothing is
//! given out before it was unpacked and looked at as a user would.

mod check;
mod contents;
mod sbom;
mod signature;
mod trial;
mod version;

pub(crate) use trial::trial;

use crate::image::{self, Arch};
use anyhow::{Context as _, ensure};
use pipglr_e2e::command::CommandExt as _;
use pipglr_e2e::host::packages;
use std::path::{Path, PathBuf};
use std::process::Command;
use version::{Daily, Version};

/// Names in the directory that is given out.
const CHECKSUMS: &str = "SHA256SUMS";
const SIGNATURE: &str = "SHA256SUMS.sig";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where archives, bills of materials, checksums and signature go; it must not be there or be empty
    #[arg(long, value_name = "DIR", default_value = "target/dist")]
    out: PathBuf,
    /// The tag this is a release of: it has to be the version of Cargo.toml
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// File with the private key, as ssh-keygen makes it, that signs the checksums
    #[arg(long, value_name = "FILE", env = "RELEASE_SIGNING_KEY")]
    signing_key: Option<PathBuf>,
    /// Leave out the signature, to look at a release that is not published
    #[arg(long, conflicts_with = "signing_key")]
    unsigned: bool,
    /// Only print the names of the image for the tag, after a look at the tags of the repository
    #[arg(long, requires = "tag")]
    image_names: bool,
    /// Only print what is built each day as lines NAME=VALUE, after a look at the tags of the repository: RELEASE_REVISION,
    /// the commit of the newest release, and IMAGE_NAMES
    #[arg(long, conflicts_with_all = ["tag", "signing_key", "unsigned", "program"])]
    daily: bool,
    /// Take this program for an architecture instead of compiling one, as amd64=FILE
    #[arg(long, value_name = "ARCH=FILE")]
    program: Vec<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if args.daily {
        let tags = tags()?;
        let daily = Daily::of(tags.lines());
        let commit = format!("{}^{{commit}}", daily.commit);
        println!("RELEASE_REVISION={}", git(&["rev-parse", "--verify", &commit])?.trim());
        println!("IMAGE_NAMES={}", daily.image_names.join(" "));
        return Ok(());
    }
    let version = Version::of_workspace()?;
    if let Some(tag) = &args.tag {
        version.is_of_tag(tag)?;
    }
    if args.image_names {
        println!("{}", version.image_names(tags()?.lines()).join(" "));
        return Ok(());
    }
    let key = match &args.signing_key {
        Some(key) => Some(key.as_path()),
        None if args.unsigned => None,
        None => anyhow::bail!(
            "there is no key to sign with: RELEASE_SIGNING_KEY or --signing-key names a file with a private key \
             (docs/releasing.md tells how it is made); --unsigned makes a release that cannot be verified"
        ),
    };
    let given = args
        .program
        .iter()
        .map(|text| given(text))
        .collect::<Result<Vec<_>, _>>()?;
    make(&version, &args.out, key, &given)
}

/// All tags of the repository.
fn tags() -> anyhow::Result<String> {
    git(&["tag", "--list"])
}

fn git(arguments: &[&str]) -> anyhow::Result<String> {
    let mut git = Command::new("git");
    git.args(arguments).current_dir(pipglr_e2e::repository()).run_text()
}

/// `amd64=FILE`.
fn given(text: &str) -> anyhow::Result<(&str, &Path)> {
    let (arch, file) = text
        .split_once('=')
        .with_context(|| format!("--program {text}: this is not ARCH=FILE"))?;
    ensure!(
        Arch::ALL.iter().any(|known| known.debian == arch),
        "--program {text}: the architecture must be amd64 or arm64"
    );
    Ok((arch, Path::new(file)))
}

/// Makes everything in `out`, and checks it.
fn make(version: &Version, out: &Path, key: Option<&Path>, given: &[(&str, &Path)]) -> anyhow::Result<()> {
    let mut say = |text: &str| println!("{text}");
    std::fs::create_dir_all(out).with_context(|| format!("create {}", out.display()))?;
    ensure!(
        std::fs::read_dir(out)?.next().is_none(),
        "{} is not empty: what is in it would not be in the checksums",
        out.display()
    );
    // A key that cannot sign is told before minutes are spent.
    let key = key.map(signature::Key::open).transpose()?;
    packages::install(&packages::RELEASE, &mut say)?;
    packages::install(&packages::CROSS, &mut say)?;
    let cyclonedx = sbom::tool(&mut say)?;
    let mut programs = Vec::new();
    for arch in &Arch::ALL {
        let program = match given.iter().find(|(name, _)| *name == arch.debian) {
            Some((_, file)) => file.to_path_buf(),
            None => {
                say(&format!("compiling the program for {}", arch.debian));
                packages::rust_target(arch.target, &mut say)?;
                image::compile(pipglr_e2e::repository(), arch)?
            }
        };
        programs.push((arch, program));
    }
    let native = programs.iter().find(|(arch, _)| arch.is_here());
    let (_, native) = native.context("this machine is neither amd64 nor arm64")?;
    for (arch, program) in &programs {
        let name = contents::name(version, arch);
        let bill = out.join(format!("{name}.cdx.json"));
        sbom::write(&cyclonedx, arch, &bill)?;
        contents::archive(out, &name, program, native, &bill)?;
    }
    signature::write_checksums(out)?;
    if let Some(key) = &key {
        key.sign(&out.join(CHECKSUMS))?;
    }
    check::everything(version, out, key.as_ref().map(signature::Key::public))?;
    say(&format!("{} {version} is in {}", "pipglr", out.display()));
    Ok(())
}
