//! The statement of where artifacts come from, which `RUNNER_GENERATE_ARTIFACTS_METADATA` adds to them.
//!
//! Compat: gitlab-runner commands/helpers/artifact_metadata.go: an in-toto statement with a SLSA provenance of version 1.
//! Names of variables are listed, values are not.

use super::plan::ProvenancePlan;
use jiff::{Timestamp, Unit};
use pipglr_archive::{Entry, EntryKind};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The description of this format. Its version is that of the gitlab-runner whose format it is.
const BUILD_TYPE: &str = "https://gitlab.com/gitlab-org/gitlab-runner/-/blob/v19.4.0/PROVENANCE.md";

/// Writes the statement about `entries` into the project directory and gives its own entry.
pub(super) fn add(plan: &ProvenancePlan, root: &Path, base: &str, entries: &[Entry]) -> io::Result<Entry> {
    let name = PathBuf::from(format!("{base}-metadata.json"));
    let others = entries.iter().filter(|e| e.kind == EntryKind::File && e.name != name);
    let subject = others
        .map(|entry| subject(root, entry))
        .collect::<io::Result<Vec<_>>>()?;
    let text = serde_json::to_string_pretty(&statement(plan, &subject, Timestamp::now()))?;
    let path = root.join(&name);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    // Made anew, so that nothing is written through a link the job left there.
    let mut file = File::create_new(&path)?;
    file.write_all(text.as_bytes())?;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
    Ok(Entry {
        source: name.clone(),
        name,
        kind: EntryKind::File,
    })
}

fn subject(root: &Path, entry: &Entry) -> io::Result<Value> {
    let mut file = File::options()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(root.join(&entry.source))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => hash.update(&buffer[..count]),
        }
    }
    let digest: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(json!({"name": entry.name.to_string_lossy(), "digest": {"sha256": digest}}))
}

fn statement(plan: &ProvenancePlan, subject: &[Value], finished: Timestamp) -> Value {
    let mut parameters: Map<String, Value> = plan.parameters.iter().map(|name| (name.clone(), json!(""))).collect();
    parameters.insert("entryPoint".to_owned(), json!(plan.job_name));
    parameters.insert("source".to_owned(), json!(plan.source));
    json!({
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": "https://slsa.dev/provenance/v1",
        "subject": subject,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": parameters,
                "internalParameters": {
                    "architecture": crate::go_architecture(),
                    "executor": plan.executor,
                    "job": plan.job.to_string(),
                    "name": plan.runner_name,
                },
                "resolvedDependencies": [{"uri": plan.source, "digest": {"sha256": plan.commit}}],
            },
            "runDetails": {
                "builder": {
                    "id": format!("{}/-/runners/{}", plan.source, plan.runner_id),
                    "version": {crate::NAME: crate::VERSION},
                },
                "metadata": {
                    "invocationId": plan.job.to_string(),
                    "startedOn": whole_seconds(plan.started),
                    "finishedOn": whole_seconds(finished),
                },
            },
        },
    })
}

fn whole_seconds(time: Timestamp) -> String {
    time.round(Unit::Second).unwrap_or(time).to_string()
}
