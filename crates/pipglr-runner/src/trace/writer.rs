//! Writing into a log that is held: everything written through one [`Writer`] is recorded as one.

use super::{Source, State};
use crate::container_side::marker::StageEnd;
use crate::containers::session::Position;
use jiff::Timestamp;
use std::io;

/// Clears the line, as the coordinator's log viewer expects it.
const CLEAR_LINE: &str = "\x1b[0K";
/// Ends any colour.
pub const RESET: &str = "\x1b[0;m";
const BOLD_RED: &str = "\x1b[31;1m";
const BOLD_GREEN: &str = "\x1b[32;1m";
const BOLD_CYAN: &str = "\x1b[36;1m";
/// Starts a warning.
pub const YELLOW: &str = "\x1b[0;33m";

/// Writes into a log and notes how far its job is.
#[derive(Debug)]
pub struct Writer<'a> {
    state: &'a mut State,
    sections: bool,
}

impl<'a> Writer<'a> {
    pub(super) fn new(state: &'a mut State, sections: bool) -> Self {
        Self { state, sections }
    }

    /// Notes the step the job is about to take, in which nothing was heard of a container yet.
    pub fn enter(&mut self, step: &impl serde::Serialize) {
        match serde_json::to_value(step) {
            Ok(step) => self.state.reached.step = step,
            Err(error) => self.fail(error.into()),
        }
        self.state.reached.position = Position::default();
        self.state.reached.ended.clear();
    }

    /// Notes how much of a container's output this log has.
    pub fn at(&mut self, position: Position) {
        self.state.reached.position = position;
    }

    /// Notes that a stage of this step ended.
    pub fn ended(&mut self, stage: &str, end: StageEnd) {
        self.state.reached.ended.push((stage.to_owned(), end));
    }

    /// Writes raw output.
    pub fn write(&mut self, source: Source, bytes: &[u8]) {
        let crowded = source != Source::Runner && self.state.buffer.is_crowded();
        if self.state.buffer.is_full() || crowded {
            // Masking what nobody keeps would only let a chatty script outrun us.
            return;
        }
        let stream = &mut self.state.streams[source as usize];
        let (mut masked, mut framed) = (Vec::with_capacity(bytes.len()), Vec::with_capacity(bytes.len() + 64));
        stream.masker.push(bytes, &mut masked);
        stream.framer.push(&masked, Timestamp::now(), &mut framed);
        self.append(&framed);
    }

    /// Ends all streams: what maskers and framers hold back is written.
    pub fn flush(&mut self) {
        self.flush_streams(&[Source::JobStdout, Source::JobStderr, Source::Services, Source::Runner]);
    }

    /// As [`Writer::flush`], of the job's streams: a stage's last partial line belongs to that stage.
    pub fn flush_job(&mut self) {
        self.flush_streams(&[Source::JobStdout, Source::JobStderr]);
    }

    fn flush_streams(&mut self, sources: &[Source]) {
        for index in sources.iter().map(|source| *source as usize) {
            let (mut masked, mut framed) = (Vec::new(), Vec::new());
            let stream = &mut self.state.streams[index];
            stream.masker.flush(&mut masked);
            stream.framer.push(&masked, Timestamp::now(), &mut framed);
            stream.framer.flush(&mut framed);
            self.append(&framed);
        }
        if let Err(error) = self.state.buffer.flush() {
            self.fail(error);
        }
    }

    /// A plain line of the runner.
    pub fn line(&mut self, text: &str) {
        self.runner(&format!("{CLEAR_LINE}{text}{RESET}\n"));
    }

    /// A bold green line of the runner.
    pub fn info(&mut self, text: &str) {
        self.runner(&format!("{BOLD_GREEN}{text}{RESET}\n"));
    }

    /// A yellow `WARNING:` line.
    pub fn warning(&mut self, text: &str) {
        self.runner(&format!("{YELLOW}WARNING: {text}{RESET}\n"));
    }

    /// A red `ERROR:` line.
    pub fn error(&mut self, text: &str) {
        self.runner(&format!("{BOLD_RED}ERROR: {text}{RESET}\n"));
    }

    /// Opens a section and prints its title.
    pub fn section_start(&mut self, name: &str, title: &str) {
        let marker = self.section_marker("start", name);
        self.state.reached.log.section = Some(name.to_owned());
        self.state.progress.begin(name);
        self.runner(&format!("{marker}{CLEAR_LINE}{BOLD_CYAN}{title}{RESET}{RESET}\n"));
    }

    /// Closes a section.
    pub fn section_end(&mut self, name: &str) {
        let marker = self.section_marker("end", name);
        self.state.reached.log.section = None;
        self.state.progress.end();
        if !marker.is_empty() {
            self.runner(&marker);
        }
    }

    fn section_marker(&self, kind: &str, name: &str) -> String {
        if !self.sections {
            return String::new();
        }
        format!("section_{kind}:{}:{name}\r{CLEAR_LINE}", Timestamp::now().as_second())
    }

    fn runner(&mut self, text: &str) {
        self.write(Source::Runner, text.as_bytes());
    }

    fn append(&mut self, bytes: &[u8]) {
        if let Err(error) = self.state.buffer.append(bytes) {
            self.fail(error);
        }
    }

    fn fail(&mut self, error: io::Error) {
        self.state.broken.get_or_insert(error);
    }
}
