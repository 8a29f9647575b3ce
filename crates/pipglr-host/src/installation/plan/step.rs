//! The words plans are made of.

use crate::installation::look::RESTART_UNIT;
use crate::service::DIRECTORY;
use serde::Serialize;
use std::fmt;

/// One thing that is missing or differs. Nothing secret is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    PullImage {
        image: String,
    },
    /// The configuration can be read now: the rest is planned then.
    LookAgain,
    PrepareVolume {
        volume: String,
        owner: &'static str,
    },
    Register {
        url: String,
        name: String,
    },
    SetConcurrent {
        from: Option<i64>,
        to: u32,
    },
    StoreConfiguration,
    /// The image is started beside the container in service, on volumes of its own and without jobs.
    TryOut {
        image: String,
    },
    /// No more jobs are taken; those that run come to their end.
    StopContainer {
        name: String,
        because: Vec<String>,
        limit: u32,
    },
    RenameContainer {
        from: String,
        to: String,
    },
    RemoveContainer {
        name: String,
    },
    RunContainer {
        name: String,
        image: String,
    },
    /// The ID of one that has no name. If a container or an image is made of it, it stays.
    RemoveImage {
        image: String,
    },
    StartContainer {
        name: String,
    },
    WaitForHealth {
        name: String,
        limit: u32,
    },
    /// The file of the unit that keeps the container.
    WriteUnit {
        file: String,
        /// It may have a proxy's password.
        #[serde(skip)]
        text: String,
    },
    ReloadUnits,
    StartUnit {
        unit: String,
    },
    /// The runner is drained first.
    RestartUnit {
        unit: String,
        name: String,
        because: Vec<String>,
        limit: u32,
    },
    /// An image that has lost its name to another one gets it back.
    TagImage {
        id: String,
        name: String,
    },
    /// podman's own unit starts the account's containers with the machine.
    EnableRestart,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PullImage { image } => write!(f, "pull the image {image}"),
            Self::LookAgain => f.write_str("read the stored configuration, and plan the rest by it"),
            Self::PrepareVolume { volume, owner } => write!(f, "prepare the volume {volume} for the user {owner}"),
            Self::Register { url, name } => write!(f, "register the runner {name:?} at {url}"),
            Self::SetConcurrent { from: Some(from), to } => write!(f, "set concurrent from {from} to {to}"),
            Self::SetConcurrent { from: None, to } => write!(f, "set concurrent to {to}"),
            Self::StoreConfiguration => f.write_str("store the configuration as the secret config.toml"),
            Self::TryOut { image } => write!(
                f,
                "try out {image} beside it: the stored configuration, health, a container in it"
            ),
            Self::StopContainer { name, because, limit } => write!(
                f,
                "stop the container {name} ({}): it takes no more jobs and waits up to {limit} s for those that run",
                because.join(", ")
            ),
            Self::RenameContainer { from, to } => write!(f, "rename the container {from} to {to}"),
            Self::RemoveContainer { name } => write!(f, "remove the container {name}"),
            Self::RunContainer { name, image } => write!(f, "start the container {name} of {image}"),
            Self::RemoveImage { image } => write!(
                f,
                "remove the image {}, which has no name any more, unless it is in use",
                image.get(..12).unwrap_or(image)
            ),
            Self::StartContainer { name } => write!(f, "start the container {name} again"),
            Self::WriteUnit { file, .. } => write!(f, "write ~/{DIRECTORY}/{file}"),
            Self::ReloadUnits => f.write_str("let systemd read its units again"),
            Self::StartUnit { unit } => write!(f, "start {unit}"),
            Self::RestartUnit {
                unit, because, limit, ..
            } => write!(
                f,
                "restart {unit} ({}): it takes no more jobs and waits up to {limit} s for those that run",
                because.join(", ")
            ),
            Self::TagImage { id, name } => write!(
                f,
                "give the name {name} back to the image {}",
                id.get(..12).unwrap_or(id)
            ),
            Self::EnableRestart => write!(
                f,
                "enable {RESTART_UNIT} of the account: it starts the container with the machine"
            ),
            Self::WaitForHealth { name, limit } => write!(f, "wait up to {limit} s for {name} to be healthy"),
        }
    }
}
