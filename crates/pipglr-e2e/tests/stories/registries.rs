//! Registries as an operator sees them: behind a private certificate, mirrored, blocked.

use crate::stage::{Stage, contains, failed_for, job, log};
use anyhow::{Context as _, ensure};
use pipglr_coordinator::JobState;
use pipglr_e2e::command::CommandExt as _;
use pipglr_e2e::job_images::NESTED;
use pipglr_e2e::registry::Registry;
use pipglr_e2e::{HOST_LOOPBACK, cache};
use std::path::Path;
use std::process::Command;

/// Certificates and registries.conf are mounted into the outer container; jobs pull by them without a word of their own, and so
/// does podman inside of jobs.
pub(crate) fn mirrors_and_certificates(stage: &mut Stage) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let (certificate, key) = (directory.path().join("own.crt"), directory.path().join("own.key"));
    make_certificate(&certificate, &key)?;
    let registry = Registry::start_with_tls(&cache().join("registry"), &certificate, &key)?;
    let tls = registry.address_inside();
    // A second one with another certificate, which only the runner's entry in config.toml names.
    let (of_gitlab, its_key) = (directory.path().join("gitlab.crt"), directory.path().join("gitlab.key"));
    make_certificate(&of_gitlab, &its_key)?;
    let second = Registry::start_with_tls(&cache().join("registry"), &of_gitlab, &its_key)?;
    let named = second.address_inside();
    stage.provide(&NESTED)?;
    let image = stage.small();
    let path = image.split_once('/').context("a registry and a path")?.1;

    let pem = std::fs::read_to_string(&certificate)?;
    stage.account.write("certs/own.crt", &pem)?;
    stage
        .account
        .write("gitlab.crt", &std::fs::read_to_string(&of_gitlab)?)?;
    let rules = format!(
        "[[registry]]\nprefix = \"mirrored.example\"\nlocation = \"{tls}\"\n\
         [[registry]]\nlocation = \"blocked.example\"\nblocked = true\n"
    );
    stage.account.write("own.conf", &rules)?;

    let project = stage.coordinator(&jobs(&tls, &named, path))?;
    stage.register(&project, &[("CI_SERVER_TLS_CA_FILE", "/etc/gitlab.crt")])?;
    for name in ["setupconfig", "setupstorage", "setupcache"] {
        stage.label(name, &[])?;
    }
    let mounts = "-v ./certs:/etc/gitlab-runner/certs:ro -v ./gitlab.crt:/etc/gitlab.crt:ro \
                  -v ./own.conf:/etc/containers/registries.conf.d/10-own.conf:ro";
    stage.label("run", &[("PIPGLR_OPTIONS", mounts)])?;
    stage.wait_until_healthy()?;

    let pipeline = stage.run_pipeline(&project)?;
    for name in ["tls", "named", "mirror", "nested", "nested-named"] {
        let record = job(&pipeline, name)?;
        ensure!(record.state == JobState::Success, "{name}:\n{}", log(record)?);
    }
    contains(&log(job(&pipeline, "tls")?)?, "-----BEGIN CERTIFICATE-----\n")?;
    let blocked = failed_for(job(&pipeline, "blocked")?, "runner_configuration_error")?;
    contains(&blocked, "is blocked in /etc/containers/registries.conf")?;
    contains(
        &log(job(&pipeline, "nested")?)?,
        "is blocked in /etc/containers/registries.conf",
    )?;
    stage.account.shell("rm -rf certs own.conf gitlab.crt").run_any()?;
    Ok(())
}

/// Jobs with images of all those registries, and jobs that pull them with a podman of their own.
fn jobs(tls: &str, named: &str, path: &str) -> String {
    format!(
        "variables: {{ GIT_STRATEGY: none }}\n\
         tls: {{ image: '{tls}/{path}', script: ['cat \"$CI_SERVER_TLS_CA_FILE\"'] }}\n\
         named: {{ image: '{named}/{path}', script: ['echo fine'] }}\n\
         mirror: {{ image: 'mirrored.example/{path}', script: ['echo fine'] }}\n\
         blocked: {{ image: 'blocked.example/{path}', script: ['echo never'], allow_failure: true }}\n\
         nested: {{ image: '{tls}/ci/podman:trixie', script: ['cat /etc/containers/registries.conf.d/10-own.conf', \
         'podman --storage-driver=overlay pull --quiet {tls}/{path}', \
         'podman --storage-driver=overlay pull --quiet mirrored.example/{path}', \
         '! podman --storage-driver=overlay pull blocked.example/{path}'] }}\n\
         nested-named: {{ image: '{tls}/ci/podman:trixie', script: ['podman --storage-driver=overlay pull --quiet {named}/{path}'] }}\n",
    )
}

/// A certificate that vouches for itself, for the address containers know this machine by.
pub(crate) fn make_certificate(certificate: &Path, key: &Path) -> anyhow::Result<()> {
    certify(certificate, key, &[])
}

/// The same of an authority, which is made, too; `certificate` is what it signs.
pub(crate) fn make_certificate_of(
    authority: &Path,
    authority_key: &Path,
    certificate: &Path,
    key: &Path,
) -> anyhow::Result<()> {
    certify(authority, authority_key, &[])?;
    let (authority, authority_key) = (authority.display().to_string(), authority_key.display().to_string());
    let signed = ["-CA", &authority, "-CAkey", &authority_key];
    certify(
        certificate,
        key,
        &[&signed[..], &["-addext", "basicConstraints=critical,CA:FALSE"]].concat(),
    )
}

fn certify(certificate: &Path, key: &Path, more: &[&str]) -> anyhow::Result<()> {
    let subject = if more.is_empty() {
        "/CN=pipglr stage"
    } else {
        "/CN=pipglr story"
    };
    Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ])
        .args(["-days", "2", "-subj", subject])
        .args(["-addext", &format!("subjectAltName=IP:{HOST_LOOPBACK}")])
        .args(more)
        .arg("-keyout")
        .arg(key)
        .arg("-out")
        .arg(certificate)
        .run_text()?;
    Ok(())
}
