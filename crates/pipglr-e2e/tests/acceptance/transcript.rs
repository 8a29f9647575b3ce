//! The log of all that was said to the machine and what it answered.

use anyhow::Context as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

#[derive(Debug)]
pub(crate) struct Transcript {
    file: File,
    began: Instant,
}

impl Transcript {
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
        Ok(Self {
            file,
            began: Instant::now(),
        })
    }

    /// Seconds since the beginning.
    pub(crate) fn clock(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    pub(crate) fn title(&self, text: &str) -> anyhow::Result<()> {
        Ok(writeln!(&self.file, "\n=== [{:.0}s] {text}", self.clock())?)
    }

    pub(crate) fn says(&self, account: &str, script: &str) -> anyhow::Result<()> {
        let clock = self.clock();
        for line in script.trim_end().lines() {
            writeln!(&self.file, "[{clock:>6.1}s] {account}$ {line}")?;
        }
        Ok(())
    }

    pub(crate) fn hears(&self, text: &str, code: Option<i32>) -> anyhow::Result<()> {
        for line in text.lines() {
            writeln!(&self.file, "          {line}")?;
        }
        if code != Some(0) {
            writeln!(&self.file, "          (ended with {code:?})")?;
        }
        Ok(())
    }
}
