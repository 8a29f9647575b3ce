//! Volumes of a job: what `volumes` of config.toml says, and where the sources lie. Pure.
//!
//! Compat: gitlab-runner executors/docker/internal/volumes/{manager,parser/linux_parser}.go.

use super::names::{Directories, Names};
use super::{AcceptedJob, BuildsVolume, VolumeMount};
use crate::container_side::helper::Strategy;
use crate::job::JobError;
use crate::job::variables::Variables;
use std::collections::BTreeSet;

/// All volumes of a job.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Volumes {
    pub(super) builds: BuildsVolume,
    pub(super) further: Vec<VolumeMount>,
    /// Roots of volumes the runner made up: whoever the image runs as may write there.
    pub(super) open: Vec<String>,
}

/// # Errors
/// An entry of `volumes` means nothing, or two are for the same path.
pub(super) fn lower(
    job: &AcceptedJob,
    names: &Names,
    variables: &Variables,
    directories: &Directories,
    strategy: Strategy,
) -> Result<Volumes, JobError> {
    let docker = &job.runner.docker;
    let (mut open, mut further) = (Vec::new(), Vec::new());
    let mut taken = BTreeSet::new();
    for text in docker.volumes.iter().filter(|entry| !entry.is_empty()) {
        let entry = Entry::parse(text).ok_or_else(|| wrong(text, "no [source:]/destination[:options]"))?;
        let destination =
            cleaned(&variables.expand(entry.destination)).ok_or_else(|| wrong(text, "no path below /"))?;
        if !taken.insert(destination.clone()) {
            return Err(wrong(
                text,
                &format!("volume for container path {destination:?} is already defined"),
            ));
        }
        further.push(match entry.source {
            Some(source) => VolumeMount {
                source: source.to_owned(),
                destination,
                options: entry.options,
            },
            None => {
                open.push(destination.clone());
                VolumeMount {
                    source: names.volume(&destination, !docker.disable_cache, job),
                    destination,
                    options: Vec::new(),
                }
            }
        });
    }
    let builds = match further.iter().position(|v| v.destination == directories.builds) {
        Some(at) => {
            let configured = further.remove(at);
            let made_up = names.volume(&directories.builds, !docker.disable_cache, job);
            let slot = if configured.source == made_up { "" } else { names.slot() };
            BuildsVolume {
                slot: slot.to_owned(),
                reusable: !configured.source.starts_with(&names.unique),
                name: configured.source,
                directory: directories.builds.clone(),
                options: configured.options,
            }
        }
        None => {
            let reusable = strategy == Strategy::Fetch && !docker.disable_cache;
            open.push(directories.builds.clone());
            BuildsVolume {
                name: names.volume(&directories.builds, reusable, job),
                directory: directories.builds.clone(),
                options: Vec::new(),
                reusable,
                slot: String::new(),
            }
        }
    };
    Ok(Volumes { builds, further, open })
}

/// Whether other runners and slots see the same builds directory: it lies in a volume with a source of its own.
///
/// Compat: gitlab-runner executors/docker/internal/volumes/utils.go `IsHostMountedVolume`.
pub(super) fn is_shared(volumes: &[String], directory: &str) -> bool {
    let sourced = volumes.iter().filter_map(|text| {
        let entry = Entry::parse(text)?;
        entry.source.and(cleaned(entry.destination))
    });
    sourced
        .into_iter()
        .any(|path| directory == path || directory.starts_with(&format!("{path}/")))
}

/// One entry of `volumes`, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Entry<'e> {
    /// A volume's name or an absolute path; without one the volume is made up.
    source: Option<&'e str>,
    destination: &'e str,
    /// As podman writes them.
    options: Vec<String>,
}

impl<'e> Entry<'e> {
    /// Reads `[source:]/destination[:ro|rw|O][,z|Z][,propagation]`; a colon before an option does as well as a comma.
    fn parse(text: &'e str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let (source, destination, options) = match parts.as_slice() {
            [source, destination, options @ ..] if destination.starts_with('/') => {
                (Some(*source), *destination, options)
            }
            [destination, options @ ..] => (None, *destination, options),
            [] => return None,
        };
        let is_name = |s: &str| !s.is_empty() && !s.contains('/') && is_plain(s);
        if !is_path(destination) || !source.is_none_or(|s| is_path(s) || is_name(s)) {
            return None;
        }
        let given: Vec<&str> = options.iter().flat_map(|part| part.split(',')).collect();
        Some(Self {
            source,
            destination,
            options: options_in_order(&given)?,
        })
    }
}

/// Mode, label, propagation: each at most once, in this order.
fn options_in_order(given: &[&str]) -> Option<Vec<String>> {
    let mut last = 0;
    given
        .iter()
        .map(|option| {
            let lower = option.to_ascii_lowercase();
            let (place, written) = match lower.as_str() {
                "ro" | "rw" => (1, lower),
                "o" => (1, "O".to_owned()),
                // Who may share the label is told by the letter's case.
                "z" => (2, (*option).to_owned()),
                "shared" | "slave" | "private" | "rshared" | "rslave" | "rprivate" => (3, lower),
                _ => return None,
            };
            let in_order = place > last;
            last = place;
            in_order.then_some(written)
        })
        .collect()
}

fn is_plain(text: &str) -> bool {
    !text.contains(['\\', ':', '*', '?', '"', '<', '>', '|', '\r', '\n'])
}

fn is_path(text: &str) -> bool {
    text.starts_with('/') && is_plain(text) && !text.contains("//")
}

/// The path without `.`, `..` and a slash at its end; `None` for the root and what is no absolute path.
fn cleaned(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.strip_prefix('/')?.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| format!("/{}", parts.join("/")))
}

fn wrong(entry: &str, why: &str) -> JobError {
    JobError::Configuration(format!(
        "config.toml of this runner: volume {entry:?} of [runners.docker]: {why}"
    ))
}

#[cfg(test)]
mod tests {
    use super::{Entry, is_shared};

    /// `source > destination > options`, or nothing.
    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn volumes_are_taken_apart() {
        for (name, entry, expected) in [
            ("nothing", "", ""),
            ("destination alone", "/dst", "- > /dst > "),
            ("host path", "/src:/dst", "/src > /dst > "),
            ("named volume", "vol_1:/dst", "vol_1 > /dst > "),
            ("mode of a destination", "/dst:rw", "- > /dst > rw"),
            ("read and write", "/src:/dst:rw", "/src > /dst > rw"),
            ("read only", "/src:/dst:ro", "/src > /dst > ro"),
            ("mode in capitals", "/src:/dst:RO", "/src > /dst > ro"),
            ("shared label", "/src:/dst:z", "/src > /dst > z"),
            ("private label", "/src:/dst:Z", "/src > /dst > Z"),
            ("read only, shared label", "/src:/dst:ro,z", "/src > /dst > ro z"),
            ("read only, private label", "/src:/dst:ro,Z", "/src > /dst > ro Z"),
            ("overlay", "/src:/dst:O", "/src > /dst > O"),
            ("overlay, shared label", "/src:/dst:O,z", "/src > /dst > O z"),
            ("overlay, private label", "/src:/dst:O,Z", "/src > /dst > O Z"),
            ("propagation", "/src:/dst:rslave", "/src > /dst > rslave"),
            ("mode and propagation", "/src:/dst:ro,rslave", "/src > /dst > ro rslave"),
            (
                "propagation after a colon",
                "/src:/dst:rw:rslave",
                "/src > /dst > rw rslave",
            ),
            ("all options", "/src:/dst:ro,Z,rprivate", "/src > /dst > ro Z rprivate"),
            ("upper case is kept", "/Src:/Dst", "/Src > /Dst > "),
            ("blanks in the source", "/a b:/dst", "/a b > /dst > "),
            (
                "blanks in a longer source",
                "/a/b c/d e/f:/dst",
                "/a/b c/d e/f > /dst > ",
            ),
            ("blanks in the destination", "/src:/a b", "/src > /a b > "),
            ("blanks in both", "/a b:/c d:rw", "/a b > /c d > rw"),
            ("variable in the destination", "/src:/a/$VAR/b", "/src > /a/$VAR/b > "),
            ("variable in braces", "/src:/a/${VAR}/b", "/src > /a/${VAR}/b > "),
            ("several variables", "/src:/${a}/$b-c/d", "/src > /${a}/$b-c/d > "),
            (
                "broken variables are not looked at",
                "/src:/${r/$$-a",
                "/src > /${r/$$-a > ",
            ),
            ("destination begins with a variable", "/src:$VAR/a", ""),
            ("destination begins with braces", "/src:${VAR}/a", ""),
            ("relative destination", "/src:dst", ""),
            ("unknown mode", "/src:/dst:T", ""),
            ("unknown propagation", "/src:/dst:unknown", ""),
            ("unknown propagation after a mode", "/src:/dst:ro,unknown", ""),
            ("unknown word after a mode", "/src:/dst:rw:something", ""),
            ("empty option", "/src:/dst:,rslave", ""),
            ("wrong order", "/src:/dst:rslave,ro", ""),
            ("twice", "/src:/dst:ro,rw", ""),
            ("no source", ":/dst", ""),
            ("relative source", "a/b:/dst", ""),
            ("forbidden character", "/src:/d*t", ""),
        ] {
            let found = Entry::parse(entry).map(|e| {
                let source = e.source.unwrap_or("-");
                format!("{source} > {} > {}", e.destination, e.options.join(" "))
            });
            assert_eq!(found.unwrap_or_default(), expected, "{name}");
        }
    }

    #[test]
    fn a_builds_directory_is_shared_if_its_volume_has_a_source() {
        for (volumes, shared) in [
            (&["/builds"][..], false),
            (&["/srv:/builds"], true),
            (&["vol:/builds/"], true),
            (&["/srv:/bui"], false),
            (&["/cache", "/srv:/builds/group"], false),
            (&["nonsense", "/srv:/builds:ro"], true),
        ] {
            let volumes: Vec<String> = volumes.iter().map(|v| (*v).to_owned()).collect();
            assert_eq!(is_shared(&volumes, "/builds"), shared, "{volumes:?}");
        }
    }
}
