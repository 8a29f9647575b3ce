//! What is there.

use super::DIRECTORY;
use crate::account::{Account, LINGER, systemd_answers};
use crate::podman::{Podman, PodmanError};
use crate::render::Quadlet;
use crate::sandbox::{CONFIG_SECRET, Sandbox};
use crate::tenancy::{Tenant, tenant};
use std::collections::BTreeMap;
use std::path::Path;

/// Where distributions put podman's generator for units of accounts.
const GENERATORS: [&str; 2] = [
    "/usr/lib/systemd/user-generators/podman-user-generator",
    "/usr/local/lib/systemd/user-generators/podman-user-generator",
];

/// Facts about the account's systemd and podman.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub account: String,
    /// Contents of the units' files that exist.
    pub files: BTreeMap<String, String>,
    /// podman makes services of them.
    pub generator: bool,
    /// The secret is there.
    pub configuration: bool,
    pub linger: bool,
    /// The account's systemd answers.
    pub systemd: bool,
    /// The unit is active; one that starts again and again is not.
    pub active: bool,
    pub container: Container,
    /// Another container that has the volumes.
    pub tenant: Option<Tenant>,
}

/// The container of the unit's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    Missing,
    OfTheUnit,
    /// Made by a person, the runlabel or `pipglr up`.
    Other {
        running: bool,
    },
}

/// Looks; changes nothing.
///
/// # Errors
/// podman cannot be asked.
pub fn look(account: &Account, sandbox: &Sandbox, quadlet: &Quadlet) -> Result<Facts, PodmanError> {
    let podman = Podman::of(account);
    let secrets = podman.text(&["secret", "ls", "--noheading", "--format={{.Name}}"])?;
    let files = quadlet
        .files
        .iter()
        .filter_map(|(file, _)| Some((file.clone(), text_of(account, file)?)));
    let says = |arguments: &[&str]| {
        let output = account.command("systemctl").arg("--user").args(arguments).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let systemd = says(&["is-system-running"]).is_ok_and(|state| systemd_answers(&state));
    let active = says(&["is-active", &format!("{}.service", sandbox.name)]);
    Ok(Facts {
        account: account.name.clone(),
        files: files.collect(),
        generator: GENERATORS.iter().any(|path| Path::new(path).exists()),
        configuration: secrets.lines().any(|line| line.trim() == CONFIG_SECRET),
        linger: Path::new(LINGER).join(&account.name).exists(),
        systemd,
        active: active.is_ok_and(|state| matches!(state.as_str(), "active" | "reloading")),
        container: container(&podman, &sandbox.name)?,
        tenant: tenant(&podman, &sandbox.name)?,
    })
}

/// The file of the unit that keeps the container of this name, if it is there.
pub(crate) fn unit_file(account: &Account, container: &str) -> Option<String> {
    text_of(account, &format!("{container}.container"))
}

fn text_of(account: &Account, file: &str) -> Option<String> {
    // As the account: a link in its home is its own affair.
    let path = account.home.join(DIRECTORY).join(file);
    let output = account.command("cat").arg(path).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn container(podman: &Podman, name: &str) -> Result<Container, PodmanError> {
    if !podman.says_yes(&["container", "exists", name])? {
        return Ok(Container::Missing);
    }
    let format = "--format={{.State.Running}} {{index .Config.Labels \"PODMAN_SYSTEMD_UNIT\"}}";
    let said = podman.text(&["container", "inspect", format, name])?;
    let (running, unit) = said.split_once(' ').unwrap_or((&said, ""));
    Ok(if unit == format!("{name}.service") {
        Container::OfTheUnit
    } else {
        Container::Other {
            running: running == "true",
        }
    })
}
