//! What was asked of the fake, and what containers were made.

use serde_json::Value;
use std::time::Instant;

/// Everything a fake has seen.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// In the order of arrival.
    pub calls: Vec<Call>,
    /// Containers, in the order of creation; removed ones stay.
    pub created: Vec<Created>,
    /// Names and IDs of images that were removed, in order.
    pub images_removed: Vec<String>,
    /// Names of volumes that were created, in order.
    pub volumes_created: Vec<String>,
    /// Bodies of the calls that created networks.
    pub networks_created: Vec<Value>,
    /// Names and values.
    pub secrets_created: Vec<(String, String)>,
    pub execs: Vec<Exec>,
    pub pulls: Vec<Pull>,
    /// Calls podman does not know or would not take.
    pub violations: Vec<String>,
}

/// One call.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: String,
    /// Below `/v…/libpod`, without the query, percent-encoded.
    pub path: String,
    pub query: String,
    pub body: Vec<u8>,
    pub received: Instant,
}

/// One container's life.
#[derive(Debug, Clone)]
pub struct Created {
    pub id: String,
    pub name: String,
    /// The body of the create call.
    pub spec: Value,
    /// The line its process read.
    pub plan: Option<Value>,
    /// Signals it got by `kill`.
    pub signals: Vec<String>,
    /// Stages that began.
    pub stages: Vec<String>,
    /// Exit code, once it ended by itself or by a signal.
    pub exit_code: Option<i32>,
}

/// One process beside a container's own.
#[derive(Debug, Clone)]
pub struct Exec {
    /// The container's name.
    pub container: String,
    /// What the container's service is called; empty for others.
    pub service: String,
    pub command: Vec<String>,
    /// The whole call that made it.
    pub request: Value,
    /// The plan a web terminal's shell read.
    pub plan: Option<Value>,
    pub exit_code: i32,
}

/// One pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    pub reference: String,
    /// Other parameters of the query, in order.
    pub query: Vec<(String, String)>,
    /// `X-Registry-Auth` as it came: base64.
    pub auth: String,
}

impl Call {
    /// `METHOD path`.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

impl Record {
    /// Names of containers in the order of creation, cut down to what follows the unique part: `build`.
    #[must_use]
    pub fn container(&self, role: &str) -> Option<&Created> {
        self.created.iter().rev().find(|c| c.name.ends_with(role))
    }

    /// Whether a stage began in some container.
    #[must_use]
    pub fn has_begun(&self, stage: &str) -> bool {
        self.created.iter().any(|c| c.stages.iter().any(|s| s == stage))
    }

    pub(super) fn summary(&self) -> String {
        let calls = self
            .calls
            .iter()
            .rev()
            .take(60)
            .rev()
            .map(|c| format!("  {}?{}\n", c.line(), c.query));
        let made = self.created.iter().map(|c| {
            format!(
                "  container {}: stages {:?}, signals {:?}, exit code {:?}\n",
                c.name, c.stages, c.signals, c.exit_code
            )
        });
        let wrong = self.violations.iter().map(|v| format!("  violation: {v}\n"));
        calls.chain(made).chain(wrong).collect()
    }
}
