//! How a runner is.

use super::{Running, RunningError};
use crate::sandbox::{CACHE_VOLUME, CONFIG_SECRET, STATE_VOLUME, STORAGE_VOLUME};
use serde::{Deserialize, Serialize};

/// How many of the last lines of the journal are looked through for errors, and how many errors are told.
const LINES: &str = "--lines=2000";
const ERRORS: usize = 5;
/// Longest time the size of a volume is waited for, in seconds.
const SIZE_LIMIT: &str = "20";

/// Everything `pipglr status` tells. What cannot be known while the container stands still is not there.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    pub container: Container,
    pub healthy: bool,
    /// What is wrong, if it is not healthy.
    pub problem: Option<String>,
    /// What is not as it should be and no illness of the runner: no room for jobs, no answer of GitLab.
    pub notes: Vec<String>,
    pub engine: Option<String>,
    /// Nothing with a runner that is not pipglr's own.
    pub survey: Option<Survey>,
    pub volumes: Vec<Volume>,
    pub last_errors: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Container {
    pub name: String,
    pub image: String,
    /// podman's word: `running`, `exited`, …
    pub state: String,
    /// RFC 3339.
    pub since: String,
}

/// What the runner says of itself: `pipglr survey`, inside.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Survey {
    pub version: String,
    pub system_id: Option<String>,
    pub concurrent: u32,
    pub runners: Vec<Runner>,
    pub jobs: Vec<Job>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Runner {
    pub name: String,
    pub url: String,
    /// The token, shortened as in GitLab.
    pub token: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    pub id: u64,
    pub name: String,
    pub project: String,
    pub runner: String,
    pub phase: String,
    /// Since it was handed out.
    pub age_seconds: u64,
}

#[derive(Debug, Clone, Serialize)]
pub struct Volume {
    pub name: String,
    /// `None` if it took too long to find out.
    pub bytes: Option<u64>,
}

impl Running {
    /// Nothing if there is no such container.
    ///
    /// # Errors
    /// podman does not answer.
    pub fn status(&self) -> Result<Option<Status>, RunningError> {
        let Some(runs) = self.state()? else {
            return Ok(None);
        };
        let container = self.container()?;
        let volumes = self.volumes()?;
        let mut status = Status {
            problem: Some(format!("the container is {}", container.state)),
            container,
            healthy: false,
            notes: Vec::new(),
            engine: None,
            survey: None,
            volumes,
            last_errors: Vec::new(),
        };
        if runs {
            match self.health()? {
                Ok(notes) => (status.problem, status.healthy, status.notes) = (None, true, notes),
                Err(problem) => status.problem = Some(problem),
            }
            status.engine = self.engine()?;
            status.survey = self.survey()?;
            status.last_errors = self.last_errors()?;
        }
        Ok(Some(status))
    }

    fn container(&self) -> Result<Container, RunningError> {
        // A time as RFC 3339 has it, by a layout of Go's.
        let text = self
            .inspect("{{.ImageName}}\n{{.State.Status}}\n{{.State.StartedAt.Format \"2006-01-02T15:04:05Z07:00\"}}")?;
        let mut lines = text.lines().map(str::to_owned);
        let mut next = || lines.next().unwrap_or_default();
        Ok(Container {
            name: self.name.clone(),
            image: next(),
            state: next(),
            since: next(),
        })
    }

    /// Notes, or the problem.
    fn health(&self) -> Result<Result<Vec<String>, String>, RunningError> {
        let output = self.inside(&["pipglr", "health"])?;
        if output.status.success() {
            let said = String::from_utf8_lossy(&output.stdout);
            // The first line says that all is well.
            return Ok(Ok(said.lines().skip(1).map(str::to_owned).collect()));
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let first = said.lines().next().unwrap_or("no answer");
        Ok(Err(first.trim_start_matches("error: ").to_owned()))
    }

    fn engine(&self) -> Result<Option<String>, RunningError> {
        let output = self.inside(&["podman", "--version"])?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok(output.status.success().then_some(said))
    }

    fn survey(&self) -> Result<Option<Survey>, RunningError> {
        let config = format!("--config=/run/secrets/{CONFIG_SECRET}");
        let output = self.inside(&["pipglr", "survey", &config, "--state-dir=/var/lib/pipglr"])?;
        if !output.status.success() {
            return Ok(None);
        }
        let survey = serde_json::from_slice(&output.stdout);
        survey.map(Some).map_err(|source| RunningError::Answer {
            what: "pipglr survey",
            source,
        })
    }

    fn volumes(&self) -> Result<Vec<Volume>, RunningError> {
        let mut all = Vec::new();
        for name in [STORAGE_VOLUME, CACHE_VOLUME, STATE_VOLUME] {
            if self.podman.says_yes(&["volume", "exists", name])? {
                let place = self
                    .podman
                    .text(&["volume", "inspect", "--format={{.Mountpoint}}", name])?;
                let du = [
                    "unshare",
                    "timeout",
                    SIZE_LIMIT,
                    "du",
                    "--summarize",
                    "--block-size=1",
                    &place,
                ];
                // Files come and go meanwhile, of which du complains; its sum is good all the same.
                let output = self.podman.output(&du, None)?;
                let said = String::from_utf8_lossy(&output.stdout);
                all.push(Volume {
                    name: name.to_owned(),
                    bytes: said.split_whitespace().next().and_then(|bytes| bytes.parse().ok()),
                });
            }
        }
        Ok(all)
    }

    fn last_errors(&self) -> Result<Vec<String>, RunningError> {
        let units = ["--unit=runner.service", "--unit=podman.service"];
        let mut journal = vec!["journalctl", "--quiet", "--no-pager", "--output=short-iso", LINES];
        journal.extend(units);
        let output = self.inside(&journal)?;
        Ok(errors(&String::from_utf8_lossy(&output.stdout)))
    }
}

/// The last lines that tell of errors, without colours.
fn errors(journal: &str) -> Vec<String> {
    let is_error = |line: &&str| {
        [" ERROR ", "ERROR: ", "level=error", "\"level\":\"ERROR\""]
            .iter()
            .any(|sign| line.contains(sign))
    };
    let mut last: Vec<String> = journal
        .lines()
        .rev()
        .filter(is_error)
        .take(ERRORS)
        .map(str::to_owned)
        .collect();
    last.reverse();
    last
}

#[cfg(test)]
mod tests {
    use super::errors;

    #[test]
    fn the_last_errors_in_their_order() {
        let lines: String = (1..9)
            .map(|n| format!("t runner[1]: ERROR e{n}\nt runner[1]: INFO no\n"))
            .collect();
        let expected: Vec<String> = (4..9).map(|n| format!("t runner[1]: ERROR e{n}")).collect();
        assert_eq!(errors(&lines), expected);
        assert_eq!(errors("x time=1 level=error msg=a"), ["x time=1 level=error msg=a"]);
        assert!(errors("an error of somebody").is_empty());
    }
}
