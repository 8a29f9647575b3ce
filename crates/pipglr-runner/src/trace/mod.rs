//! The job log: where its bytes come from, what is done to them, and how they reach the coordinator.
//!
//! `write` → mask → frame lines → replace invalid UTF-8 → limit → file (with CRC-32) → [`sender`]. Output is on disk
//! before it is sent, so that a lost connection loses nothing. Job output never travels through `tracing`.

mod buffer;
pub mod mask;
pub mod sender;
mod timestamp;
pub mod turns;

use crate::metrics::Progress;
use buffer::Buffer;
use jiff::Timestamp;
use mask::Masker;
use pipglr_protocol::update::Output;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use timestamp::LineFramer;

/// Clears the line, as the coordinator's log viewer expects it.
pub const CLEAR_LINE: &str = "\x1b[0K";
/// Ends any colour.
pub const RESET: &str = "\x1b[0;m";
const BOLD_RED: &str = "\x1b[31;1m";
const BOLD_GREEN: &str = "\x1b[32;1m";
const BOLD_CYAN: &str = "\x1b[36;1m";
/// Starts a warning.
pub const YELLOW: &str = "\x1b[0;33m";

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
    streams: [Stream; 4],
    /// The section that was opened last and not closed.
    section: Option<String>,
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
    /// Creates the log's file at `path`.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(path: &Path, settings: &TraceSettings) -> io::Result<Self> {
        let stream = |number, stderr| Stream {
            masker: settings.masker.clone(),
            framer: LineFramer::new(settings.timestamps, number, stderr),
        };
        let state = State {
            buffer: Buffer::create(path, settings.limit)?,
            streams: [stream(0, false), stream(1, false), stream(1, true), stream(0x0f, false)],
            section: None,
            progress: Progress::default(),
            broken: None,
        };
        Ok(Self(Arc::new(Shared {
            sections: settings.sections,
            state: Mutex::new(state),
        })))
    }

    /// Writes raw output.
    pub fn write(&self, source: Source, bytes: &[u8]) {
        let mut state = self.state();
        let state = &mut *state;
        if state.buffer.is_full() {
            // Masking what nobody keeps would only let a chatty script outrun us.
            return;
        }
        let stream = &mut state.streams[source as usize];
        let (mut masked, mut framed) = (Vec::with_capacity(bytes.len()), Vec::with_capacity(bytes.len() + 64));
        stream.masker.push(bytes, &mut masked);
        stream.framer.push(&masked, Timestamp::now(), &mut framed);
        state.append(&framed);
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
        self.flush_streams(&[Source::JobStdout, Source::JobStderr, Source::Services, Source::Runner]);
    }

    /// As [`Trace::flush`], of the job's streams: a stage's last partial line belongs to that stage.
    pub fn flush_job(&self) {
        self.flush_streams(&[Source::JobStdout, Source::JobStderr]);
    }

    fn flush_streams(&self, sources: &[Source]) {
        let mut state = self.state();
        let state = &mut *state;
        for index in sources.iter().map(|source| *source as usize) {
            let (mut masked, mut framed) = (Vec::new(), Vec::new());
            let stream = &mut state.streams[index];
            stream.masker.flush(&mut masked);
            stream.framer.push(&masked, Timestamp::now(), &mut framed);
            stream.framer.flush(&mut framed);
            state.append(&framed);
        }
        if let Err(error) = state.buffer.flush() {
            state.broken.get_or_insert(error);
        }
    }

    /// A plain line of the runner.
    pub fn line(&self, text: &str) {
        self.runner(&format!("{CLEAR_LINE}{text}{RESET}\n"));
    }

    /// A bold green line of the runner.
    pub fn info(&self, text: &str) {
        self.runner(&format!("{BOLD_GREEN}{text}{RESET}\n"));
    }

    /// A yellow `WARNING:` line.
    pub fn warning(&self, text: &str) {
        self.runner(&format!("{YELLOW}WARNING: {text}{RESET}\n"));
    }

    /// A red `ERROR:` line.
    pub fn error(&self, text: &str) {
        self.runner(&format!("{BOLD_RED}ERROR: {text}{RESET}\n"));
    }

    /// Tells `progress` about sections from here on.
    pub fn tell(&self, progress: Progress) {
        self.state().progress = progress;
    }

    /// Opens a section and prints its title.
    pub fn section_start(&self, name: &str, title: &str) {
        let marker = self.section_marker("start", name);
        {
            let mut state = self.state();
            state.section = Some(name.to_owned());
            state.progress.begin(name);
        }
        self.runner(&format!("{marker}{CLEAR_LINE}{BOLD_CYAN}{title}{RESET}{RESET}\n"));
    }

    /// Closes a section.
    pub fn section_end(&self, name: &str) {
        let marker = self.section_marker("end", name);
        {
            let mut state = self.state();
            state.section = None;
            state.progress.end();
        }
        if !marker.is_empty() {
            self.runner(&marker);
        }
    }

    /// The section that is open, if one is.
    #[must_use]
    pub fn open_section(&self) -> Option<String> {
        self.state().section.clone()
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

    fn runner(&self, text: &str) {
        self.write(Source::Runner, text.as_bytes());
    }

    fn section_marker(&self, kind: &str, name: &str) -> String {
        if !self.0.sections {
            return String::new();
        }
        format!("section_{kind}:{}:{name}\r{CLEAR_LINE}", Timestamp::now().as_second())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while writing leaves bytes that are still the job's log.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn append(&mut self, bytes: &[u8]) {
        if let Err(error) = self.buffer.append(bytes) {
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
}
