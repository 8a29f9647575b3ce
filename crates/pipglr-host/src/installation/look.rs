//! What is there.

use super::configuration::{Configuration, ConfigurationError};
use super::wish::Wish;
use crate::account::Account;
use crate::podman::{Podman, PodmanError};
use crate::sandbox::{CONFIG_SECRET, IMAGE, Sandbox};
use serde::Deserialize;

/// Everything a plan depends on.
#[derive(Debug, Clone)]
pub struct Facts {
    pub devices: Vec<Device>,
    /// The image that is wanted, by the name podman knows.
    pub image: String,
    /// Its ID, if it is on this host.
    pub image_id: Option<String>,
    pub config: Config,
    pub volumes: Vec<VolumeFact>,
    pub container: Option<Container>,
    /// Whether the session has a systemd, which podman's own health checks need.
    pub session_systemd: bool,
}

/// A device of the host, and whether the account may open it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub path: &'static str,
    pub usable: bool,
}

/// The secret `config.toml`.
#[derive(Debug, Clone)]
pub enum Config {
    Missing,
    /// It is there; reading it takes the image, which is not.
    Unread,
    Stored {
        secret_id: String,
        configuration: Box<Configuration>,
    },
}

/// A volume of the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeFact {
    pub name: String,
    /// The owner's number inside, if the volume is there.
    pub owner: Option<u32>,
}

/// The container of the wanted name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub image: String,
    pub image_id: String,
    pub running: bool,
    pub healthy: bool,
    /// The command that made it.
    pub command: Vec<String>,
    /// The ID of the secret its config.toml is from.
    pub config_id: Option<String>,
    /// The unit of systemd that starts and stops it.
    pub unit: Option<String>,
}

/// The host does not tell what is there.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    #[error(transparent)]
    Podman(#[from] PodmanError),
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    #[error("{0}: the owner of the volume cannot be read")]
    Owner(String),
    #[error("{device}: it cannot be found out whether {account} may open it")]
    Device {
        device: &'static str,
        account: String,
        #[source]
        source: std::io::Error,
    },
}

/// Looks at everything; changes nothing.
///
/// # Errors
/// [`LookError`].
pub fn look(account: &Account, wish: &Wish) -> Result<Facts, LookError> {
    let podman = Podman::of(account);
    let container = container(&podman, &wish.container)?;
    let of_container = container.as_ref().map(|container| container.image.clone());
    let image = wish.image.clone().or(of_container).unwrap_or_else(|| IMAGE.to_owned());
    let image_id = if podman.says_yes(&["image", "exists", &image])? {
        Some(podman.text(&["image", "inspect", "--format={{.Id}}", &image])?)
    } else {
        None
    };
    let sandbox = Sandbox::new(&wish.container, &image);
    let volumes = sandbox.mounts.iter().map(|mount| volume(&podman, &mount.volume));
    let devices = sandbox.devices.iter().map(|path| device(account, path));
    Ok(Facts {
        devices: devices.collect::<Result<_, _>>()?,
        volumes: volumes.collect::<Result<_, _>>()?,
        config: config(&podman, image_id.as_deref())?,
        image,
        image_id,
        container,
        session_systemd: account.runtime_dir.join("systemd/private").exists(),
    })
}

fn device(account: &Account, path: &'static str) -> Result<Device, LookError> {
    let test = account.command("test").args(["-r", path, "-a", "-w", path]).status();
    let status = test.map_err(|source| LookError::Device {
        device: path,
        account: account.name.clone(),
        source,
    })?;
    Ok(Device {
        path,
        usable: status.success(),
    })
}

/// podman 4.3 gives a secret to containers only.
fn config(podman: &Podman, image_id: Option<&str>) -> Result<Config, LookError> {
    let secrets = podman.text(&["secret", "ls", "--noheading", "--format={{.ID}} {{.Name}}"])?;
    let found = secrets.lines().filter_map(|line| line.split_once(' '));
    let Some((id, _)) = found.into_iter().find(|(_, name)| name.trim() == CONFIG_SECRET) else {
        return Ok(Config::Missing);
    };
    let Some(image) = image_id else {
        return Ok(Config::Unread);
    };
    let secret = format!("--secret={CONFIG_SECRET}");
    let file = format!("/run/secrets/{CONFIG_SECRET}");
    let read = [
        "run",
        "--rm",
        "--network=none",
        "--log-driver=none",
        &secret,
        image,
        "cat",
        &file,
    ];
    Ok(Config::Stored {
        secret_id: id.to_owned(),
        configuration: Box::new(Configuration::parse(&podman.text(&read)?)?),
    })
}

fn volume(podman: &Podman, name: &str) -> Result<VolumeFact, LookError> {
    let mut fact = VolumeFact {
        name: name.to_owned(),
        owner: None,
    };
    if podman.says_yes(&["volume", "exists", name])? {
        let place = podman.text(&["volume", "inspect", "--format={{.Mountpoint}}", name])?;
        // Numbers of users as they are inside.
        let owner = podman.text(&["unshare", "stat", "--format=%u", &place])?;
        fact.owner = Some(owner.parse().map_err(|_| LookError::Owner(name.to_owned()))?);
    }
    Ok(fact)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    image: String,
    image_name: String,
    state: State,
    config: ContainerConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    running: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContainerConfig {
    #[serde(default)]
    create_command: Option<Vec<String>>,
    #[serde(default)]
    secrets: Option<Vec<ContainerSecret>>,
    #[serde(default)]
    labels: Option<std::collections::BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct ContainerSecret {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "ID")]
    id: String,
}

fn container(podman: &Podman, name: &str) -> Result<Option<Container>, LookError> {
    if !podman.says_yes(&["container", "exists", name])? {
        return Ok(None);
    }
    let all: Vec<Inspected> = podman.json(&["container", "inspect", name])?;
    let Some(Inspected {
        image,
        image_name,
        state,
        config,
    }) = all.into_iter().next()
    else {
        return Ok(None);
    };
    let secrets = config.secrets.unwrap_or_default();
    let healthy = state.running
        && podman
            .output(&["exec", name, "pipglr", "health"], None)?
            .status
            .success();
    Ok(Some(Container {
        image: image_name,
        image_id: image,
        running: state.running,
        healthy,
        command: config.create_command.unwrap_or_default(),
        config_id: secrets.into_iter().find(|s| s.name == CONFIG_SECRET).map(|s| s.id),
        unit: config
            .labels
            .and_then(|mut labels| labels.remove("PODMAN_SYSTEMD_UNIT")),
    }))
}
