//! A log in the middle of its life as data: with it and the file, another process goes on where this one stopped.

use super::mask::Held;
use super::timestamp::PartialLine;
use serde::{Deserialize, Serialize};

/// Where a whole log is: how many bytes of its file count, and what is held back in each of its streams.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogState {
    pub(super) file: BufferState,
    pub(super) streams: Vec<StreamState>,
    /// The section that was opened last and not closed.
    pub(super) section: Option<String>,
}

impl LogState {
    /// Of a log about which nothing is known but the length of its file.
    pub(crate) fn of_length(len: u64) -> Self {
        Self {
            file: BufferState {
                len,
                ..BufferState::default()
            },
            ..Self::default()
        }
    }
}

/// Where the file is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct BufferState {
    pub(super) len: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) full: bool,
    #[serde(with = "bytes", skip_serializing_if = "Vec::is_empty")]
    pub(super) torn: Vec<u8>,
}

/// What one stream holds back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct StreamState {
    pub(super) masker: Held,
    #[serde(skip_serializing_if = "PartialLine::is_empty")]
    pub(super) line: PartialLine,
}

/// Bytes as a JSON string with one character for each, U+0000 to U+00FF: short and readable for text.
pub(super) mod bytes {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(in crate::trace) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        serializer.serialize_str(&text)
    }

    pub(in crate::trace) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let byte = |c: char| u8::try_from(c).map_err(|_| de::Error::custom("a character that stands for no byte"));
        text.chars().map(byte).collect()
    }
}
