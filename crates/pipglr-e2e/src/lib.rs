//! The stage for end-to-end stories: an account without root, a private mount namespace where the host needs one, a
//! registry on loopback, job images from the distribution's packages. Everything it makes it can take away again.

pub mod cargo;
pub mod command;
pub mod host;
pub mod job_images;
pub mod registry;
pub mod releases;
pub mod sample;

use std::path::{Path, PathBuf};

/// The address under which a container reaches the host's loopback, by slirp4netns's and our pasta settings.
pub const HOST_LOOPBACK: &str = "10.0.2.2";

/// The repository this was built from.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("crates/pipglr-e2e lies two levels down")
}

/// Where the stage keeps what is worth keeping between runs.
#[must_use]
pub fn cache() -> PathBuf {
    repository().join("target/stage")
}
