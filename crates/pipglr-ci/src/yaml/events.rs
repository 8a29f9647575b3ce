//! libyaml's event parser behind a safe, pull-style interface. The only unsafe code of the crate.
//!
//! libyaml is what GitLab's parser (Psych) uses, so what is accepted and how errors read is the same.

use std::ffi::CStr;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::slice;
use unsafe_libyaml as unsafe_yaml;

/// A place in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Characters from the start, which is what libyaml's marks count.
    Character(usize),
    /// Bytes from the start, which is what its reader counts.
    Byte(usize),
}

/// One event with the places of its first character and of the one after its last.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) kind: EventKind,
    pub(crate) start: Place,
    pub(crate) end: Place,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    StreamStart,
    StreamEnd,
    DocumentStart,
    DocumentEnd,
    Alias(String),
    Scalar {
        properties: Properties,
        text: String,
        quoted: bool,
    },
    SequenceStart(Properties),
    SequenceEnd,
    MappingStart(Properties),
    MappingEnd,
}

/// Anchor and tag of a node.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Properties {
    pub(crate) anchor: Option<String>,
    pub(crate) tag: Option<String>,
}

/// The text is not YAML.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// What libyaml says, worded as Psych words it.
    pub(crate) message: String,
    pub(crate) at: Place,
}

/// Pulls events out of one text, one at a time, so that the caller can stop at a nesting limit.
pub(crate) struct Events<'t> {
    // libyaml keeps pointers into the parser, which therefore must not move.
    parser: Box<unsafe_yaml::yaml_parser_t>,
    text: PhantomData<&'t str>,
}

impl<'t> Events<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        let mut parser = Box::new(MaybeUninit::<unsafe_yaml::yaml_parser_t>::uninit());
        // SAFETY: `yaml_parser_initialize` writes the whole struct before anything reads it; it only fails when
        // memory is exhausted, and then the allocator it uses has aborted already.
        let mut parser = unsafe {
            let initialized = unsafe_yaml::yaml_parser_initialize(parser.as_mut_ptr());
            assert!(initialized.ok, "libyaml could not allocate its buffers");
            parser.assume_init()
        };
        // SAFETY: the parser is initialized, and `'t` keeps the text alive for as long as the parser is used.
        unsafe {
            let parser = &raw mut *parser;
            unsafe_yaml::yaml_parser_set_encoding(parser, unsafe_yaml::YAML_UTF8_ENCODING);
            unsafe_yaml::yaml_parser_set_input_string(parser, text.as_ptr(), text.len() as u64);
        }
        Self {
            parser,
            text: PhantomData,
        }
    }

    /// The next event. After `StreamEnd` or an error there is nothing more to ask for.
    pub(crate) fn next(&mut self) -> Result<Event, SyntaxError> {
        let mut raw = MaybeUninit::<unsafe_yaml::yaml_event_t>::uninit();
        // SAFETY: `yaml_parser_parse` zeroes the event first, so it is initialized whatever the outcome; the event
        // is read while its strings are alive and freed exactly once.
        unsafe {
            if unsafe_yaml::yaml_parser_parse(&raw mut *self.parser, raw.as_mut_ptr()).fail {
                return Err(self.syntax_error());
            }
            let event = Event {
                kind: read_kind(&*raw.as_ptr()),
                start: read_place((*raw.as_ptr()).start_mark),
                end: read_place((*raw.as_ptr()).end_mark),
            };
            unsafe_yaml::yaml_event_delete(raw.as_mut_ptr());
            Ok(event)
        }
    }

    fn syntax_error(&self) -> SyntaxError {
        // SAFETY: both are null or static, NUL-terminated strings of libyaml.
        let (problem, context) = unsafe {
            (
                owned_text(self.parser.problem.cast()),
                owned_text(self.parser.context.cast()),
            )
        };
        let words: Vec<String> = [problem, context].into_iter().flatten().collect();
        // Compat: Psych prints the mark of the context (psych_parser.c), which the reader leaves at line 1 column 1.
        let (line, column) = (self.parser.context_mark.line + 1, self.parser.context_mark.column + 1);
        let message = format!("(<unknown>): {} at line {line} column {column}", words.join(" "));
        SyntaxError {
            message,
            at: if words.iter().any(|words| words == "while scanning a quoted scalar") {
                // Where the quote opens; it is missed where the text ends.
                read_place(self.parser.context_mark)
            } else if self.parser.error == unsafe_yaml::YAML_READER_ERROR {
                Place::Byte(to_usize(self.parser.problem_offset))
            } else {
                read_place(self.parser.problem_mark)
            },
        }
    }
}

impl Drop for Events<'_> {
    fn drop(&mut self) {
        // SAFETY: the parser was initialized in `new` and is deleted only here.
        unsafe { unsafe_yaml::yaml_parser_delete(&raw mut *self.parser) }
    }
}

/// # Safety
/// `event` was filled by `yaml_parser_parse` and not deleted yet.
unsafe fn read_kind(event: &unsafe_yaml::yaml_event_t) -> EventKind {
    // SAFETY: the union's field is chosen by `type_`, as libyaml documents it; its strings live as long as the event.
    unsafe {
        match event.type_ {
            unsafe_yaml::YAML_STREAM_END_EVENT => EventKind::StreamEnd,
            unsafe_yaml::YAML_DOCUMENT_START_EVENT => EventKind::DocumentStart,
            unsafe_yaml::YAML_DOCUMENT_END_EVENT => EventKind::DocumentEnd,
            unsafe_yaml::YAML_ALIAS_EVENT => EventKind::Alias(owned_text(event.data.alias.anchor).unwrap_or_default()),
            unsafe_yaml::YAML_SCALAR_EVENT => {
                let scalar = &event.data.scalar;
                let bytes = slice::from_raw_parts(scalar.value, to_usize(scalar.length));
                EventKind::Scalar {
                    properties: read_properties(scalar.anchor, scalar.tag),
                    text: String::from_utf8_lossy(bytes).into_owned(),
                    quoted: scalar.quoted_implicit,
                }
            }
            unsafe_yaml::YAML_SEQUENCE_START_EVENT => {
                let start = &event.data.sequence_start;
                EventKind::SequenceStart(read_properties(start.anchor, start.tag))
            }
            unsafe_yaml::YAML_SEQUENCE_END_EVENT => EventKind::SequenceEnd,
            unsafe_yaml::YAML_MAPPING_START_EVENT => {
                let start = &event.data.mapping_start;
                EventKind::MappingStart(read_properties(start.anchor, start.tag))
            }
            unsafe_yaml::YAML_MAPPING_END_EVENT => EventKind::MappingEnd,
            _ => EventKind::StreamStart,
        }
    }
}

/// # Safety
/// Both are null or NUL-terminated strings that are alive.
unsafe fn read_properties(anchor: *const u8, tag: *const u8) -> Properties {
    // SAFETY: the caller's promise.
    unsafe {
        Properties {
            anchor: owned_text(anchor),
            tag: owned_text(tag),
        }
    }
}

/// # Safety
/// `text` is null or a NUL-terminated string that is alive.
unsafe fn owned_text(text: *const u8) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not null, and NUL-terminated by the caller's promise.
    Some(unsafe { CStr::from_ptr(text.cast()) }.to_string_lossy().into_owned())
}

fn read_place(mark: unsafe_yaml::yaml_mark_t) -> Place {
    Place::Character(to_usize(mark.index))
}

fn to_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syntax_errors_read_as_psych_words_them() {
        let mut events = Events::new("a: b\n  c: [\n");
        let error = loop {
            match events.next() {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(
            error.message,
            "(<unknown>): mapping values are not allowed in this context at line 2 column 4"
        );
        assert_eq!(error.at, Place::Character(8));
    }
}
