//! What the README says to do in a checkout of the repository.

use crate::stage::{Stage, contains};
use anyhow::{Context as _, ensure};
use pipglr_e2e::cargo::cargo;
use pipglr_e2e::command::CommandExt as _;
use pipglr_e2e::host::Account;
use pipglr_e2e::{repository, sample};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The Containerfile's default toolchain; no registry that has it can be reached from a test.
pub(crate) const TOOLCHAIN: &str = "docker.io/library/rust:1.95-slim-trixie";
/// Made of this machine's Rust, whose crates are at hand. Optimizing would take minutes and shows nothing here.
const TOOLCHAIN_CONTAINERFILE: &str = "FROM docker.io/library/debian:trixie-slim\n\
    RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev musl-tools\n\
    COPY toolchain /usr/local/rust\nCOPY registry /usr/local/cargo/registry\n\
    ENV PATH=/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    CARGO_HOME=/usr/local/cargo CARGO_PROFILE_RELEASE_OPT_LEVEL=0\n";

/// The very command, in a clean checkout, with bases made here under the default names.
pub(super) fn podman_build(stage: &Stage, line: &str) -> anyhow::Result<()> {
    let account = &stage.account;
    provide_toolchain(account)?;
    let checkout = clean_checkout(account)?;
    let under_test = account
        .podman(["image", "inspect", "--format", "{{.Id}}", &stage.image])
        .run_text()?;
    let built = account
        .shell(&format!("cd {} && {line}", checkout.display()))
        .run_text()
        .context("the README's podman build")
        .and_then(|_| {
            let run = ["run", "--rm", "--network=none", &stage.image, "pipglr", "--version"];
            contains(&account.podman(run).run_text()?, "pipglr ")
        });
    // The command's tag is the name of the image under test.
    account.podman(["tag", under_test.trim(), &stage.image]).run_text()?;
    std::fs::remove_dir_all(&checkout)?;
    built
}

/// Once for each Rust on this machine and each set of dependencies, which it brings along.
pub(crate) fn provide_toolchain(account: &Account) -> anyhow::Result<()> {
    let rustc = Command::new("rustc").arg("--version").run_text()?;
    let lock = Command::new("sha256sum")
        .arg(repository().join("Cargo.lock"))
        .run_text()?;
    let digest = lock.split_whitespace().next().unwrap_or_default();
    let version = format!("{} {digest}", rustc.trim());
    let label = account
        .podman(["image", "inspect", "--format", "{{.Labels.toolchain}}", TOOLCHAIN])
        .run_any()?;
    if label.stdout.trim_ascii() == version.trim().as_bytes() {
        return Ok(());
    }
    println!("      making the toolchain image from this machine's Rust");
    let context = account.home().join("toolchain-context");
    let toolchain = context.join("toolchain");
    if context.exists() {
        std::fs::remove_dir_all(&context)?;
    }
    std::fs::create_dir_all(&toolchain)?;
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).run_text()?;
    for part in ["bin", "lib", "libexec"] {
        copy(&Path::new(sysroot.trim()).join(part), &toolchain)?;
    }
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(PathBuf::from).context("HOME is not set")?;
    let registry = cargo_home.unwrap_or_else(|| home.join(".cargo")).join("registry");
    std::fs::create_dir_all(context.join("registry"))?;
    for part in ["cache", "index"] {
        copy(&registry.join(part), &context.join("registry"))?;
    }
    std::fs::write(context.join("Containerfile"), TOOLCHAIN_CONTAINERFILE)?;
    let label = format!("--label=toolchain={}", version.trim());
    let built = account
        .shell("cd toolchain-context && exec podman build --quiet --tag \"$0\" \"$1\" .")
        .args([TOOLCHAIN, &label])
        .run_text();
    std::fs::remove_dir_all(&context)?;
    built.map(drop)
}

/// The files a clone would have, as they are in the working tree, where the account can read them.
pub(crate) fn clean_checkout(account: &Account) -> anyhow::Result<PathBuf> {
    let target = account.home().join("checkout");
    if target.exists() {
        std::fs::remove_dir_all(&target)?;
    }
    std::fs::create_dir_all(&target)?;
    let pipe = "git ls-files -z | xargs -0 sh -c 'for f; do [ ! -e \"$f\" ] || printf \"%s\\0\" \"$f\"; done' sh \
                | tar --create --null --files-from=- | tar --extract --directory \"$0\"";
    Command::new("sh")
        .args(["-ec", pipe])
        .arg(&target)
        .current_dir(repository())
        .run_text()?;
    hand_over(&target)?;
    Ok(target)
}

fn copy(from: &Path, into: &Path) -> anyhow::Result<()> {
    Command::new("cp").arg("--recursive").arg(from).arg(into).run_text()?;
    hand_over(into)
}

fn hand_over(path: &Path) -> anyhow::Result<()> {
    Command::new("chmod")
        .args(["--recursive", "u=rwX,go=rX"])
        .arg(path)
        .run_text()
        .map(drop)
}

/// `cargo xtask image` with the account's podman.
pub(super) fn xtask_image(stage: &Stage) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let as_account = directory.path().join("as-account");
    stage.account.write_wrapper(&as_account)?;
    // This checkout may lie where the account cannot look.
    let podman = directory.path().join("podman");
    let copied = stage.account.home().join("image-context");
    let script = format!(
        "#!/bin/sh\nset -e\nif [ \"$1\" = build ]; then rm -rf {copied}; cp -r . {copied}; chmod -R u=rwX,go=rX {copied}; cd {copied}; fi\n\
         exec {as_account} podman \"$@\"\n",
        copied = copied.display(),
        as_account = as_account.display()
    );
    std::fs::write(&podman, script)?;
    Command::new("chmod").arg("755").arg(&podman).run_text()?;
    let mut command = cargo(&["xtask", "image"]);
    command.env("PIPGLR_PODMAN", &podman).run_text()?;
    std::fs::remove_dir_all(&copied)?;
    let names = stage
        .account
        .podman(["image", "inspect", "--format", "{{.RepoTags}}", &stage.image])
        .run_text()?;
    contains(&names, "registry.gitlab.com/qontainers/pipglr:latest")
}

/// `pipglr serve` in a project: it says what a runner needs, and answers.
pub(super) fn serve(line: &str) -> anyhow::Result<()> {
    let program = std::env::var("PIPGLR_STORY_PROGRAM").context("PIPGLR_STORY_PROGRAM is not set")?;
    let directory = tempfile::tempdir()?;
    let files = [(".gitlab-ci.yml", "a: { script: ['true'] }\n")];
    let project = sample::from_files(&directory.path().join("project"), &files)?;
    let mut child = Command::new(program)
        .args(line.split(' ').skip(1))
        .current_dir(&project)
        .env("TMPDIR", directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .context("start pipglr serve")?;
    let mut said = String::new();
    // Kept open until the end: it goes on to write about the pipeline.
    let mut stdout = BufReader::new(child.stdout.take().context("stdout was asked for")?);
    for line in stdout.by_ref().lines() {
        said.push_str(&line?);
        said.push('\n');
        if said.contains("\nregistration token: ") {
            break;
        }
    }
    let answered = answers(&said);
    Command::new("kill").arg(child.id().to_string()).run_text()?;
    let status = child.wait()?;
    answered?;
    ensure!(status.success(), "pipglr serve ended with {status}");
    Ok(())
}

/// A runner's first question gets an answer at the URL that was shown.
fn answers(said: &str) -> anyhow::Result<()> {
    let after = |label: &str| {
        said.split(label)
            .nth(1)
            .and_then(|rest| rest.split_whitespace().next())
            .with_context(|| format!("{label:?} is not in:\n{said}"))
    };
    let (url, token) = (after(" at ")?, after("runner authentication token: ")?);
    let status = Command::new("curl")
        .args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code}"])
        .args(["--header", "Content-Type: application/json"])
        .args(["--data", &format!("{{\"token\":\"{token}\"}}")])
        .arg(format!("{url}/api/v4/runners/verify"))
        .run_text()?;
    ensure!(status == "200", "verify was answered with {status}");
    Ok(())
}
