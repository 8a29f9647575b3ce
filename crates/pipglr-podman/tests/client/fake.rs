//! A service on a temporary Unix socket that says exactly what a test wrote down, byte by byte.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// What the service does next on a connection.
pub(crate) enum Step {
    /// Reads one HTTP request with its body and records it.
    Request,
    /// Writes bytes.
    Send(Vec<u8>),
    /// Reads exactly these bytes (after a hijack).
    Receive(&'static [u8]),
    /// Reads the end of the peer's input.
    ReceiveEof,
}

/// A request as it arrived.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// Number of the connection, from 0.
    pub(crate) connection: usize,
    /// `METHOD path?query`.
    pub(crate) line: String,
    /// Header lines in lower case.
    pub(crate) headers: Vec<String>,
    /// Body.
    pub(crate) body: String,
}

/// A running fake. Each script is played on one accepted connection, in order; then the connection is closed.
pub(crate) struct Fake {
    directory: TempDir,
    server: JoinHandle<Vec<Recorded>>,
}

impl Fake {
    pub(crate) fn start(connections: Vec<Vec<Step>>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(socket_in(directory.path())).unwrap();
        let server = tokio::spawn(async move {
            let mut recorded = Vec::new();
            for (number, steps) in connections.into_iter().enumerate() {
                let (stream, _) = listener.accept().await.unwrap();
                play(number, stream, steps, &mut recorded).await;
            }
            recorded
        });
        Self { directory, server }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        socket_in(self.directory.path())
    }

    /// Waits until every script was played to its end.
    pub(crate) async fn finish(self) -> Vec<Recorded> {
        self.server.await.unwrap()
    }
}

fn socket_in(directory: &Path) -> PathBuf {
    directory.join("podman.sock")
}

async fn play(number: usize, mut stream: UnixStream, steps: Vec<Step>, recorded: &mut Vec<Recorded>) {
    for step in steps {
        match step {
            Step::Request => recorded.push(read_request(number, &mut stream).await),
            Step::Send(bytes) => stream.write_all(&bytes).await.unwrap(),
            Step::Receive(expected) => {
                let mut got = vec![0; expected.len()];
                stream.read_exact(&mut got).await.unwrap();
                assert_eq!(got, expected);
            }
            Step::ReceiveEof => assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 0, "expected the end of input"),
        }
    }
}

async fn read_request(connection: usize, stream: &mut UnixStream) -> Recorded {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a request head"));
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let line = lines.next().unwrap().strip_suffix(" HTTP/1.1").unwrap().to_owned();
    let headers: Vec<String> = lines
        .map(|header| {
            let (name, value) = header.split_once(": ").unwrap();
            format!("{}: {value}", name.to_lowercase())
        })
        .collect();
    let length = headers
        .iter()
        .find_map(|header| header.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    Recorded {
        connection,
        line,
        headers,
        body: String::from_utf8(body).unwrap(),
    }
}

/// A whole answer with a known length.
pub(crate) fn answer(status: &str, body: &str) -> Step {
    Step::Send(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

/// Head of a streamed answer.
pub(crate) fn chunked_head() -> Step {
    Step::Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec())
}

/// One chunk of a streamed answer; an empty one ends it.
pub(crate) fn chunk(data: &[u8]) -> Step {
    let mut bytes = format!("{:x}\r\n", data.len()).into_bytes();
    bytes.extend_from_slice(data);
    bytes.extend_from_slice(b"\r\n");
    Step::Send(bytes)
}

/// Head of a hijacked answer, as podman writes it.
pub(crate) fn hijacked() -> Vec<u8> {
    b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        .to_vec()
}

/// One output frame.
pub(crate) fn frame(stream: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![stream, 0, 0, 0];
    bytes.extend_from_slice(&u32::try_from(data.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(data);
    bytes
}
