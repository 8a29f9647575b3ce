//! The job log: where its bytes come from, what is done to them, and how they reach the coordinator.
//!
//! `write` → mask → frame lines → replace invalid UTF-8 → limit → file (with CRC-32) → [`sender`]. Output is on disk
//! before it is sent, so that a lost connection loses nothing. Job output never travels through `tracing`.
//!
//! The log and how far the job is are one value in the job's journal: what changes together is recorded together, and
//! nothing is sent that was not recorded. So a later process goes on at exactly the byte where this one ended.

mod buffer;
pub mod mask;
pub mod sender;
mod state;
mod timestamp;
pub mod turns;
mod writer;

pub use state::LogState;
pub use writer::{RESET, Writer, YELLOW};

use crate::container_side::marker::StageEnd;
use crate::containers::session::Position;
use crate::journal::{self, Journal};
use crate::metrics::Progress;
use anyhow::bail;
use buffer::Buffer;
use mask::Masker;
use pipglr_protocol::update::Output;
use state::StreamState;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use timestamp::LineFramer;
/// Where bytes of a job log come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The runner's own lines.
    Runner,
    JobStdout,
    JobStderr,
    /// Output of services, in whole lines (`CI_DEBUG_SERVICES`).
    Services,
}

/// How one job's log is written.
#[derive(Debug, Clone)]
pub struct TraceSettings {
    /// Prefix every line with time and stream (`FF_TIMESTAMPS`).
    pub timestamps: bool,
    /// Emit collapsible sections (`features.trace_sections` of the payload).
    pub sections: bool,
    /// Bytes after which output is dropped.
    pub limit: u64,
    pub masker: Masker,
}

/// A job's log, open for writing. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Trace(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    sections: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    buffer: Buffer,
    streams: Vec<Stream>,
    /// Nothing in tests of the log alone.
    journal: Option<Journal>,
    reached: journal::Progress,
    /// Hears of sections.
    progress: Progress,
    /// The first write that failed; later output is lost and the job must not pretend otherwise.
    broken: Option<io::Error>,
}

#[derive(Debug)]
struct Stream {
    masker: Masker,
    framer: LineFramer,
}

impl Trace {
    /// A log at `path` that no later process will go on with.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(path: &Path, settings: &TraceSettings) -> io::Result<Self> {
        Self::new(path, settings, None, journal::Progress::default())
    }

    /// The log of a job with a journal, from where it is.
    ///
    /// # Errors
    /// The file cannot be opened, or is shorter than it has to be.
    pub fn open(journal: Journal, reached: journal::Progress, settings: &TraceSettings) -> io::Result<Self> {
        Self::new(&journal.log(), settings, Some(journal), reached)
    }

    /// A log for which there is no room on disk: what the runner says in it still reaches the coordinator.
    #[must_use]
    pub fn in_memory(path: &Path, settings: &TraceSettings) -> Self {
        let buffer = Buffer::in_memory(path, settings.limit);
        Self::of(buffer, settings, None, journal::Progress::default())
    }

    fn new(
        path: &Path,
        settings: &TraceSettings,
        journal: Option<Journal>,
        reached: journal::Progress,
    ) -> io::Result<Self> {
        let buffer = Buffer::open(path, settings.limit, &reached.log.file)?;
        Ok(Self::of(buffer, settings, journal, reached))
    }

    fn of(buffer: Buffer, settings: &TraceSettings, journal: Option<Journal>, reached: journal::Progress) -> Self {
        let stream = |(number, stderr)| Stream {
            masker: settings.masker.clone(),
            framer: LineFramer::new(settings.timestamps, number, stderr),
        };
        let mut streams: Vec<Stream> = [(0, false), (1, false), (1, true), (0x0f, false)].map(stream).into();
        for (stream, state) in streams.iter_mut().zip(&reached.log.streams) {
            stream.masker.resume(state.masker.clone());
            stream.framer.resume(state.line.clone());
        }
        let state = State {
            buffer,
            streams,
            journal,
            reached,
            progress: Progress::default(),
            broken: None,
        };
        Self(Arc::new(Shared {
            sections: settings.sections,
            state: Mutex::new(state),
        }))
    }

    /// Changes the log and what is known of the job's progress, as one: a later process finds all of it, or nothing.
    pub fn record<R>(&self, change: impl FnOnce(&mut Writer<'_>) -> R) -> R {
        let mut state = self.state();
        let result = change(&mut Writer::new(&mut state, self.0.sections));
        state.commit();
        result
    }

    /// Records the step the job is about to take.
    ///
    /// # Errors
    /// It, or something before it, could not be written: a later process would take another step for the last one, so
    /// this one must not be taken.
    pub fn enter(&self, step: &impl serde::Serialize) -> anyhow::Result<()> {
        self.record(|log| log.enter(step));
        match &self.state().broken {
            Some(error) => bail!("the job's next step could not be written to the runner's state volume: {error}"),
            None => Ok(()),
        }
    }

    /// How much of the output of the container that is listened to is in the log.
    #[must_use]
    pub fn position(&self) -> Position {
        self.state().reached.position
    }

    /// The stages that ended in this step, in order.
    #[must_use]
    pub fn ended(&self) -> Vec<(String, StageEnd)> {
        self.state().reached.ended.clone()
    }

    /// Writes raw output.
    pub fn write(&self, source: Source, bytes: &[u8]) {
        self.record(|log| log.write(source, bytes));
    }

    /// Masks further secrets from here on.
    pub fn mask<'a>(&self, secrets: impl Iterator<Item = &'a str> + Clone) {
        self.flush();
        for stream in &mut self.state().streams {
            stream.masker.add(secrets.clone());
        }
    }

    /// Ends all streams: what maskers and framers hold back is written.
    pub fn flush(&self) {
        self.record(|log| log.flush());
    }

    /// A plain line of the runner.
    pub fn line(&self, text: &str) {
        self.record(|log| log.line(text));
    }

    /// A bold green line of the runner.
    pub fn info(&self, text: &str) {
        self.record(|log| log.info(text));
    }

    /// A yellow `WARNING:` line.
    pub fn warning(&self, text: &str) {
        self.record(|log| log.warning(text));
    }

    /// A red `ERROR:` line.
    pub fn error(&self, text: &str) {
        self.record(|log| log.error(text));
    }

    /// Tells `progress` about sections from here on.
    pub fn tell(&self, progress: Progress) {
        self.state().progress = progress;
    }

    /// Opens a section and prints its title.
    pub fn section_start(&self, name: &str, title: &str) {
        self.record(|log| log.section_start(name, title));
    }

    /// Closes a section.
    pub fn section_end(&self, name: &str) {
        self.record(|log| log.section_end(name));
    }

    /// The section that is open, if one is.
    #[must_use]
    pub fn open_section(&self) -> Option<String> {
        self.state().reached.log.section.clone()
    }

    /// Checksum and size of everything written so far.
    #[must_use]
    pub fn output(&self) -> Output {
        self.state().buffer.output()
    }

    /// Bytes written so far.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.state().buffer.len()
    }

    /// Whether nothing has been written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The file that holds the log.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.state().buffer.path().to_owned()
    }

    /// Takes the first write error, if any: then the log on disk is incomplete.
    #[must_use]
    pub fn take_error(&self) -> Option<io::Error> {
        self.state().broken.take()
    }

    /// The next bytes from `offset`, at most a chunk.
    pub(crate) fn read(&self, offset: u64) -> io::Result<Vec<u8>> {
        self.state().buffer.read(offset)
    }

    /// Writes the job to its journal again, with what was learned since it was accepted.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep_job(&self, job: &crate::job::AcceptedJob) -> io::Result<()> {
        match &self.state().journal {
            Some(journal) => journal.keep_job(job),
            None => Ok(()),
        }
    }

    /// The job is over: removes its journal, the log included.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn forget(&self) -> io::Result<()> {
        match &self.state().journal {
            Some(journal) => journal.remove(),
            None => Ok(()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while writing leaves bytes that are still the job's log.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Only now does what was written count.
    fn commit(&mut self) {
        let Some(journal) = &mut self.journal else { return };
        let log = &mut self.reached.log;
        log.file = self.buffer.state();
        log.streams = self
            .streams
            .iter()
            .map(|stream| StreamState {
                masker: stream.masker.held(),
                line: stream.framer.held().clone(),
            })
            .collect();
        if let Err(error) = journal.write(&self.reached) {
            self.broken.get_or_insert(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Masker, Source, Trace, TraceSettings};

    fn trace(sections: bool) -> (tempfile::TempDir, Trace) {
        let dir = tempfile::tempdir().unwrap();
        let settings = TraceSettings {
            timestamps: false,
            sections,
            limit: 1 << 20,
            masker: Masker::new(["s3cret"], &[]),
        };
        let trace = Trace::create(&dir.path().join("t"), &settings).unwrap();
        (dir, trace)
    }

    #[test]
    fn runner_lines_have_the_colours_gitlab_users_know() {
        let (_dir, t) = trace(false);
        t.line("plain");
        t.info("good");
        t.warning("careful");
        t.error("bad s3cret");
        t.section_start("get_sources", "Getting source from Git repository");
        t.section_end("get_sources");
        let expected = "\x1b[0Kplain\x1b[0;m\n\x1b[32;1mgood\x1b[0;m\n\x1b[0;33mWARNING: careful\x1b[0;m\n\
                        \x1b[31;1mERROR: bad [MASKED]\x1b[0;m\n\
                        \x1b[0K\x1b[36;1mGetting source from Git repository\x1b[0;m\x1b[0;m\n";
        assert_eq!(String::from_utf8(t.read(0).unwrap()).unwrap(), expected);
    }

    #[test]
    fn sections_carry_their_name_and_a_time() {
        let (_dir, t) = trace(true);
        t.section_start("step_script", "Title");
        t.section_end("step_script");
        let text = String::from_utf8(t.read(0).unwrap()).unwrap();
        let digits: String = text.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
        assert_eq!(
            digits,
            "section_start:9999999999:step_script\r\x1b[9K\x1b[9K\x1b[99;9mTitle\x1b[9;m\x1b[9;m\nsection_end:9999999999:step_script\r\x1b[9K"
        );
    }

    #[test]
    fn secrets_are_masked_per_stream_and_tails_survive_the_flush() {
        let (_dir, t) = trace(false);
        t.write(Source::JobStdout, b"a s3c");
        t.write(Source::JobStderr, b"err ");
        t.write(Source::JobStdout, b"ret and s3c");
        t.flush();
        assert_eq!(String::from_utf8(t.read(0).unwrap()).unwrap(), "a err [MASKED] and s3c");
    }

    #[test]
    fn no_step_is_taken_after_something_could_not_be_written() {
        let (_dir, t) = trace(false);
        t.enter(&"first").unwrap();
        t.state().broken = Some(std::io::ErrorKind::StorageFull.into());
        let error = t.enter(&"second").unwrap_err();
        assert!(error.to_string().contains("no storage space"), "{error}");
    }
}
