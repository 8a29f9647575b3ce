//! `restore_cache` and `archive_cache…`: what a job wants to find again goes into an archive, and comes out of it.
//!
//! The archive lies in a directory of the project's own, which is mounted into helper containers only, and in object
//! storage if the runner has one. Nothing that goes wrong here fails the job.
//!
//! Compat: gitlab-runner shells/abstract.go and commands/helpers/cache_{extractor,archiver}.go (order, words).

mod archive;
mod local;
mod plan;
mod restore;
mod transfer;

pub use plan::{ArchiveEntry, ArchivePlan, CacheSource, CacheTarget, Notice, RestoreEntry, RestorePlan, SignedRequest};

pub(super) use archive::run as archive;
pub(super) use restore::run as restore;

use crate::container_side::notice;

fn say(notices: &[Notice]) {
    for notice in notices {
        match notice {
            Notice::Info(text) => notice::info(text),
            Notice::Caution(text) => notice::caution(text),
        }
    }
}
