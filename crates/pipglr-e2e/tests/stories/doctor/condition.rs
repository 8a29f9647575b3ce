//! A condition of a host: how it is broken, what doctor says, what cures it.

use super::host::Host;
use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::Value;

/// The account can start a container.
const RUN: &str = "podman run --rm localhost/proof /usr/bin/sh -c :";
/// This host lacks it whatever is done: its kernel has no controllers.
const ALWAYS: &str = "cgroup-controllers";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Condition {
    pub(super) name: String,
    #[serde(rename = "break")]
    break_it: String,
    check: String,
    verdict: String,
    evidence: String,
    remedy: String,
    proof: Option<String>,
    cure: String,
    session: Option<String>,
    after: Option<String>,
}

#[derive(Debug, Deserialize)]
struct File {
    condition: Vec<Condition>,
}

pub(super) fn all(text: &str) -> anyhow::Result<Vec<Condition>> {
    Ok(toml::from_str::<File>(text)?.condition)
}

/// The command, asking the host's own GitLab and registry.
pub(super) fn doctor(options: &str) -> String {
    format!("pipglr doctor --url http://gitlab.story/ --image registry.story/q/pipglr {options}")
}

/// What doctor found.
#[derive(Debug)]
pub(super) struct Findings(Value);

pub(super) fn findings(host: &Host, session: &str, options: &str) -> anyhow::Result<Findings> {
    let output = host.root(&format!("{session} {}", doctor(&format!("--json {options}"))))?;
    let json = serde_json::from_slice(&output.stdout);
    json.map(Findings)
        .with_context(|| format!("pipglr doctor --json: {output:?}"))
}

impl Findings {
    fn of(&self, list: &str) -> impl Iterator<Item = &Value> {
        self.0[list].as_array().into_iter().flatten()
    }

    /// The verdict of a check.
    pub(super) fn verdict(&self, check: &str) -> Option<&str> {
        self.of("findings").find(|found| found["check"] == check)?["verdict"].as_str()
    }

    /// What is not in order, of these.
    fn out_of_order(&self, list: &str) -> Vec<String> {
        let bad = self
            .of(list)
            .filter(|found| found["verdict"] != "ok" && found["check"] != ALWAYS);
        bad.map(ToString::to_string).collect()
    }
}

impl Condition {
    pub(super) fn play(&self, host: &Host) -> anyhow::Result<()> {
        host.succeed(&format!("set -e\n{}", self.break_it))
            .context("break it")?;
        let played = self.found_and_cured(host);
        let after = self
            .after
            .as_deref()
            .map_or(Ok(String::new()), |line| host.succeed(line));
        played.and(after.map(drop))
    }

    fn found_and_cured(&self, host: &Host) -> anyhow::Result<()> {
        let broken = self.proof(host, self.session.as_deref().unwrap_or_default())?;
        ensure!(broken != Some(true), "what has to fail while it is broken does not");
        let found = match &self.session {
            Some(session) => findings(host, &format!("as-ci {session}"), "")?,
            None if self.cure == "fix" => findings(host, "", "--fix --user ci")?,
            None => findings(host, "", "--user ci")?,
        };
        let finding = self.expected(&found)?;
        match self.cure.as_str() {
            "fix" => {
                let left = found.out_of_order("after_fix");
                ensure!(
                    left.is_empty(),
                    "left after --fix, which did {}: {left:?}",
                    found.0["carried_out"]
                );
            }
            "printed" => carry_out(host, finding)?,
            line => drop(host.succeed(line).context("cure")?),
        }
        ensure!(
            self.proof(host, "")? != Some(false),
            "what has to work after the cure does not"
        );
        if self.cure != "fix" {
            let now = findings(host, "", "--user ci")?;
            ensure!(
                now.verdict(&self.check) == Some("ok"),
                "after the cure: {:?}",
                now.out_of_order("findings")
            );
        }
        Ok(())
    }

    /// Whether the proof succeeds, if there is one.
    fn proof(&self, host: &Host, session: &str) -> anyhow::Result<Option<bool>> {
        let Some(proof) = &self.proof else { return Ok(None) };
        let line = if proof == "run" { RUN } else { proof };
        let output = host.root(&format!("as-ci {session} sh -c {}", quoted(line)))?;
        Ok(Some(output.status.success()))
    }

    fn expected<'f>(&self, found: &'f Findings) -> anyhow::Result<&'f Value> {
        let finding = found
            .of("findings")
            .find(|f| f["check"] == self.check.as_str() && f["verdict"] == self.verdict.as_str());
        let finding = finding.with_context(|| {
            format!(
                "no {} of {} in {:?}",
                self.verdict,
                self.check,
                found.out_of_order("findings")
            )
        })?;
        let evidence = finding["evidence"].as_str().unwrap_or_default();
        ensure!(evidence.contains(&self.evidence), "evidence: {evidence}");
        let by_hand = finding["remedy"]["by_hand"].as_str();
        let lines = steps(finding).map(|(_, line)| line).chain(by_hand);
        ensure!(
            lines.into_iter().any(|line| line.contains(&self.remedy)),
            "remedy: {}",
            finding["remedy"]
        );
        Ok(finding)
    }
}

/// Who has to give a line, and the line.
fn steps(finding: &Value) -> impl Iterator<Item = (&str, &str)> {
    let steps = finding["remedy"]["steps"].as_array();
    steps
        .into_iter()
        .flatten()
        .filter_map(|step| Some((step["as"].as_str()?, step["command"].as_str()?)))
}

/// The very lines a person would copy.
fn carry_out(host: &Host, finding: &Value) -> anyhow::Result<()> {
    for (who, line) in steps(finding) {
        let line = match who {
            "root" => line.to_owned(),
            _ => format!("as-ci sh -c {}", quoted(line)),
        };
        host.succeed(&line).context("the printed remedy")?;
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
