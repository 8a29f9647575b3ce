//! What the container said.

use super::{Running, RunningError};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

/// Whose lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Component {
    Systemd,
    Podman,
    Runner,
}

impl Component {
    /// journalctl's selection.
    fn matches(self) -> &'static [&'static str] {
        match self {
            Self::Systemd => &["--identifier=systemd"],
            Self::Podman => &["--unit=podman.service", "--unit=podman.socket"],
            Self::Runner => &["--unit=runner.service"],
        }
    }
}

/// Which lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Selection {
    pub follow: bool,
    /// The container has to run for this: its journal is asked.
    pub component: Option<Component>,
    pub job: Option<u64>,
}

impl Running {
    /// Passes the lines to `say` until there are no more, or it wants no more.
    ///
    /// # Errors
    /// There is no such container, or it does not run and a component was asked for.
    pub fn logs(&self, wanted: Selection, mut say: impl FnMut(&str) -> bool) -> Result<(), RunningError> {
        let mut command = self.logs_command(wanted)?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(RunningError::Stream)?;
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout).split(b'\n') {
                let line = line.map_err(RunningError::Stream)?;
                let line = String::from_utf8_lossy(&line);
                let line = line.trim_end_matches('\r');
                if wanted.job.is_none_or(|job| is_about(line, job)) && !say(line) {
                    break;
                }
            }
        }
        // After a reader that went away there is nobody to follow for.
        child.kill().map_err(RunningError::Stream)?;
        child.wait().map_err(RunningError::Stream)?;
        Ok(())
    }

    fn logs_command(&self, wanted: Selection) -> Result<Command, RunningError> {
        let Some(component) = wanted.component else {
            if self.state()?.is_none() {
                return Err(RunningError::Missing(self.name.clone()));
            }
            let mut arguments = vec!["logs"];
            arguments.extend(wanted.follow.then_some("--follow"));
            arguments.push(&self.name);
            return Ok(self.podman.command(&arguments));
        };
        self.must_run()?;
        let mut journal = vec![
            "journalctl",
            "--no-pager",
            "--quiet",
            "--output=short-iso",
            "--lines=all",
        ];
        journal.extend(component.matches());
        journal.extend(wanted.follow.then_some("--follow"));
        Ok(self.exec(&[], &journal))
    }
}

/// Whether a line of the runner is about this job, in whatever form it logs, with or without colours.
fn is_about(line: &str, job: u64) -> bool {
    let number = job.to_string();
    ["job_id", "\"job_id\"", "job"].iter().any(|key| {
        line.match_indices(key).any(|(at, _)| {
            let rest = line.get(at + key.len()..).unwrap_or_default();
            let rest = skip_escapes(rest).strip_prefix(['=', ':']).map(skip_escapes);
            let digits: String = rest
                .unwrap_or_default()
                .chars()
                .take_while(char::is_ascii_digit)
                .collect();
            digits == number
        })
    })
}

/// Without colours at its beginning.
fn skip_escapes(mut text: &str) -> &str {
    while let Some(rest) = text.strip_prefix("\x1b[") {
        text = rest.split_once('m').map_or("", |(_, rest)| rest);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::is_about;

    #[test]
    fn lines_about_a_job() {
        for (line, about) in [
            ("INFO job accepted job_id=12 project=3", true),
            ("INFO job{job_id=12}: done", true),
            ("INFO job accepted \x1b[3mjob_id\x1b[0m\x1b[2m=\x1b[0m12 x", true),
            ("{\"job_id\":12,\"level\":\"INFO\"}", true),
            ("msg=Started job=12 project=3", true),
            ("INFO job accepted job_id=123", false),
            ("INFO project=12", false),
            ("12", false),
        ] {
            assert_eq!(is_about(line, 12), about, "{line}");
        }
    }
}
