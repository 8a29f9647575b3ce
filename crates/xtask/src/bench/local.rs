//! A pipeline of a working tree: `pipglr local` and gitlab-ci-local in turns, on the same podman and the same image.

use super::median;
use anyhow::{Context as _, ensure};
use pipglr_e2e::cache;
use pipglr_e2e::command::CommandExt as _;
use pipglr_e2e::host::Account;
use pipglr_e2e::job_images::{SMALL, TAG};
use pipglr_e2e::registry::Registry;
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

const JOBS: usize = 20;
/// Measured runs of each; one more of each comes before.
const RUNS: usize = 5;

/// The newest that there was, and a Node.js that is new enough for it.
const PEER: [&str; 2] = ["gitlab-ci-local@4.75.1", "node@24"];

/// Everything lies here, in the account's home.
const DIRECTORY: &str = "bench-local";
const IMAGE: &str = "localhost/bench-local:latest";

/// Prints the time of both.
pub(super) fn compare(account: &Account, program: &Path, registry: &Registry) -> anyhow::Result<()> {
    let measured = set_up(account, program, registry).and_then(|()| measure(account));
    let removed = account
        .shell(&format!(
            "(cd {DIRECTORY}/project && ../pipglr local --clean); rm -rf {DIRECTORY}; podman volume prune --force; \
             podman rmi --force {IMAGE}"
        ))
        .run_text();
    measured?;
    removed.map(drop)
}

fn set_up(account: &Account, program: &Path, registry: &Registry) -> anyhow::Result<()> {
    let name = format!("{}/{}:{TAG}", registry.address(), SMALL.repository);
    account
        .shell(&format!(
            "podman pull --quiet --tls-verify=false {name} && podman tag {name} {IMAGE} && podman untag {name} {name}"
        ))
        .run_text()?;
    let jobs: String = (1..=JOBS)
        .map(|n| format!("job{n}: {{ script: ['echo job {n}'] }}\n"))
        .collect();
    account.write(
        &format!("{DIRECTORY}/project/.gitlab-ci.yml"),
        &format!("default: {{ image: '{IMAGE}' }}\n{jobs}"),
    )?;
    let commit = format!(
        "cd {DIRECTORY}/project && git init --quiet --initial-branch main && \
         git remote add origin https://gitlab.example/group/project.git && git add . && \
         git -c user.name=bench -c user.email=bench@example.com commit --quiet --message x"
    );
    account.shell(&commit).run_text()?;
    give(
        account,
        program,
        &format!("install -D --mode=755 /dev/stdin {DIRECTORY}/pipglr"),
    )?;
    let peer = cache().join("peer");
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--silent", "--prefix"])
        .arg(&peer)
        .args(PEER);
    npm.run_text().context("install gitlab-ci-local; npm is needed")?;
    let tar = cache().join("peer.tar");
    Command::new("tar")
        .arg("--create")
        .arg("--file")
        .arg(&tar)
        .arg("--directory")
        .arg(&peer)
        .arg(".")
        .run_text()?;
    give(
        account,
        &tar,
        &format!("mkdir -p {DIRECTORY}/peer && tar --extract --directory {DIRECTORY}/peer"),
    )
}

/// Runs a line of the account's with a file of ours, which it may not be able to open, as input.
fn give(account: &Account, file: &Path, line: &str) -> anyhow::Result<()> {
    let input = File::open(file).with_context(|| format!("open {}", file.display()))?;
    let output = account.shell(line).stdin(input).run_any()?;
    ensure!(
        output.status.success(),
        "{line}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn measure(account: &Account) -> anyhow::Result<()> {
    let ours = "../pipglr local";
    // It copies the working tree in a container of its own image; any with a shell does, and no registry is reachable.
    let peer = format!(
        "../peer/node_modules/node/bin/node ../peer/node_modules/gitlab-ci-local/dist/index.js \
         --container-executable podman --pull-policy if-not-present --helper-image {IMAGE}"
    );
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..=RUNS {
        for (line, times) in [ours, peer.as_str()].into_iter().zip(&mut times) {
            let milliseconds = once(account, line)?;
            if round > 0 {
                times.push(milliseconds);
            }
        }
    }
    let [ours, peer] = times.map(median);
    println!("{JOBS} shell jobs of a working tree, median of {RUNS}:");
    println!("  pipglr local:                                         {ours:>7.0} ms");
    println!("  gitlab-ci-local:                                      {peer:>7.0} ms");
    println!(
        "  ratio:                                                {:>7.2}",
        ours / peer
    );
    Ok(())
}

/// Milliseconds of a run in which every job did its work.
fn once(account: &Account, line: &str) -> anyhow::Result<f64> {
    let mut command = account.shell(&format!("cd {DIRECTORY}/project && {line}"));
    let began = Instant::now();
    let output = command.run_any()?;
    let milliseconds = began.elapsed().as_secs_f64() * 1000.0;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success() && text.contains(&format!("job {JOBS}\n")),
        "{line}: {}\n{text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(milliseconds)
}
