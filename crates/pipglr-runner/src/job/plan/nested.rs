//! What podman and buildah inside a job that may build images are told by the runner: its rules about registries and the
//! certificates it trusts, no credentials.
//!
//! They are files of the job's container, written by its process 1: what is mounted could not be this runner's alone.

use super::AcceptedJob;
use crate::container_side::init::{FileVariable, InitPlan};
use pipglr_protocol::Secret;
use std::fmt::Write as _;

/// Where podman looks for rules, beside those of the job's image.
const REGISTRIES: &str = "/etc/containers/registries.conf.d";
/// The first in order: a rule of the operator for the same registry wins.
const INSECURE: &str = "00-pipglr-insecure.conf";
/// Read besides the image's own, by podman and by every program in Go.
const CERTIFICATES: &str = "/.pipglr/certs";
/// A variable of this name replaces the usual places, so they are named first. A variable of the job wins.
const TRUSTED: (&str, &str) = ("SSL_CERT_DIR", "/etc/ssl/certs:/etc/pki/tls/certs:/.pipglr/certs");

/// Adds it to what the build container is told, if the job may build images.
pub(super) fn tell(job: &AcceptedJob, privileged: bool, build: &mut InitPlan) {
    if !(privileged && job.nested_privileged) {
        return;
    }
    build.settings = settings(job);
    if job.operator_certificates.is_some() || job.ca_certificates.is_some() {
        let (name, value) = TRUSTED;
        build.environment.insert(0, (name.to_owned(), Secret::new(value)));
    }
}

fn settings(job: &AcceptedJob) -> Vec<FileVariable> {
    let rules = job
        .registries
        .iter()
        .map(|file| (file.name.as_str(), file.content.clone()));
    let insecure = insecure(&job.runner.podman.insecure_registries);
    let registries = insecure.map(|content| (INSECURE, content)).into_iter().chain(rules);
    let registries = registries.map(|(name, content)| (format!("{REGISTRIES}/{name}"), content));
    let certificates = [
        ("operator.crt", &job.operator_certificates),
        ("runner.crt", &job.ca_certificates),
    ];
    let certificates = certificates
        .into_iter()
        .filter_map(|(name, pem)| Some((format!("{CERTIFICATES}/{name}"), pem.clone()?)));
    registries
        .chain(certificates)
        .map(|(path, content)| FileVariable {
            path,
            content: Secret::new(content),
        })
        .collect()
}

/// A rule for each that is spoken to without TLS.
fn insecure(registries: &[String]) -> Option<String> {
    let mut content = String::new();
    for registry in registries {
        // Rust's quotes are TOML's for what can be in a host's name.
        let _ = writeln!(content, "[[registry]]\nlocation = {registry:?}\ninsecure = true");
    }
    (!content.is_empty()).then_some(content)
}
