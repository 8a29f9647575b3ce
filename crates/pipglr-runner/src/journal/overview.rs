//! The jobs under way, for a person who looks at a runner from outside. Reads only, beside the process that writes; of what
//! a journal holds only what is no secret leaves this place.

use super::slots::Slots;
use super::{JOB, PROGRESS, UNFINISHED};
use jiff::Timestamp;
use pipglr_protocol::payload::{JobId, JobInfo};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::Path;

/// A job under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Underway {
    pub id: JobId,
    pub name: String,
    pub project: String,
    /// The name of the `[[runners]]` entry it came by.
    pub runner: String,
    pub accepted_at: Timestamp,
    /// The step of its journal: `accepted`, `preparing`, `sources`, `scripts`, `finishing`, …
    pub phase: String,
}

#[derive(Deserialize)]
struct Stored {
    job: StoredJob,
}

#[derive(Deserialize)]
struct StoredJob {
    seed: StoredSeed,
    payload: StoredPayload,
    runner: StoredRunner,
}

#[derive(Deserialize)]
struct StoredSeed {
    accepted_at: Timestamp,
}

#[derive(Deserialize)]
struct StoredPayload {
    id: JobId,
    #[serde(default)]
    job_info: JobInfo,
}

#[derive(Deserialize)]
struct StoredRunner {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct StoredProgress {
    step: serde_json::Value,
}

/// The jobs below `root`, the oldest first. One that ends while it is looked at is left out.
///
/// # Errors
/// The directory cannot be read; that it is not there means that there are none.
pub fn underway(root: &Path) -> io::Result<Vec<Underway>> {
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut all = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if !path.to_string_lossy().ends_with(UNFINISHED) {
            all.extend(read(&path)?);
        }
    }
    all.sort_by_key(|job: &Underway| (job.accepted_at, job.id));
    Ok(all)
}

fn read(directory: &Path) -> io::Result<Option<Underway>> {
    let text = match fs::read(directory.join(JOB)) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        text => text?,
    };
    // The error of a parser may show what it read.
    let Ok(Stored { job }) = serde_json::from_slice(&text) else {
        return Ok(None);
    };
    let progress = Slots::peek(directory, PROGRESS)?;
    let step = progress.and_then(|value| serde_json::from_slice::<StoredProgress>(&value).ok());
    Ok(Some(Underway {
        id: job.payload.id,
        name: job.payload.job_info.name,
        project: job.payload.job_info.project_full_path,
        runner: job.runner.name,
        accepted_at: job.seed.accepted_at,
        phase: step
            .and_then(|progress| phase(&progress.step))
            .unwrap_or_else(|| "unknown".to_owned()),
    }))
}

/// The name of a step, whatever else is written with it.
fn phase(step: &serde_json::Value) -> Option<String> {
    match step {
        serde_json::Value::String(name) => Some(name.clone()),
        serde_json::Value::Object(fields) => fields.keys().next().cloned(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Underway, underway};
    use crate::journal::slots::Slots;
    use pipglr_protocol::payload::JobId;
    use serde_json::json;

    #[test]
    fn jobs_are_told_without_their_secrets_and_nothing_is_touched() {
        let root = tempfile::tempdir().unwrap();
        for (directory, id, at, step) in [
            ("b", 8, "2026-01-01T00:00:09Z", json!("scripts")),
            (
                "a",
                7,
                "2026-01-01T00:00:01Z",
                json!({ "ended": { "end": { "Ok": null } } }),
            ),
            ("c.new", 9, "2026-01-01T00:00:00Z", json!("accepted")),
        ] {
            let directory = root.path().join(directory);
            std::fs::create_dir(&directory).unwrap();
            let job = json!({ "boot_id": "x", "job": {
                "seed": { "accepted_at": at, "unique": "u", "nonce": "n" },
                "payload": { "id": id, "token": "job-secret", "job_info": { "name": "build", "project_full_path": "g/p" } },
                "runner": { "name": "r", "token": "glrt-secret" },
            }});
            std::fs::write(directory.join("job.json"), job.to_string()).unwrap();
            let (mut slots, _) = Slots::open(&directory, "progress").unwrap();
            slots.write(json!({ "step": step }).to_string().as_bytes()).unwrap();
        }
        std::fs::create_dir(root.path().join("foreign")).unwrap();
        let jobs = underway(root.path()).unwrap();
        let told: Vec<(JobId, &str)> = jobs.iter().map(|job: &Underway| (job.id, job.phase.as_str())).collect();
        assert_eq!(told, [(JobId(7), "ended"), (JobId(8), "scripts")]);
        assert!(!serde_json::to_string(&jobs).unwrap().contains("secret"));
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 4);
    }

    #[test]
    fn no_directory_is_no_job() {
        assert_eq!(underway(std::path::Path::new("/nonexistent/jobs")).unwrap(), []);
    }
}
