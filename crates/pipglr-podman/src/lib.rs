//! podman's libpod API over a Unix socket. Knows no GitLab word.
//!
//! A thin client for what a runner of containers needs. Its JSON follows the sources of podman 4.3.1 and 5.4.2; it was
//! run against 4.3.1. It starts no podman, keeps no state beyond idle connections, and has no time limits of its own.
//! When an idle connection turns out to be dead, it sends again only what was never sent or does no harm twice (GET,
//! DELETE; a removal may then say `false` although it was this one).
//!
//! Reading order: [`Client`] (each module adds its calls to it), [`ContainerSpec`], [`Attached`], [`Error`].
//!
//! | module | what |
//! |---|---|
//! | `system` | ping, version, info |
//! | `images` | look up, pull, list, remove |
//! | `containers` | create, start, wait, inspect, kill, stop, remove, list |
//! | `attach` | live input and output of a main process, its log afterwards |
//! | `exec` | further processes |
//! | `volumes`, `networks`, `secrets`, `events` | the rest of the API |
//! | `spec` | the container to be made, plain data |
//! | `stream` | decoder of multiplexed output, pure |
//! | `output`, `json` | bodies read as they come |
//! | `request`, `transport`, `client` | one request as data; the connections; the two meet |

mod attach;
mod client;
mod containers;
mod error;
mod events;
mod exec;
mod images;
mod json;
mod networks;
mod output;
mod request;
mod secrets;
mod spec;
mod stream;
mod system;
mod transport;
mod volumes;

pub use crate::attach::{AttachOptions, LogOptions};
pub use crate::client::Client;
pub use crate::containers::{
    Condition, Container, ContainerConfig, ContainerState, ContainerSummary, JoinedNetwork, NetworkSettings,
    RemoveOptions,
};
pub use crate::error::Error;
pub use crate::events::{Actor, Event, Events};
pub use crate::exec::{ExecSession, ExecSpec, ExecState};
pub use crate::images::{Image, ImageConfig, ImageSummary, Platform, PullRequest, RegistryAuth};
pub use crate::networks::{Network, NetworkSpec};
pub use crate::output::{Attached, Input, Output};
pub use crate::request::Filters;
pub use crate::secrets::{SecretInfo, SecretLabels, SecretSpec};
pub use crate::spec::{
    ContainerSpec, CpuLimits, Device, Environment, HealthConfig, LogConfiguration, MemoryLimits, Mount, NamedVolume,
    Namespace, NetworkAttachment, OverlayVolume, PidsLimit, ResourceLimits, Rlimit,
};
pub use crate::stream::{Frame, FrameDecoder, FrameError, OutputKind};
pub use crate::system::Info;
pub use crate::volumes::{Volume, VolumeSpec};
