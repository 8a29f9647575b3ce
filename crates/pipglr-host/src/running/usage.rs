//! What the jobs' containers use, as the jobs' engine counts it.

use super::{Running, RunningError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A container of a job. Amounts are podman's own words, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Usage {
    pub job: String,
    /// `build`, `helper-prepare`, `service`, …
    pub kind: String,
    pub cpu: String,
    pub memory: String,
    /// Read and written on disks.
    pub block_io: String,
    pub network_io: String,
    pub processes: String,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "Id")]
    id: String,
    #[serde(rename = "Labels", default)]
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Counted {
    id: String,
    #[serde(default)]
    cpu_percent: String,
    #[serde(default)]
    mem_usage: String,
    #[serde(default)]
    block_io: String,
    #[serde(default)]
    net_io: String,
    #[serde(default)]
    pids: serde_json::Value,
}

impl Running {
    /// The jobs' containers that run, by job.
    ///
    /// # Errors
    /// The runner does not run, or its engine does not count.
    pub fn usage(&self) -> Result<Vec<Usage>, RunningError> {
        self.must_run()?;
        let listed: Vec<Listed> = self.engine_json("podman ps", &["ps", "--format=json"])?;
        if listed.is_empty() {
            return Ok(Vec::new());
        }
        let counted: Vec<Counted> = self.engine_json("podman stats", &["stats", "--no-stream", "--format=json"])?;
        Ok(joined(&listed, counted))
    }

    fn engine_json<T: serde::de::DeserializeOwned>(
        &self,
        what: &'static str,
        arguments: &[&str],
    ) -> Result<T, RunningError> {
        let mut all = vec!["exec", super::ENGINE, &self.name, "podman", "--remote"];
        all.extend(arguments);
        let text = self.podman.text(&all)?;
        serde_json::from_str(&text).map_err(|source| RunningError::Answer { what, source })
    }
}

fn joined(listed: &[Listed], counted: Vec<Counted>) -> Vec<Usage> {
    let mut all: Vec<Usage> = counted
        .into_iter()
        .filter_map(|counted| {
            let labels = listed
                .iter()
                .find(|listed| listed.id.starts_with(&counted.id))?
                .labels
                .as_ref()?;
            Some(Usage {
                job: labels.get("pipglr.job")?.clone(),
                kind: labels.get("pipglr.type").cloned().unwrap_or_default(),
                cpu: counted.cpu_percent,
                memory: counted.mem_usage,
                block_io: counted.block_io,
                network_io: counted.net_io,
                processes: match counted.pids {
                    serde_json::Value::String(text) => text,
                    other => other.to_string(),
                },
            })
        })
        .collect();
    all.sort_by(|a, b| (a.job.len(), &a.job, &a.kind).cmp(&(b.job.len(), &b.job, &b.kind)));
    all
}

#[cfg(test)]
mod tests {
    use super::joined;
    use serde_json::json;

    #[test]
    fn only_containers_of_jobs_in_the_order_of_jobs() {
        let listed = json!([
            { "Id": "aaa111", "Labels": { "pipglr.job": "10", "pipglr.type": "build" } },
            { "Id": "bbb222", "Labels": { "pipglr.job": "9", "pipglr.type": "service" } },
            { "Id": "ccc333", "Labels": null },
        ]);
        let counted = json!([
            { "id": "aaa1", "cpu_percent": "1.00%", "mem_usage": "1MB / 2GB", "pids": "4" },
            { "id": "bbb2", "cpu_percent": "2.00%", "pids": 5 },
            { "id": "ccc3" },
        ]);
        let all = joined(
            &serde_json::from_value::<Vec<_>>(listed).unwrap(),
            serde_json::from_value(counted).unwrap(),
        );
        let told: Vec<_> = all
            .iter()
            .map(|u| (u.job.as_str(), u.kind.as_str(), u.processes.as_str()))
            .collect();
        assert_eq!(told, [("9", "service", "5"), ("10", "build", "4")]);
    }
}
