//! What of a host a job can trip over: each condition with a verdict, its evidence, and what cures it.
//!
//! A check looks first (`look`: the host becomes facts, plain data) and judges then (`judge`: facts become findings,
//! without another look). Remedies are lines for a shell; `plan` puts them together, `carry_out` does what they say.

mod cgroups;
mod clock;
mod devices;
mod disk;
mod engine;
mod foreign;
mod id_map_programs;
mod keyring;
mod labels;
mod looking;
mod mounts;
mod namespaces;
mod network;
mod overlaps;
mod packages;
mod remedy;
mod session;
mod storage;
mod subordinate_ids;
mod versions;

pub use looking::{Answer, Host};
pub use network::Peers;
pub use remedy::{CarriedOut, Plan, Remedy, Step, Who};

use serde::Serialize;

/// How a condition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Ok,
    /// It could not be found out; the evidence says why.
    Unknown,
    /// Jobs run, but not as they should.
    Warning,
    /// Jobs or the runner fail.
    Failure,
}

impl Verdict {
    /// As people read it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

/// What was found about one condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check's name, which does not change between versions.
    pub check: &'static str,
    pub verdict: Verdict,
    pub evidence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<Remedy>,
}

impl Finding {
    fn ok(check: &'static str, evidence: impl Into<String>) -> Self {
        Self {
            check,
            verdict: Verdict::Ok,
            evidence: evidence.into(),
            remedy: None,
        }
    }

    fn unknown(check: &'static str, evidence: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Unknown,
            ..Self::ok(check, evidence)
        }
    }

    fn warning(check: &'static str, evidence: impl Into<String>, remedy: Remedy) -> Self {
        Self {
            verdict: Verdict::Warning,
            remedy: Some(remedy),
            ..Self::ok(check, evidence)
        }
    }

    fn failure(check: &'static str, evidence: impl Into<String>, remedy: Remedy) -> Self {
        Self {
            verdict: Verdict::Failure,
            ..Self::warning(check, evidence, remedy)
        }
    }
}

/// Looks at the host, in the order in which people repair it; with `peers`, at the way to them, too.
#[must_use]
pub fn examine(host: &Host, peers: Option<&Peers>) -> Vec<Finding> {
    let subordinate_ids = subordinate_ids::look(host);
    let granted = subordinate_ids.granted();
    let mut findings = subordinate_ids::judge(&subordinate_ids);
    findings.extend(id_map_programs::judge(&id_map_programs::look(host)));
    findings.extend(session::judge(&session::look(host)));
    let engine = engine::look(host);
    findings.extend(engine::judge(&engine));
    if engine.installed {
        findings.extend(namespaces::judge(&namespaces::look(host, granted)));
        findings.extend(versions::judge(&versions::look(host)));
        findings.extend(storage::judge(&storage::look(host)));
    }
    findings.extend(cgroups::judge(&cgroups::look(host)));
    findings.extend(keyring::judge(&keyring::look(host)));
    findings.extend(devices::judge(&devices::look(host)));
    findings.extend(foreign::judge(&foreign::look(host)));
    findings.extend(labels::judge(&labels::look(host)));
    findings.extend(disk::judge(&disk::look(host)));
    if let Some(peers) = peers {
        findings.extend(network::judge(&network::look(host, peers)));
    }
    findings
}

/// The worst of some findings.
#[must_use]
pub fn worst(findings: &[Finding]) -> Verdict {
    findings.iter().map(|f| f.verdict).max().unwrap_or(Verdict::Ok)
}

#[cfg(test)]
mod tests;
