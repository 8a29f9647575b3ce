//! Reading podman's JSON: Go's `null` for empty, and one-object-per-line streams.

use bytes::{Buf as _, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::error::Error;
use crate::output::{Chunks, chunks_of};
use crate::request::ApiRequest;
use crate::transport::Transport;

/// Reads `null` as the default: Go writes it for empty lists, maps and missing structures.
pub(crate) fn null_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Values of a stream of JSON objects, each ended by a newline.
pub(crate) struct JsonLines {
    path: String,
    chunks: BoxStream<'static, Result<bytes::Bytes, Error>>,
    buffer: BytesMut,
}

impl JsonLines {
    /// Opens the stream on a connection of its own.
    pub(crate) async fn open(transport: &Transport, request: ApiRequest) -> Result<Self, Error> {
        let (connection, response) = transport.open_ok(&request).await?;
        let path = request.path.clone();
        let chunks: Chunks = chunks_of(connection, response, request);
        Ok(Self {
            path,
            chunks,
            buffer: BytesMut::new(),
        })
    }

    /// The next value, or `None` at the end. Cancel-safe.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Error> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end);
                self.buffer.advance(1);
                if !line.trim_ascii().is_empty() {
                    return self.parse(&line).map(Some);
                }
                continue;
            }
            match self.chunks.next().await {
                Some(chunk) => self.buffer.extend_from_slice(&chunk?),
                None if self.buffer.trim_ascii().is_empty() => return Ok(None),
                None => {
                    let rest = self.buffer.split();
                    return self.parse(&rest).map(Some);
                }
            }
        }
    }

    fn parse<T: DeserializeOwned>(&self, line: &[u8]) -> Result<T, Error> {
        serde_json::from_slice(line).map_err(|source| Error::Decode {
            path: self.path.clone(),
            source,
        })
    }
}
