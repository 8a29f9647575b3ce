//! Output of a container or exec session as a stream of frames, and the input of an attached one.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt, stream};
use http::Response;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::error::Error;
use crate::request::ApiRequest;
use crate::stream::{Frame, FrameDecoder, OutputKind};
use crate::transport::{Connection, Hijacked, disconnected};

pub(crate) type Chunks = BoxStream<'static, Result<Bytes, Error>>;

/// Bytes asked for in one read of a hijacked connection.
const READ_SIZE: usize = 64 * 1024;

/// A live attachment to a container's main process or to an exec session.
///
/// Dropping it detaches; the process goes on. Both halves can be used at the same time from different tasks, and must
/// be when the process writes while it reads, or both sides' buffers fill up.
#[derive(Debug)]
pub struct Attached {
    /// What the process writes. It ends when the process and all that inherited its outputs are gone.
    pub output: Output,
    /// What the process reads.
    pub input: Input,
}

impl Attached {
    /// `multiplexed` is false for terminals, whose output has no frames.
    pub(crate) fn new(hijacked: Hijacked, request: ApiRequest, multiplexed: bool) -> Self {
        let (read, write) = hijacked.stream.into_split();
        let input = Input {
            stream: write,
            request: request.clone(),
        };
        let output = Output::new(
            &request,
            chunks_from(read, hijacked.received, request.clone()),
            multiplexed,
        );
        Self { output, input }
    }
}

/// Standard input of an attached process.
///
/// Dropping it is the same as [`Input::close`]: the process sees the end of its input. So do not drop it in the middle
/// of a script that must not run half: kill the container first.
pub struct Input {
    stream: OwnedWriteHalf,
    request: ApiRequest,
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("path", &self.request.path)
            .finish_non_exhaustive()
    }
}

impl Input {
    /// Writes all of `data`. Waits while the process does not read.
    ///
    /// # Errors
    /// [`Error::Disconnected`] when podman, or the process's end of the stream, is gone.
    pub async fn write_all(&mut self, data: &[u8]) -> Result<(), Error> {
        self.stream
            .write_all(data)
            .await
            .map_err(|error| disconnected(&self.request, error))
    }

    /// Ends the input (half-close): the process reads end of file, its output goes on.
    ///
    /// # Errors
    /// [`Error::Disconnected`] when the connection was gone already.
    pub async fn close(mut self) -> Result<(), Error> {
        self.stream
            .shutdown()
            .await
            .map_err(|error| disconnected(&self.request, error))
    }
}

/// Frames of output, as a `Stream` or through [`Output::next`]. Ends after the first error.
pub struct Output {
    path: String,
    chunks: Chunks,
    decoder: Decoder,
    ended: bool,
}

enum Decoder {
    Multiplexed(FrameDecoder),
    Raw(VecDeque<Bytes>),
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("path", &self.path)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl Output {
    pub(crate) fn new(request: &ApiRequest, chunks: Chunks, multiplexed: bool) -> Self {
        let decoder = if multiplexed {
            Decoder::Multiplexed(FrameDecoder::default())
        } else {
            Decoder::Raw(VecDeque::new())
        };
        Self {
            path: request.path.clone(),
            chunks,
            decoder,
            ended: false,
        }
    }

    /// The next frame, or `None` at the end. Cancel-safe.
    ///
    /// # Errors
    /// [`Error::Disconnected`] when podman went away, [`Error::Frame`] when the stream is malformed or was cut.
    pub async fn next(&mut self) -> Option<Result<Frame, Error>> {
        StreamExt::next(self).await
    }

    fn decode(&mut self) -> Result<Option<Frame>, Error> {
        match &mut self.decoder {
            Decoder::Multiplexed(decoder) => decoder.next_frame().map_err(|source| Error::Frame {
                path: self.path.clone(),
                source,
            }),
            Decoder::Raw(chunks) => Ok(chunks.pop_front().map(|data| Frame {
                kind: OutputKind::Stdout,
                data,
            })),
        }
    }

    fn push(&mut self, chunk: Bytes) {
        match &mut self.decoder {
            Decoder::Multiplexed(decoder) => decoder.push(&chunk),
            Decoder::Raw(chunks) => chunks.push_back(chunk),
        }
    }

    fn finish(&self) -> Result<(), Error> {
        match &self.decoder {
            Decoder::Multiplexed(decoder) => decoder.finish().map_err(|source| Error::Frame {
                path: self.path.clone(),
                source,
            }),
            Decoder::Raw(_) => Ok(()),
        }
    }
}

impl Stream for Output {
    type Item = Result<Frame, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        loop {
            match self.decode() {
                Ok(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
                Ok(None) => {}
                Err(error) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
            }
            match ready!(self.chunks.poll_next_unpin(context)) {
                Some(Ok(chunk)) => self.push(chunk),
                Some(Err(error)) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    self.ended = true;
                    return Poll::Ready(self.finish().err().map(Err));
                }
            }
        }
    }
}

/// The body of a streamed answer; holds its connection open.
pub(crate) fn chunks_of(connection: Connection, response: Response<Incoming>, request: ApiRequest) -> Chunks {
    let state = (connection, response.into_body(), request);
    stream::unfold(state, |(connection, mut body, request)| async move {
        loop {
            return match body.frame().await? {
                Ok(frame) => match frame.into_data() {
                    Ok(data) => Some((Ok(data), (connection, body, request))),
                    // Trailers: nothing of interest.
                    Err(_) => continue,
                },
                Err(error) => Some((Err(disconnected(&request, error)), (connection, body, request))),
            };
        }
    })
    .boxed()
}

fn chunks_from(read: OwnedReadHalf, received: Bytes, request: ApiRequest) -> Chunks {
    let reads = stream::unfold(
        (read, BytesMut::new(), request),
        |(mut read, mut buffer, request)| async move {
            buffer.reserve(READ_SIZE);
            match read.read_buf(&mut buffer).await {
                Ok(0) => None,
                Ok(_) => Some((Ok(buffer.split().freeze()), (read, buffer, request))),
                Err(error) => Some((Err(disconnected(&request, error)), (read, buffer, request))),
            }
        },
    );
    let first = (!received.is_empty()).then_some(Ok(received));
    stream::iter(first).chain(reads).boxed()
}
