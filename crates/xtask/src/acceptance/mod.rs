//! `cargo xtask acceptance`: pipglr on a stock Debian 13 in a virtual machine, by the README, with a reboot in the middle.
//!
//! The machine is emulated: it takes minutes, and no KVM. What happens in it is `pipglr-e2e`'s test `acceptance`.

mod base;

use crate::image;
use anyhow::{Context as _, ensure};
use base::Base;
use pipglr_e2e::command::CommandExt as _;
use pipglr_e2e::host::{Account, STAGE_ACCOUNT, packages};
use pipglr_e2e::job_images::SMALL;
use pipglr_e2e::registry::Registry;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

const IMAGE: &str = crate::quickstart::IMAGE;

/// Everything but the base, which stays for the next time, goes at the end; so does the log, at the next start.
const DIRECTORY: &str = "target/acceptance";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Make the machine's Debian anew even if there is one
    #[arg(long)]
    refresh_base: bool,
    /// Take this image of pipglr, an archive for `podman load`, instead of building one
    #[arg(long, value_name = "FILE", requires = "program")]
    archive: Option<PathBuf>,
    /// Take this program instead of compiling one
    #[arg(long, value_name = "FILE", requires = "archive")]
    program: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut say = |text: &str| println!("         {text}");
    let title = |text: &str| println!("[{:>5.0}s] {text}", began.elapsed().as_secs_f64());
    ensure!(
        packages::is_root(),
        "the file system of a Debian takes root to make: sudo cargo xtask acceptance"
    );
    ensure!(
        std::env::consts::ARCH == "x86_64",
        "the machine is an amd64 one, and would be too slow here"
    );
    title("packages");
    packages::install(&packages::STAGE, &mut say)?;
    packages::install(&packages::MACHINE, &mut say)?;
    packages::rust_target(image::native_target(), &mut say)?;
    let directory = pipglr_e2e::repository().join(DIRECTORY);
    std::fs::create_dir_all(&directory).with_context(|| format!("create {}", directory.display()))?;
    title("a stock Debian 13");
    let base = base::provide(&directory, args.refresh_base, &mut say)?;
    title("program, image, and a registry with the image of jobs");
    let made = directory.join("pipglr-image.tar");
    let given = args.archive.clone().zip(args.program.clone());
    let prepared = prepare(&made, given, &mut say);
    let result = prepared.and_then(|(archive, program)| {
        title("the machine");
        play(&directory, &base, &archive, &program)
    });
    if made.exists() {
        std::fs::remove_file(&made).with_context(|| format!("remove {}", made.display()))?;
    }
    result?;
    title("done");
    Ok(())
}

/// The archive of the image and the program; the image of jobs is in the registry after that. The account is free for
/// others from then on.
fn prepare(
    made: &Path,
    given: Option<(PathBuf, PathBuf)>,
    say: &mut dyn FnMut(&str),
) -> anyhow::Result<(PathBuf, PathBuf)> {
    let registry = Registry::start(&pipglr_e2e::cache().join("registry"))?;
    let has_small = registry.has(SMALL.repository, pipglr_e2e::job_images::TAG)?;
    if let Some(given) = given.clone()
        && has_small
    {
        return Ok(given);
    }
    let account = Account::provide(STAGE_ACCOUNT, say)?;
    let result = SMALL.provide(&registry, &account, say).and_then(|()| match given {
        Some(given) => Ok(given),
        None => build(made, &account, say),
    });
    account.close(false)?;
    result
}

fn build(made: &Path, account: &Account, say: &mut dyn FnMut(&str)) -> anyhow::Result<(PathBuf, PathBuf)> {
    let builder = image::Builder::prepare(account, say)?;
    say("building the image");
    builder.build(IMAGE, &[])?;
    say("writing the image to an archive");
    let file = std::fs::File::create(made).with_context(|| format!("create {}", made.display()))?;
    let mut save = account.podman(["save", "--quiet", "--format", "oci-archive", IMAGE]);
    let saved = save.stdout(file).stderr(Stdio::inherit()).status()?;
    ensure!(saved.success(), "podman save: {saved}");
    Ok((made.to_owned(), builder.program))
}

fn play(directory: &Path, base: &Base, archive: &Path, program: &Path) -> anyhow::Result<()> {
    let mut test = pipglr_e2e::cargo::cargo(&[
        "test",
        "--package",
        "pipglr-e2e",
        "--test",
        "acceptance",
        "--locked",
        "--quiet",
    ]);
    test.env("PIPGLR_MACHINE_DISK", &base.disk)
        .env("PIPGLR_MACHINE_KERNEL", &base.kernel)
        .env("PIPGLR_MACHINE_INITRD", &base.initrd)
        .env("PIPGLR_MACHINE_DIRECTORY", directory)
        .env("PIPGLR_ACCEPTANCE_ARCHIVE", archive)
        .env("PIPGLR_ACCEPTANCE_PROGRAM", program);
    test.run_inherited().with_context(|| {
        format!(
            "what was done and said is in {}",
            directory.join("transcript.log").display()
        )
    })
}
