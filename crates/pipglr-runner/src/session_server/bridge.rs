//! Bytes between a websocket and a shell, until one of them or the session ends.

use super::session::Place;
use super::upgrade::Encoding;
use crate::containers::terminal::{Shell, ShellInput, ShellOutput};
use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// For a message to be taken by the client.
///
/// Compat: the library gitlab-terminal of gitlab-runner, for its signs of life.
const PATIENCE: Duration = Duration::from_secs(5);
/// Nobody types or pastes more at once.
const LONGEST_MESSAGE: usize = 1 << 20;

type WebSocket = WebSocketStream<TokioIo<Upgraded>>;

/// A connection that was agreed upon, and the shell it is for.
#[derive(Debug)]
pub(super) struct Bridge {
    pub(super) connection: OnUpgrade,
    pub(super) encoding: Encoding,
    pub(super) shell: Shell,
    /// Held to the end.
    pub(super) place: Place,
    pub(super) ping: Duration,
}

impl Bridge {
    /// Passes bytes both ways.
    pub(super) async fn run(self) {
        let Self {
            connection,
            encoding,
            mut shell,
            place,
            ping,
        } = self;
        match connection.await {
            Ok(upgraded) => {
                let config = WebSocketConfig::default().max_message_size(Some(LONGEST_MESSAGE));
                let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
                let (mut sink, mut stream) = socket.split();
                // Both at once: a shell that shows much while much is typed would wait for both.
                let as_text = AtomicBool::new(false);
                let (reader, writer) = (&mut shell.reader, &mut shell.writer);
                let why = tokio::select! {
                    biased;
                    why = place.ended() => why,
                    end = show(reader, &mut sink, encoding, &as_text, ping) => said(end, "the shell has ended"),
                    end = take(writer, &mut stream, encoding, &as_text) => said(end, "the client has gone"),
                };
                tracing::debug!(why, "web terminal ends");
                let close = CloseFrame {
                    code: CloseCode::Normal,
                    reason: why.into(),
                };
                // A client that is gone does not hear it.
                drop(timeout(PATIENCE, sink.send(Message::Close(Some(close)))).await);
            }
            Err(error) => tracing::debug!(%error, "the client of a web terminal went away"),
        }
        shell.hang_up().await;
    }
}

fn said(end: anyhow::Result<()>, what: &str) -> String {
    match end {
        Ok(()) => what.to_owned(),
        Err(error) => {
            tracing::debug!(error = %format!("{error:#}"), "web terminal");
            what.to_owned()
        }
    }
}

/// From the shell to the client, with a sign of life now and then.
async fn show(
    reader: &mut ShellOutput,
    sink: &mut SplitSink<WebSocket, Message>,
    encoding: Encoding,
    as_text: &AtomicBool,
    every: Duration,
) -> anyhow::Result<()> {
    let mut ping = interval_at(Instant::now() + every, every);
    loop {
        tokio::select! {
            shown = reader.next() => match shown? {
                Some(bytes) => sink.send(encode(bytes, encoding, as_text)).await.context("send to the client")?,
                None => return Ok(()),
            },
            _ = ping.tick() => match timeout(PATIENCE, sink.send(Message::Ping(Bytes::new()))).await {
                Ok(sent) => sent.context("send to the client")?,
                Err(_) => bail!("the client takes nothing"),
            },
        }
    }
}

/// From the client to the shell.
async fn take(
    writer: &mut ShellInput,
    stream: &mut SplitStream<WebSocket>,
    encoding: Encoding,
    as_text: &AtomicBool,
) -> anyhow::Result<()> {
    while let Some(message) = stream.next().await {
        let message = match message {
            Ok(message) => message,
            Err(Error::ConnectionClosed) => return Ok(()),
            Err(error) => return Err(error).context("read from the client"),
        };
        let bytes = match message {
            Message::Binary(bytes) => {
                as_text.store(false, Ordering::Relaxed);
                bytes
            }
            Message::Text(text) => {
                as_text.store(true, Ordering::Relaxed);
                text.into()
            }
            Message::Close(_) => return Ok(()),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
        };
        match encoding {
            Encoding::Base64 => {
                let bytes = BASE64_STANDARD.decode(&bytes).context("read base64 from the client")?;
                writer.write(&bytes).await?;
            }
            Encoding::Raw | Encoding::Mirrored => writer.write(&bytes).await?,
        }
    }
    Ok(())
}

fn encode(bytes: Bytes, encoding: Encoding, as_text: &AtomicBool) -> Message {
    match encoding {
        Encoding::Base64 => Message::text(BASE64_STANDARD.encode(&bytes)),
        Encoding::Mirrored if as_text.load(Ordering::Relaxed) => {
            Message::text(String::from_utf8_lossy(&bytes).into_owned())
        }
        Encoding::Raw | Encoding::Mirrored => Message::Binary(bytes),
    }
}
