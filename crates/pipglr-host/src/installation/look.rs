//! What is there.

use super::configuration::{Configuration, ConfigurationError};
use super::wish::Wish;
use crate::account::{Account, proxies, systemd_answers};
use crate::config::{ConfigSecret, SecretError};
use crate::podman::{Podman, PodmanError};
use crate::sandbox::{CONFIG_SECRET, IMAGE, Sandbox};
use crate::service::{Kept, unit_file};
use crate::tenancy::{Tenant, tenant};
use serde::Deserialize;

/// Everything a plan depends on.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The image that is wanted, by the name podman knows.
    pub image: String,
    /// Its ID, if it is on this host.
    pub image_id: Option<String>,
    /// The ID that the image had before this plan's predecessor pulled another one of the name.
    pub superseded: Option<String>,
    /// IDs of images on this host that have no name, as one that was pulled anew leaves them behind.
    pub nameless: Vec<String>,
    pub config: Config,
    pub volumes: Vec<VolumeFact>,
    /// Another container that has them.
    pub tenant: Option<Tenant>,
    pub container: Option<Container>,
    /// The container that was to be replaced, if that was broken off.
    pub aside: Option<Container>,
    /// The file of a unit that keeps a container of this name.
    pub unit_file: Option<String>,
    /// Whether the session has a systemd, which podman's own health checks need.
    pub session_systemd: bool,
    pub boot: Boot,
}

/// What starts containers again with the machine. podman does not: their restart policy is for while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boot {
    /// podman-restart.service of the account is enabled.
    Enabled,
    /// It is there.
    Disabled,
    /// It is not, or the account's systemd does not answer.
    Nothing,
}

/// podman's own unit that starts containers with `--restart=always`.
pub(super) const RESTART_UNIT: &str = "podman-restart.service";

/// The secret `config.toml`.
#[derive(Debug, Clone)]
pub enum Config {
    Missing,
    /// It is there; reading it takes the image, which is not.
    Unread,
    Stored {
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

/// A container of a runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub image: String,
    pub image_id: String,
    pub running: bool,
    pub healthy: bool,
    /// The command that made it.
    pub command: Vec<String>,
    /// Whether its config.toml is the stored one: made from it, or brought to it while it ran.
    pub is_configured: bool,
    /// The unit of systemd that starts and stops it.
    pub unit: Option<String>,
    /// Variables for proxies, which podman gave it when it was made.
    pub proxies: Vec<(String, String)>,
}

/// The host does not tell what is there.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    #[error(transparent)]
    Podman(#[from] PodmanError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    #[error("{0}: the owner of the volume cannot be read")]
    Owner(String),
}

/// Looks at everything; changes nothing, but for a replacement of the secret that was broken off and is brought to its end.
///
/// # Errors
/// [`LookError`].
pub fn look(account: &Account, wish: &Wish) -> Result<Facts, LookError> {
    let podman = Podman::of(account);
    let container = inspected(&podman, &wish.container)?;
    let aside = inspected(&podman, &Sandbox::aside(&wish.container))?;
    let of_container = container
        .as_ref()
        .or(aside.as_ref())
        .map(|there| there.image_name.clone());
    let unit_file = unit_file(account, &wish.container);
    let of_unit = || unit_file.as_deref().and_then(Kept::of_file).and_then(|kept| kept.image);
    let image = wish.image.clone().or(of_container).or_else(of_unit);
    let image = image.unwrap_or_else(|| IMAGE.to_owned());
    let image_id = if podman.says_yes(&["image", "exists", &image])? {
        Some(podman.text(&["image", "inspect", "--format={{.Id}}", &image])?)
    } else {
        None
    };
    let stored = Stored::read(account, image_id.as_deref())?;
    let sandbox = Sandbox::new(&wish.container, &image);
    let volumes = sandbox.mounts.iter().map(|mount| volume(&podman, &mount.volume));
    Ok(Facts {
        volumes: volumes.collect::<Result<_, _>>()?,
        tenant: tenant(&podman, &wish.container)?,
        container: container
            .map(|there| there.known(&podman, &wish.container, &stored))
            .transpose()?,
        aside: aside
            .map(|there| there.known(&podman, &Sandbox::aside(&wish.container), &stored))
            .transpose()?,
        config: stored.config()?,
        image,
        image_id,
        superseded: None,
        nameless: nameless(&podman)?,
        session_systemd: account.runtime_dir.join("systemd/private").exists(),
        boot: boot(account),
        unit_file,
    })
}

fn boot(account: &Account) -> Boot {
    let says = |arguments: &[&str]| {
        let output = account.command("systemctl").arg("--user").args(arguments).output();
        output.map_or_else(
            |_| String::new(),
            |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        )
    };
    if !systemd_answers(&says(&["is-system-running"])) {
        return Boot::Nothing;
    }
    match says(&["is-enabled", RESTART_UNIT]).as_str() {
        "enabled" => Boot::Enabled,
        "disabled" => Boot::Disabled,
        _ => Boot::Nothing,
    }
}

/// The secret `config.toml` as it is stored.
struct Stored {
    id: Option<String>,
    /// podman 4.3 gives a secret to containers of an image only.
    text: Option<String>,
}

impl Stored {
    fn read(account: &Account, image_id: Option<&str>) -> Result<Self, LookError> {
        let text = match image_id {
            Some(image) => ConfigSecret::of(account).read(image)?,
            None => None,
        };
        let list = ["secret", "ls", "--noheading", "--format={{.ID}} {{.Name}}"];
        let secrets = Podman::of(account).text(&list)?;
        let mut found = secrets.lines().filter_map(|line| line.split_once(' '));
        let id = found.find(|(_, name)| name.trim() == CONFIG_SECRET);
        Ok(Self {
            id: id.map(|(id, _)| id.to_owned()),
            text,
        })
    }

    fn config(&self) -> Result<Config, LookError> {
        Ok(match (&self.id, &self.text) {
            (_, Some(text)) => Config::Stored {
                configuration: Box::new(Configuration::parse(text)?),
            },
            (Some(_), None) => Config::Unread,
            (None, None) => Config::Missing,
        })
    }

    /// Whether the container's copy is this one. A new text is brought to a running container without making it anew, so
    /// there the text counts.
    fn is_in(&self, podman: &Podman, name: &str, running: bool, id: Option<&str>) -> Result<bool, PodmanError> {
        if id.is_some() && self.id.as_deref() == id {
            return Ok(true);
        }
        let (true, Some(text)) = (running, &self.text) else {
            return Ok(false);
        };
        let file = format!("/run/secrets/{CONFIG_SECRET}");
        let copy = podman.output(&["exec", name, "cat", &file], None)?;
        Ok(copy.status.success() && copy.stdout == text.as_bytes())
    }
}

fn nameless(podman: &Podman) -> Result<Vec<String>, PodmanError> {
    let list = ["images", "--quiet", "--no-trunc", "--filter=dangling=true"];
    let all = podman.text(&list)?;
    // Containers name their image without it.
    Ok(all
        .lines()
        .map(|id| id.trim_start_matches("sha256:").to_owned())
        .collect())
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
    env: Option<Vec<String>>,
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

fn inspected(podman: &Podman, name: &str) -> Result<Option<Inspected>, PodmanError> {
    if !podman.says_yes(&["container", "exists", name])? {
        return Ok(None);
    }
    let all: Vec<Inspected> = podman.json(&["container", "inspect", name])?;
    Ok(all.into_iter().next())
}

impl Inspected {
    fn known(self, podman: &Podman, name: &str, stored: &Stored) -> Result<Container, PodmanError> {
        let Self {
            image,
            image_name,
            state: State { running },
            config,
        } = self;
        let secrets = config.secrets.unwrap_or_default();
        let config_id = secrets.into_iter().find(|s| s.name == CONFIG_SECRET).map(|s| s.id);
        let health = ["exec", name, "pipglr", "health"];
        let healthy = running && podman.output(&health, None)?.status.success();
        Ok(Container {
            image: image_name,
            image_id: image,
            running,
            healthy,
            command: config.create_command.unwrap_or_default(),
            is_configured: stored.is_in(podman, name, running, config_id.as_deref())?,
            unit: config
                .labels
                .and_then(|mut labels| labels.remove("PODMAN_SYSTEMD_UNIT")),
            proxies: proxies(config.env.iter().flatten().map(String::as_str)),
        })
    }
}
