//! The engine that runs jobs, as the command line and the image want it.

use crate::cli::EngineArgs;
use pipglr_protocol::Secret;
use pipglr_runner::config::Config;
use pipglr_runner::containers::{Engine, EngineSettings};
use std::path::PathBuf;

/// Written at the start of the image, if certificates are mounted.
const CA_CERTIFICATES: &str = "/run/pipglr/ca.crt";
/// Set by the image: what of the engine's control group may be divided.
const LIMITS_GROUP: &str = "PIPGLR_LIMITS_GROUP";
/// Part of the image.
const NESTED_CONTAINERS_CONF: &str = "/usr/lib/pipglr/nested-containers.conf";
/// Where the image's podman has them.
const REGISTRIES: &str = "/etc/containers/registries.conf.d";

pub(super) fn engine(args: &EngineArgs, config: &Config) -> Engine {
    Engine::new(EngineSettings {
        socket: socket(args, config),
        program: args.program.clone(),
        helper_root: args.helper_root.clone(),
        cache_directory: EngineSettings::default().cache_directory,
        nested_privileged: args.nested_privileged,
        limits_group: std::env::var(LIMITS_GROUP).ok().filter(|group| !group.is_empty()),
        nested_containers_conf: Some(PathBuf::from(NESTED_CONTAINERS_CONF)).filter(|path| path.exists()),
        registries_directory: Some(PathBuf::from(REGISTRIES)).filter(|path| path.exists()),
        docker_auth_config: std::env::var("DOCKER_AUTH_CONFIG").ok().map(Secret::new),
        home: std::env::home_dir(),
        ca_certificates: Some(PathBuf::from(CA_CERTIFICATES)).filter(|path| path.exists()),
        relay: None,
    })
}

/// The socket of podman: command line, then config.toml, then the image's own.
fn socket(args: &EngineArgs, config: &Config) -> PathBuf {
    let from_host = |host: &str| {
        host.strip_prefix("unix://")
            .filter(|p| !p.is_empty())
            .map(PathBuf::from)
    };
    let configured = config
        .runners
        .iter()
        .find_map(|r| r.podman.socket.clone().or_else(|| from_host(&r.docker.host)));
    args.podman_socket
        .clone()
        .or(configured)
        .unwrap_or_else(|| EngineSettings::default().socket)
}
