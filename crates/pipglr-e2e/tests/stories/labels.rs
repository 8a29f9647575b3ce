//! The runlabels, called both ways: `podman container runlabel`, and the label's text given to a shell.

use crate::stage::{Project, Stage, contains};
use anyhow::{Context as _, ensure};
use pipglr_e2e::command::CommandExt as _;
use std::process::Output;

/// How a label is called.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    Runlabel,
    Eval,
}

pub(crate) const WAYS: [Way; 2] = [Way::Runlabel, Way::Eval];

pub(crate) fn call(stage: &Stage, way: Way, label: &str, environment: &[(&str, &str)]) -> anyhow::Result<Output> {
    let exports: String = environment
        .iter()
        .map(|(key, value)| format!("export {key}='{value}'; "))
        .collect();
    let image = &stage.image;
    let line = match way {
        Way::Runlabel => format!("{exports}podman container runlabel {label} {image}"),
        Way::Eval => {
            format!("{exports}IMAGE={image}; eval $(podman inspect --format=json $IMAGE | jq -r .[].Labels.{label})")
        }
    };
    stage.account.shell(&line).run_any()
}

fn secret(stage: &Stage, value: &str) -> anyhow::Result<()> {
    stage.account.podman(["secret", "rm", "REGISTRATION_TOKEN"]).run_any()?;
    stage
        .account
        .podman(["secret", "create", "REGISTRATION_TOKEN", "-"])
        .run_with_input(value)
        .map(drop)
}

fn config(stage: &Stage) -> anyhow::Result<String> {
    std::fs::read_to_string(stage.account.home().join("config.toml")).context("read config.toml")
}

fn any_project(stage: &Stage) -> anyhow::Result<Project> {
    stage.coordinator("a: { image: '@SMALL@', script: ['true'] }\n")
}

/// Each call appends one runner; both kinds of token; options by environment names; the secret is stored and replaced.
pub(crate) fn registration(stage: &mut Stage) -> anyhow::Result<()> {
    let project = any_project(stage)?;
    let registration_token = project.coordinator.registration_token().expose().to_owned();
    for way in WAYS {
        stage.clear()?;
        stage.account.write("config.toml", "")?;
        let own = [
            ("CI_SERVER_URL", project.url.as_str()),
            ("RUNNER_NAME", "first one"),
            ("DOCKER_IMAGE", "busybox:1"),
            ("RUNNER_LIMIT", "2"),
        ];
        let tags = [
            ("CI_SERVER_URL", project.url.as_str()),
            ("RUNNER_NAME", "second"),
            ("RUNNER_TAG_LIST", "a,b"),
            ("DOCKER_HOST", "tcp://leak"),
        ];
        for (token, environment) in [
            (format!("{}\n", project.token()), &own[..]),
            (registration_token.clone(), &tags[..]),
        ] {
            secret(stage, &token)?;
            let output = call(stage, way, "register", environment)?;
            ensure!(output.status.success(), "{way:?}: {output:?}");
        }
        let text = config(stage)?;
        ensure!(text.matches("[[runners]]").count() == 2, "{way:?}: {text}");
        for part in [
            "name = \"first one\"",
            "name = \"second\"",
            "limit = 2",
            "image = \"busybox:1\"",
            "privileged = true",
            "executor = \"docker\"",
        ] {
            contains(&text, part)?;
        }
        contains(&text, &format!("token = \"{}\"", project.token()))?;
        ensure!(!text.contains("tcp://leak"), "the caller's DOCKER_HOST leaked in");
        for content in [text.clone(), text.replace("concurrent = 1", "concurrent = 5")] {
            stage.account.write("config.toml", &content)?;
            let output = call(stage, way, "setupconfig", &[])?;
            ensure!(output.status.success(), "{way:?}: {output:?}");
        }
        for label in ["setupstorage", "setupcache", "run"] {
            let output = call(stage, way, label, &[])?;
            ensure!(output.status.success(), "{way:?} {label}: {output:?}");
        }
        stage.wait_until_healthy()?;
    }
    Ok(())
}

/// What a user gets wrong is answered with one line that says what to do.
pub(crate) fn mistakes(stage: &mut Stage) -> anyhow::Result<()> {
    let project = any_project(stage)?;
    for way in WAYS {
        stage.clear()?;
        let url = [("CI_SERVER_URL", project.url.as_str())];
        let expect = |what: &str, label: &str, environment: &[(&str, &str)], word: &str| -> anyhow::Result<()> {
            let output = call(stage, way, label, environment)?;
            let text = String::from_utf8_lossy(&output.stderr).into_owned() + &*String::from_utf8_lossy(&output.stdout);
            let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
            ensure!(!output.status.success(), "{way:?}, {what}: succeeded");
            ensure!(lines.len() <= 2 && text.contains(word), "{way:?}, {what}: {text}");
            Ok(())
        };
        expect(
            "no secret to register",
            "register",
            &url,
            "podman secret create REGISTRATION_TOKEN",
        )?;
        expect("no secret to run", "run", &[], "setupconfig")?;
        expect("no secret to dump", "dumpconfig", &[], "setupconfig")?;
        expect("no configuration to store", "setupconfig", &[], "touch ./config.toml")?;
        secret(stage, &project.token())?;
        expect("no config.toml", "register", &url, "touch ./config.toml")?;
        stage
            .account
            .shell("touch config.toml; chmod 400 config.toml")
            .run_text()?;
        expect(
            "config.toml may not be written",
            "register",
            &url,
            "chmod u+w ./config.toml",
        )?;
        stage.account.shell("chmod 600 config.toml").run_text()?;
        let nowhere = [("CI_SERVER_URL", "http://10.0.2.2:9")];
        expect("GitLab cannot be reached", "register", &nowhere, "CI_SERVER_URL")?;
        secret(stage, "glrt-wrong")?;
        expect("wrong token", "register", &url, "REGISTRATION_TOKEN")?;
        secret(stage, "GR1348941wrong")?;
        expect("wrong registration token", "register", &url, "REGISTRATION_TOKEN")?;
        ensure!(config(stage)?.is_empty(), "a failed registration changes nothing");
    }
    Ok(())
}

/// Whatever the secret holds comes out unchanged.
pub(crate) fn dumpconfig(stage: &mut Stage) -> anyhow::Result<()> {
    let content = "# comment\nconcurrent = 1\r\n[[runners]]\n  name = \"é\t\\\\ \"\n# no newline at the end";
    stage
        .account
        .podman(["secret", "create", "config.toml", "-"])
        .run_with_input(content)?;
    for way in WAYS {
        let output = call(stage, way, "dumpconfig", &[])?;
        ensure!(
            output.stdout == content.as_bytes(),
            "{way:?}: {:?}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
    Ok(())
}
