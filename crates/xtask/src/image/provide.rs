//! The image for stories and the quickstart: built under another account, from a context that account can read.

use super::{Arch, CACHE, Podman, assemble_context, base, check_seccomp, containerfile, program, repository, run};
use anyhow::{Context as _, anyhow};
use pipglr_e2e::host::Account;
use std::path::{Path, PathBuf};

/// The Rust target of the program for this machine.
pub(crate) fn native_target() -> &'static str {
    Arch::ALL
        .iter()
        .find(|arch| arch.is_here())
        .map_or("x86_64-unknown-linux-musl", |arch| arch.target)
}

/// What builds images in an account.
pub(crate) struct Builder {
    podman: Podman,
    context: PathBuf,
    base: String,
    /// The program that is in the images.
    pub(crate) program: PathBuf,
}

impl Builder {
    /// Compiles the program and gets the base image ready.
    pub(crate) fn prepare(account: &Account, say: &mut dyn FnMut(&str)) -> anyhow::Result<Self> {
        let repository = repository()?;
        let arch = Arch::of(&[])?;
        let cache = repository.join(CACHE);
        std::fs::create_dir_all(&cache)?;
        let wrapper = std::env::temp_dir().join(format!("pipglr-as-{}", account.name()));
        account.write_wrapper(&wrapper)?;
        let podman = Podman(vec![wrapper.display().to_string(), "podman".to_owned()]);
        let containerfile = containerfile::read(&repository.join("Containerfile"))?;
        say("compiling the static program, and getting the base image ready");
        // The one computes, the other waits for packages.
        let (base, program) = std::thread::scope(|both| {
            let base = both.spawn(|| base::provide(&containerfile, &cache, &arch, &podman, false));
            let program = program::compile(&repository, &arch);
            (base.join(), program)
        });
        let base = base.map_err(|_| anyhow!("the base image: panicked"))??;
        let program = program?;
        let local = assemble_context(&repository, &cache.join(format!("context-{}", arch.debian)), &program)?;
        let context = hand_over(&local, account)?;
        Ok(Self {
            podman,
            context,
            base,
            program,
        })
    }

    /// A `podman build` of the context, as the account, without tag and context. It shares the host's network, so that
    /// a download server on loopback can be reached.
    pub(crate) fn variant_command(&self) -> std::process::Command {
        let mut build = self.podman.command();
        build.args(["build", "--network=host"]).current_dir(&self.context);
        build
            .arg(format!("--build-arg=TOOLCHAIN_IMAGE={}", self.base))
            .arg("--build-arg=PROGRAM=prebuilt");
        build
    }

    /// Builds the image `tag`.
    pub(crate) fn build(&self, tag: &str, build_args: &[&str]) -> anyhow::Result<()> {
        let mut build = self.variant_command();
        build
            .args(["--quiet", "--tag", tag])
            .args(build_args.iter().map(|a| format!("--build-arg={a}")))
            .arg(".");
        pipglr_e2e::command::CommandExt::run_text(&mut build)?;
        check_seccomp(&self.podman, tag)
    }
}

/// Copies the context to where the account can read it: a checkout may lie in somebody's private directory.
fn hand_over(context: &Path, account: &Account) -> anyhow::Result<PathBuf> {
    let target = account.home().join("pipglr-context");
    if target.exists() {
        std::fs::remove_dir_all(&target).with_context(|| format!("remove {}", target.display()))?;
    }
    run(std::process::Command::new("cp")
        .arg("--recursive")
        .arg(context)
        .arg(&target))?;
    run(std::process::Command::new("chmod")
        .args(["--recursive", "u=rwX,go=rX"])
        .arg(&target))?;
    Ok(target)
}
