//! What was asked of the fake, in order, and what came of it.

use super::Endpoint;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

/// Everything a fake has seen.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// In the order of arrival.
    pub requests: Vec<Request>,
    /// Jobs that were handed out, by number.
    pub jobs: BTreeMap<u64, JobRecord>,
    /// What runners did wrong, one sentence each.
    pub violations: Vec<String>,
    /// The most jobs that were handed out and not ended at one moment, over all runners.
    pub most_jobs: usize,
    /// The same for each runner's token.
    pub most_jobs_of: BTreeMap<String, usize>,
    /// Tokens of runners that were removed.
    pub removed_runners: Vec<String>,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    pub endpoint: Endpoint,
    /// The job the path names.
    pub job: Option<u64>,
    pub method: String,
    /// Below `/api/v4/`, with the query.
    pub path: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    pub received: Instant,
    pub answered: Option<Instant>,
    /// Status of the answer; `None` if the connection was dropped, or while it is held.
    pub status: Option<u16>,
}

/// What is known about one job.
#[derive(Debug, Clone, Default)]
pub struct JobRecord {
    /// The trace as it was put together from patches.
    pub trace: Vec<u8>,
    /// Bodies of all state updates, in order.
    pub updates: Vec<Value>,
    /// The body of the update that ended the job.
    pub final_update: Option<Value>,
    pub uploads: Vec<Upload>,
}

/// One uploaded artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    pub file_name: String,
    /// `artifact_type`, `artifact_format` and `expire_in`, as far as given.
    pub query: BTreeMap<String, String>,
    pub content: Vec<u8>,
}

impl Request {
    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header's value; empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The state a job update reports; empty for other calls.
    #[must_use]
    pub fn state(&self) -> String {
        self.json()["state"].as_str().unwrap_or_default().to_owned()
    }

    /// One line for people.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = format!("{} {}", self.method, self.path);
        match self.endpoint {
            Endpoint::Trace => write!(line, " [{}]", self.header("content-range")),
            Endpoint::JobUpdate => write!(line, " {}", self.state()),
            _ => Ok(()),
        }
        .expect("writing to a string cannot fail");
        line
    }
}

impl JobRecord {
    /// The trace as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.trace).into_owned()
    }

    /// Final `(state, failure_reason, exit_code)`; empty and zero where absent.
    #[must_use]
    pub fn ending(&self) -> (String, String, i64) {
        let last = self.final_update.clone().unwrap_or_default();
        let text = |key: &str| last[key].as_str().unwrap_or_default().to_owned();
        (
            text("state"),
            text("failure_reason"),
            last["exit_code"].as_i64().unwrap_or(0),
        )
    }

    /// Whether size and checksum of the final update are those of the trace.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let output = self.final_update.clone().unwrap_or_default()["output"].clone();
        output["bytesize"].as_u64() == Some(self.trace.len() as u64)
            && output["checksum"].as_str() == Some(&format!("crc32:{:08x}", crc32(&self.trace)))
    }
}

impl Record {
    /// Requests of one endpoint, in order.
    pub fn calls(&self, endpoint: Endpoint) -> impl DoubleEndedIterator<Item = &Request> {
        self.requests.iter().filter(move |r| r.endpoint == endpoint)
    }

    /// How often an endpoint was called.
    #[must_use]
    pub fn count(&self, endpoint: Endpoint) -> usize {
        self.calls(endpoint).count()
    }

    /// One line for each request about a job: `PATCH 0-9 202`, `PUT running 200`.
    #[must_use]
    pub fn calls_of(&self, job: u64) -> Vec<String> {
        let line = |r: &Request| {
            let detail = match r.endpoint {
                Endpoint::Trace => r.header("content-range").to_owned(),
                Endpoint::JobUpdate => r.state(),
                _ => r.path.clone(),
            };
            let status = r.status.map_or_else(|| "dropped".to_owned(), |s| s.to_string());
            format!("{} {detail} {status}", r.method)
        };
        self.requests.iter().filter(|r| r.job == Some(job)).map(line).collect()
    }

    pub(super) fn summary(&self) -> String {
        let mut text = String::new();
        for request in self.requests.iter().rev().take(60).rev() {
            text.push_str(&format!("  {} -> {:?}\n", request.line(), request.status));
        }
        for (id, job) in &self.jobs {
            text.push_str(&format!(
                "  job {id}: ended {:?}, trace:\n{}\n",
                job.final_update,
                job.text()
            ));
        }
        for violation in &self.violations {
            text.push_str(&format!("  violation: {violation}\n"));
        }
        text
    }
}

/// CRC-32 (IEEE), bit by bit: slow, and for that reason not the implementation the runner uses.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0xedb8_8320
            } else {
                crc >> 1
            };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::crc32;

    #[test]
    fn the_check_value_of_the_standard_comes_out() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
