//! The directory for caches: one below it per runner and project, mounted into helper containers only.

use super::Engine;
use crate::job::plan::{CACHE_INSIDE, CacheMount, JobPlan};
use pipglr_podman::{ContainerSpec, Mount, NamedVolume};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Mounts the project's caches into a helper container.
///
/// A directory that cannot be made fails no job: its caches are then neither found nor kept, which its log says.
pub(crate) fn mount(spec: &mut ContainerSpec, plan: &JobPlan, engine: &Engine) {
    match &plan.cache {
        None => {}
        Some(CacheMount::Directory(path)) => {
            let directory = engine.settings().cache_directory.join(path);
            match create(&directory) {
                Ok(()) => spec.mounts.push(Mount::bind(
                    directory.display().to_string(),
                    CACHE_INSIDE,
                    &["rw", "nosuid", "nodev"],
                )),
                Err(error) => tracing::warn!(directory = %directory.display(), %error, "caches cannot be kept"),
            }
        }
        Some(CacheMount::Volume(volume)) => {
            let options: Vec<&str> = volume.options.iter().map(String::as_str).collect();
            if volume.source.starts_with('/') {
                spec.mounts.push(Mount::bind(&volume.source, CACHE_INSIDE, &options));
            } else {
                spec.volumes
                    .push(NamedVolume::new(&volume.source, CACHE_INSIDE, &options));
            }
        }
    }
}

/// Creates the directory. The root of helper containers is another user than we are, whose number here is podman's
/// business.
fn create(directory: &Path) -> io::Result<()> {
    if !directory.is_dir() {
        fs::create_dir_all(directory)?;
        fs::set_permissions(directory, Permissions::from_mode(0o777))?;
    }
    Ok(())
}
