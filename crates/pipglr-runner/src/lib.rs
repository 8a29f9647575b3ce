//! The engine: polls for jobs and runs each in containers of podman.
//!
//! Reading order: [`job::run_job`] is one job's life from top to bottom. [`manager`] finds jobs, [`job::plan`] turns a
//! payload into plain data, [`containers`] carries it out, [`trace`] is the job log, [`gitlab`] the coordinator's API,
//! [`session_server`] where web terminals are served, [`container_side`] what runs inside job containers, [`cache_storage`] object storage for caches, [`config`] config.toml.

pub mod cache_storage;
pub mod config;
pub mod container_side;
pub mod containers;
pub mod disk;
pub mod gitlab;
pub mod job;
pub mod journal;
pub mod manager;
pub mod metrics;
pub mod registration;
pub mod session_server;
pub mod trace;
mod unpack;

pub use unpack::unpack;

/// The name the program reports as.
pub const NAME: &str = "pipglr";
/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Eight hex digits of the commit it was built from, or `unknown`.
pub const REVISION: &str = match option_env!("PIPGLR_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// The branch is nobody's business: a program is known by its revision.
pub const BRANCH: &str = "unknown";
/// Time of that commit, or `unknown`: the same source gives the same program.
pub const BUILT: &str = match option_env!("PIPGLR_BUILT") {
    Some(built) => built,
    None => "unknown",
};

/// A time as logs and files have it.
#[must_use]
pub fn rfc3339(time: std::time::SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|_| String::new(), |t| format!("{t:.3}"))
}

/// The architecture by Go's name, which is what the protocol uses.
#[must_use]
pub fn go_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
