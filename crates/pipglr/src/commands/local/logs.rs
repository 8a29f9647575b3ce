//! Logs of jobs, read as they grow and written down as people read them.

use super::places::renew;
use crate::job_log::{Decoder, shown};
use anyhow::Context as _;
use pipglr_coordinator::JobRecord;
use pipglr_coordinator::ci::coverage::Coverage;
use pipglr_protocol::payload::JobId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, File};
use std::io::{BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// Lines of a failed job's log that are shown at the end.
const TAIL: usize = 15;
/// Bytes read at once.
const PIECE: usize = 1 << 16;

/// All logs of a run.
#[derive(Debug)]
pub(super) struct Logs {
    directory: PathBuf,
    names: BTreeSet<String>,
    open: BTreeMap<JobId, Log>,
}

/// One job's log.
#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: BufWriter<File>,
    /// Bytes of the trace that were read.
    offset: u64,
    decoder: Decoder,
    tail: VecDeque<String>,
    /// What finds the coverage, and the last that was found.
    coverage: Option<(Coverage, Option<String>)>,
}

impl Logs {
    /// Logs in `directory`, which is made, or in `own`, which is made anew.
    pub(super) fn new(named: Option<&Path>, own: PathBuf) -> anyhow::Result<Self> {
        let directory = match named {
            Some(directory) => {
                fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
                directory.to_owned()
            }
            None => {
                renew(&own)?;
                own
            }
        };
        Ok(Self {
            directory,
            names: BTreeSet::new(),
            open: BTreeMap::new(),
        })
    }

    /// Where the log of a job is, if it said anything.
    pub(super) fn path(&self, job: JobId) -> Option<&Path> {
        self.open.get(&job).map(|log| log.path.as_path())
    }

    /// What a job's log says of its coverage, in percent.
    pub(super) fn coverage(&self, job: JobId) -> Option<&str> {
        self.open.get(&job)?.coverage.as_ref()?.1.as_deref()
    }

    /// The last lines of a job's log.
    pub(super) fn tail(&self, job: JobId) -> impl Iterator<Item = &str> {
        self.open
            .get(&job)
            .into_iter()
            .flat_map(|log| log.tail.iter().map(String::as_str))
    }

    /// What a job said last, even if that may still be continued.
    pub(super) fn last_line(&self, job: JobId) -> Option<&str> {
        let log = self.open.get(&job)?;
        log.decoder.held().or_else(|| log.tail.back().map(String::as_str))
    }

    /// Reads what is new in a job's log and gives its lines; all of them, if the job is over.
    pub(super) fn read(&mut self, job: &JobRecord, line: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
        if job.trace_size == 0 && !self.open.contains_key(&job.id) {
            return Ok(());
        }
        let log = match self.open.entry(job.id) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(Log::create(&self.directory, &mut self.names, job)?)
            }
        };
        log.read(job, line)
            .with_context(|| format!("read the log of {}", job.name))
    }

    /// Gives lines that might have been continued, but were not.
    pub(super) fn flush(&mut self, mut line: impl FnMut(JobId, &str)) -> anyhow::Result<()> {
        for (id, log) in &mut self.open {
            let mut lines = Vec::new();
            log.decoder.flush(|text| lines.push(text));
            for text in lines {
                log.keep(&text)?;
                line(*id, &text);
            }
        }
        Ok(())
    }
}

impl Log {
    fn create(directory: &Path, names: &mut BTreeSet<String>, job: &JobRecord) -> anyhow::Result<Self> {
        let base = file_name(&job.name);
        let mut name = format!("{base}.log");
        let mut number = 1;
        while !names.insert(name.clone()) {
            number += 1;
            name = format!("{base}-{number}.log");
        }
        let path = directory.join(name);
        let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
        Ok(Self {
            path,
            file: BufWriter::new(file),
            offset: 0,
            decoder: Decoder::default(),
            tail: VecDeque::new(),
            // Compat: what goes wrong here is no reason to stop: the expression was checked with the file.
            coverage: job
                .coverage
                .as_deref()
                .and_then(|pattern| Some((Coverage::new(pattern).ok()?, None))),
        })
    }

    fn read(&mut self, job: &JobRecord, line: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
        let mut trace = File::open(&job.trace_path)?;
        trace.seek(SeekFrom::Start(self.offset))?;
        let mut piece = vec![0; PIECE];
        let mut lines = Vec::new();
        loop {
            let count = trace.read(&mut piece)?;
            if count == 0 {
                break;
            }
            self.offset += count as u64;
            self.decoder.push(&piece[..count], |text| lines.push(text));
            self.take(&mut lines, line)?;
        }
        if job.state.is_finished() {
            self.decoder.finish(|text| lines.push(text));
            self.take(&mut lines, line)?;
            self.file.flush()?;
        }
        Ok(())
    }

    fn take(&mut self, lines: &mut Vec<String>, line: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
        for text in lines.drain(..) {
            self.keep(&text)?;
            line(&text);
        }
        Ok(())
    }

    fn keep(&mut self, text: &str) -> anyhow::Result<()> {
        let plain = shown(text, false);
        writeln!(self.file, "{plain}").with_context(|| format!("write {}", self.path.display()))?;
        if let Some((coverage, last)) = &mut self.coverage
            && let Some(found) = coverage.find(&plain)
        {
            *last = Some(found.to_owned());
        }
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(text.to_owned());
        Ok(())
    }
}

/// A job's name as a file's.
fn file_name(job: &str) -> String {
    let mut name = String::new();
    for c in job.chars().take(100) {
        if c.is_alphanumeric() || matches!(c, '.' | '_') {
            name.push(c);
        } else if !name.ends_with('-') {
            name.push('-');
        }
    }
    let name = name.trim_matches(['-', '.']);
    if name.is_empty() {
        "job".to_owned()
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn every_job_has_a_file_name() {
        for (job, name) in [
            ("unit", "unit"),
            ("test: [a, b]", "test-a-b"),
            ("../../etc/passwd", "etc-passwd"),
            ("build 1/3", "build-1-3"),
            ("…", "job"),
            ("größe", "größe"),
        ] {
            assert_eq!(file_name(job), name, "{job}");
        }
    }
}
