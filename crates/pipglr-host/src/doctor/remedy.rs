//! What cures: lines for a shell, by whom they are run, and the plan made of them.

use super::{Finding, Verdict};
use crate::account::Account;
use serde::Serialize;
use std::io;
use std::process::{Command, Output};

/// Who has to run a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    Root,
    Account,
}

/// A line for a shell. Run twice, it does no more than once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    #[serde(rename = "as")]
    pub who: Who,
    pub command: String,
}

/// What to do about a finding.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Remedy {
    pub steps: Vec<Step>,
    /// Why nobody but a person should do it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_hand: Option<String>,
}

impl Remedy {
    pub(super) fn root<S: Into<String>>(lines: impl IntoIterator<Item = S>) -> Self {
        Self::default().and(Who::Root, lines)
    }

    pub(super) fn account<S: Into<String>>(lines: impl IntoIterator<Item = S>) -> Self {
        Self::default().and(Who::Account, lines)
    }

    pub(super) fn and<S: Into<String>>(mut self, who: Who, lines: impl IntoIterator<Item = S>) -> Self {
        self.steps.extend(lines.into_iter().map(|line| Step {
            who,
            command: line.into(),
        }));
        self
    }

    pub(super) fn followed_by(mut self, other: Self) -> Self {
        self.steps.extend(other.steps);
        self
    }

    /// `--fix` leaves it to a person.
    pub(super) fn by_hand(mut self, why: impl Into<String>) -> Self {
        self.by_hand = Some(why.into());
        self
    }

    /// Words only: there is no line that does it.
    pub(super) fn advice(text: impl Into<String>) -> Self {
        Self::default().by_hand(text)
    }
}

/// What `--fix` will do, and what it leaves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Plan {
    pub steps: Vec<Step>,
    /// Checks that a person has to see to.
    pub by_hand: Vec<&'static str>,
    /// The account's steps that come to nothing before root's are done.
    #[serde(skip)]
    after_root: Vec<Step>,
}

impl Plan {
    /// Of what is not in order. A line that several findings ask for is in it once; root's come first, as the account's
    /// build on them.
    #[must_use]
    pub fn of(findings: &[Finding]) -> Self {
        let mut plan = Self::default();
        for finding in findings.iter().filter(|f| f.verdict > Verdict::Unknown) {
            let Some(remedy) = &finding.remedy else { continue };
            if remedy.by_hand.is_some() || remedy.steps.is_empty() {
                plan.by_hand.push(finding.check);
                continue;
            }
            let takes_root = remedy.steps.iter().any(|step| step.who == Who::Root);
            for step in &remedy.steps {
                if takes_root && step.who == Who::Account {
                    plan.after_root.push(step.clone());
                }
                if !plan.steps.contains(step) {
                    plan.steps.push(step.clone());
                }
            }
        }
        plan.steps.sort_by_key(|step| step.who);
        plan
    }

    /// The lines for root as one command for somebody who may use sudo.
    #[must_use]
    pub fn sudo(&self) -> Option<String> {
        let lines: Vec<&str> = self.lines(Who::Root).collect();
        (!lines.is_empty()).then(|| format!("sudo sh -ec {}", quoted(&lines.join("\n"))))
    }

    fn lines(&self, who: Who) -> impl Iterator<Item = &str> {
        self.steps
            .iter()
            .filter(move |step| step.who == who)
            .map(|step| step.command.as_str())
    }
}

/// A step and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CarriedOut {
    #[serde(flatten)]
    pub step: Step,
    /// What the line said where it failed.
    pub failure: Option<String>,
}

impl Plan {
    /// What can be carried out now: all of it by root, else what of the account's needs nothing of root before.
    pub fn open_to(&self, root: bool) -> impl Iterator<Item = &Step> {
        let own = |step: &Step| step.who == Who::Account && !self.after_root.contains(step);
        self.steps.iter().filter(move |step| root || own(step))
    }

    /// Runs the lines in order: all of them as root, else those of the account that need nothing of root before.
    ///
    /// # Errors
    /// A shell cannot be started.
    pub fn carry_out(&self, account: &Account) -> io::Result<Vec<CarriedOut>> {
        let root = rustix::process::geteuid().is_root();
        self.open_to(root)
            .map(|step| {
                let mut command = match step.who {
                    Who::Root => Command::new("sh"),
                    Who::Account => account.command("sh"),
                };
                let output = command.args(["-ec", &step.command]).output()?;
                Ok(CarriedOut {
                    step: step.clone(),
                    failure: failure(&output),
                })
            })
            .collect()
    }
}

fn failure(output: &Output) -> Option<String> {
    (!output.status.success()).then(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!("{}: {}", output.status, said.trim_end())
    })
}

/// A word for sh.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
