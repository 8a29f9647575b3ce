//! HTTP/1.1 by hand over a Unix socket: podman's attach takes the connection over, and tests want to lose it.

use super::routes;
use super::state::{Piece, State};
use crate::watched::Watched;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::OwnedReadHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::task::{JoinHandle, JoinSet};

/// A request below `/v…/libpod`.
#[derive(Debug)]
pub(super) struct HttpRequest {
    pub(super) method: String,
    /// Percent-encoded.
    pub(super) path: String,
    /// As it came.
    pub(super) query: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

/// What is answered.
pub(super) enum Reply {
    Whole {
        status: u16,
        body: Vec<u8>,
    },
    /// Chunks until the sender is gone.
    Stream(UnboundedReceiver<Piece>),
    /// The connection becomes a byte stream in both directions.
    Hijack {
        output: UnboundedReceiver<Piece>,
        input: UnboundedSender<Vec<u8>>,
    },
    /// No answer, no connection.
    Lost,
}

impl Reply {
    pub(super) fn empty(status: u16) -> Self {
        Self::Whole {
            status,
            body: Vec::new(),
        }
    }

    pub(super) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::Whole {
            status,
            body: body.to_string().into_bytes(),
        }
    }

    /// podman's way to say no: its innermost error and the whole sentence.
    pub(super) fn refusal(status: u16, cause: &str, message: &str) -> Self {
        Self::json(
            status,
            &serde_json::json!({"cause": cause, "message": message, "response": status}),
        )
    }
}

impl HttpRequest {
    /// A parameter of the query, decoded.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        self.parameters().into_iter().find(|(k, _)| k == name).map(|(_, v)| v)
    }

    pub(super) fn parameters(&self) -> Vec<(String, String)> {
        let pairs = self
            .query
            .split('&')
            .filter(|p| !p.is_empty())
            .map(|p| p.split_once('=').unwrap_or((p, "")));
        pairs.map(|(k, v)| (decode(k), decode(v))).collect()
    }
}

pub(super) fn serve(socket: &Path, state: Arc<Watched<State>>) -> JoinHandle<()> {
    let listener = UnixListener::bind(socket).expect("a socket in a new directory");
    tokio::spawn(async move {
        // Connections end with the server.
        let mut connections = JoinSet::new();
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                connections.spawn(talk(stream, state.clone()));
            }
        }
    })
}

/// Serves one connection. A client that goes away is none of our concern.
async fn talk(stream: UnixStream, state: Arc<Watched<State>>) {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    while let Ok(Some(request)) = read_request(&mut read).await {
        let result = match routes::answer(&state, request).await {
            Reply::Whole { status, body } => write.write_all(&whole(status, &body)).await,
            Reply::Stream(pieces) => stream_chunks(&mut write, pieces).await,
            Reply::Hijack { output, input } => return hijacked(read, write, output, input).await,
            Reply::Lost => return,
        };
        if result.is_err() {
            return;
        }
    }
}

fn whole(status: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    if status == 204 || status == 304 {
        bytes = format!("HTTP/1.1 {status} X\r\n\r\n").into_bytes();
    } else {
        bytes.extend_from_slice(body);
    }
    bytes
}

async fn stream_chunks(
    write: &mut (impl tokio::io::AsyncWrite + Unpin),
    mut pieces: UnboundedReceiver<Piece>,
) -> io::Result<()> {
    write
        .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await?;
    while let Some(piece) = pieces.recv().await {
        let Piece::Bytes(bytes) = piece else {
            return Err(io::ErrorKind::ConnectionAborted.into());
        };
        write.write_all(format!("{:x}\r\n", bytes.len()).as_bytes()).await?;
        write.write_all(&bytes).await?;
        write.write_all(b"\r\n").await?;
    }
    write.write_all(b"0\r\n\r\n").await
}

async fn hijacked(
    mut read: BufReader<OwnedReadHalf>,
    mut write: tokio::net::unix::OwnedWriteHalf,
    mut output: UnboundedReceiver<Piece>,
    input: UnboundedSender<Vec<u8>>,
) {
    let head = b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
    if write.write_all(head).await.is_err() {
        return;
    }
    let incoming = async {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = read.read(&mut buffer).await {
            if input.send(buffer[..count].to_vec()).is_err() {
                break;
            }
        }
        // An empty piece is the end of the input.
        let _ = input.send(Vec::new());
        std::future::pending::<()>().await;
    };
    let outgoing = async {
        while let Some(Piece::Bytes(bytes)) = output.recv().await {
            if write.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = incoming => {}
        () = outgoing => {}
    }
}

/// Reads a request; nothing at the end of the connection.
async fn read_request(read: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<HttpRequest>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match read.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) if head.is_empty() => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.trim_end().split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let below = path.split_once("/libpod").map_or(path, |(_, rest)| rest);
    let headers: BTreeMap<String, String> = lines
        .filter_map(|l| l.split_once(": "))
        .map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned()))
        .collect();
    let length = headers.get("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    read.read_exact(&mut body).await?;
    Ok(Some(HttpRequest {
        method: method.to_owned(),
        path: below.to_owned(),
        query: query.to_owned(),
        headers,
        body,
    }))
}

/// One frame of multiplexed output: stream number, three zeros, length, bytes.
pub(super) fn frame(stream: u8, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).expect("no test writes 4 GiB at once");
    let mut bytes = vec![stream, 0, 0, 0];
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(data);
    bytes
}

/// Undoes percent-encoding.
pub(crate) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = tail
            .get(..2)
            .and_then(|h| std::str::from_utf8(h).ok())
            .and_then(|h| u8::from_str_radix(h, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
