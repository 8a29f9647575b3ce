//! The image and its build arguments.

use crate::stage::{Stage, contains};
use anyhow::{Context as _, ensure};
use pipglr_e2e::command::CommandExt as _;
use pipglr_e2e::releases;
use std::process::{Command, Output};

/// Builds a variant by the script `cargo xtask test` provides.
fn build(tag: &str, arguments: &[&str]) -> anyhow::Result<Output> {
    let script = std::env::var("PIPGLR_STORY_BUILD").context("PIPGLR_STORY_BUILD is not set")?;
    let mut command = Command::new(script);
    command
        .args(["--tag", tag])
        .args(arguments.iter().map(|a| format!("--build-arg={a}")));
    command.run_any()
}

fn run(stage: &Stage, image: &str, line: &str) -> anyhow::Result<String> {
    stage
        .account
        .podman(["run", "--rm", "--network=none", image, "sh", "-c", line])
        .run_text()
}

/// Users, capabilities of the ID mappers, units, annotations, no toolchain.
pub(crate) fn inside(stage: &mut Stage) -> anyhow::Result<()> {
    let text = run(
        stage,
        &stage.image,
        "id podman; id runner; getcap /usr/bin/newuidmap /usr/bin/newgidmap; cat /etc/subuid; cat /etc/systemd/system/pipglr-prune.timer; \
         readlink /usr/bin/gitlab-runner; gitlab-runner --version; ls /usr/local/cargo /root/.cargo 2>&1; which cargo rustc gcc; true",
    )?;
    for part in [
        "uid=1000(podman)",
        "uid=1001(runner)",
        "cap_setuid=ep",
        "cap_setgid=ep",
        "podman:1:999\npodman:1002:64538",
        "OnCalendar=daily",
        "Version:      0.",
        "OS/Arch:      linux/",
    ] {
        contains(&text, part)?;
    }
    ensure!(!text.contains("Git revision: unknown"), "{text}");
    ensure!(
        !text.contains("/cargo\n") && !text.contains("rustc\n"),
        "no toolchain: {text}"
    );
    let labels = stage
        .account
        .podman(["image", "inspect", "--format", "{{json .Labels}}", &stage.image])
        .run_text()?;
    for part in [
        "org.opencontainers.image.title",
        "org.opencontainers.image.source",
        "org.opencontainers.image.licenses",
    ] {
        contains(&labels, part)?;
    }
    Ok(())
}

/// The profile in the label, compared with the default of the podman inside.
pub(crate) fn seccomp(stage: &mut Stage) -> anyhow::Result<()> {
    let label = stage
        .account
        .podman(["image", "inspect", "--format", "{{json .Labels}}", &stage.image])
        .run_text()?;
    let labels: serde_json::Value = serde_json::from_str(&label)?;
    let mut profile: serde_json::Value =
        serde_json::from_str(labels["io.containers.seccomp.profile"].as_str().context("no profile")?)?;
    let mut default: serde_json::Value =
        serde_json::from_str(&run(stage, &stage.image, "cat /usr/share/containers/seccomp.json")?)?;
    // They are compared as text.
    profile.sort_all_objects();
    default.sort_all_objects();
    let allowed = |profile: &serde_json::Value, action: &str| -> Vec<String> {
        let rules = profile["syscalls"].as_array().cloned().unwrap_or_default();
        let of_action = rules.iter().filter(|r| r["action"] == action);
        // A rule's conditions belong to its names.
        let mut names: Vec<String> = of_action
            .flat_map(|r| {
                let conditions = format!("{} {} {}", r["args"], r["includes"], r["excludes"]);
                let names: Vec<String> = r["names"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|n| format!("{n} {conditions}"))
                    .collect();
                names
            })
            .collect();
        names.sort();
        names
    };
    let difference = |action: &str| -> Vec<String> {
        let (ours, theirs) = (allowed(&profile, action), allowed(&default, action));
        let added = ours.iter().filter(|n| !theirs.contains(n)).map(|n| format!("+{n}"));
        let removed = theirs.iter().filter(|n| !ours.contains(n)).map(|n| format!("-{n}"));
        added.chain(removed).collect()
    };
    let all: Vec<String> = ["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"]
        .into_iter()
        .flat_map(difference)
        .collect();
    ensure!(
        !all.is_empty() && all.iter().all(|d| d.contains("\"sethostname\"")),
        "{all:#?}"
    );
    for key in ["defaultAction", "defaultErrnoRet", "archMap"] {
        ensure!(profile[key] == default[key], "{key} differs");
    }
    Ok(())
}

/// Each wrong value ends the build and says what is wrong.
pub(crate) fn wrong_arguments(_stage: &mut Stage) -> anyhow::Result<()> {
    for (argument, word) in [
        (
            "PRUNE_INTERVAL=sometimes",
            "PRUNE_INTERVAL=sometimes: not a systemd OnCalendar value",
        ),
        (
            "RUNNER_FLAVOUR=python",
            "RUNNER_FLAVOUR=python: must be native or gitlab-runner",
        ),
        (
            "RUNNER_VERSION=1.2.3",
            "RUNNER_VERSION=1.2.3: the native runner of this source is",
        ),
        ("TARGETARCH=riscv64", "TARGETARCH=riscv64: must be amd64 or arm64"),
        (
            "NESTED_PRIVILEGED=perhaps",
            "NESTED_PRIVILEGED=perhaps: must be true or false",
        ),
    ] {
        let output = build("localhost/pipglr-wrong", &[argument])?;
        ensure!(!output.status.success(), "{argument} was accepted");
        contains(&String::from_utf8_lossy(&output.stderr), word)?;
    }
    Ok(())
}

/// PRUNE_INTERVAL and NESTED_PRIVILEGED, seen in the image and by a job.
pub(crate) fn arguments_have_effect(stage: &mut Stage) -> anyhow::Result<()> {
    let tag = "localhost/pipglr-variant";
    let output = build(tag, &["PRUNE_INTERVAL=hourly", "NESTED_PRIVILEGED=false"])?;
    ensure!(output.status.success(), "{output:?}");
    contains(
        &run(stage, tag, "cat /etc/systemd/system/pipglr-prune.timer")?,
        "OnCalendar=hourly",
    )?;
    let usual = std::mem::replace(&mut stage.image, tag.to_owned());
    let result = unprivileged_job(stage);
    stage.image = usual;
    stage.clear()?;
    stage.account.podman(["rmi", "--force", tag]).run_text()?;
    result
}

fn unprivileged_job(stage: &Stage) -> anyhow::Result<()> {
    let project = stage.coordinator(
        "a: { image: '@SMALL@', variables: { GIT_STRATEGY: none }, script: ['! mount -t tmpfs none /mnt', 'echo not privileged'] }\n",
    )?;
    stage.register(&project, &[("DOCKER_PRIVILEGED", "true")])?;
    stage.configure_and_run(|text| text)?;
    let pipeline = stage.run_pipeline(&project)?;
    let text = crate::stage::log(&pipeline.jobs[0])?;
    contains(&text, "not privileged\n")?;
    contains(&text, "NESTED_PRIVILEGED=false")
}

/// The official flavour, from a server on loopback in place of GitLab's; a wrong sum is refused.
pub(crate) fn gitlab_runner_flavour(stage: &mut Stage) -> anyhow::Result<()> {
    let program = b"#!/bin/sh\necho \"Version: 99.1.0\"\n";
    let sum = Command::new("sha256sum").run_with_input(std::str::from_utf8(program)?)?;
    let sum = sum.split(' ').next().context("a sum")?.to_owned();
    let tag = "localhost/pipglr-flavour";
    let url = format!("RUNNER_BASE_URL={}", releases::serve("99.1.0", program.to_vec(), sum)?);
    let output = build(tag, &["RUNNER_FLAVOUR=gitlab-runner", "RUNNER_VERSION=v99.1.0", &url])?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    contains(
        &run(
            stage,
            tag,
            "gitlab-runner --version; cat /etc/systemd/system/runner.service.d/gitlab-runner.conf",
        )?,
        "Version: 99.1.0",
    )?;
    stage.account.podman(["rmi", "--force", tag]).run_text()?;
    let tampered = releases::serve("99.1.0", b"#!/bin/sh\necho tampered\n".to_vec(), "0".repeat(64))?;
    let url = format!("RUNNER_BASE_URL={tampered}");
    let output = build(tag, &["RUNNER_FLAVOUR=gitlab-runner", "RUNNER_VERSION=v99.1.0", &url])?;
    ensure!(!output.status.success(), "a wrong sum was accepted");
    contains(
        &String::from_utf8_lossy(&output.stderr),
        "does not have the published sha256",
    )
}
