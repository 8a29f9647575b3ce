//! Smart HTTP through `git http-backend`, a CGI program: both bodies are streamed, nothing is kept in memory.

use super::command::command;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use futures_util::{Stream, StreamExt as _, stream};
use std::io;
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio_util::task::AbortOnDropHandle;

/// Bytes of the program's complaints that are kept for our log.
const STDERR_LIMIT: u64 = 8 << 10;
/// Bytes of its CGI header.
const HEADER_LIMIT: u64 = 64 << 10;
const CHUNK: usize = 64 << 10;

/// The part of git's protocol a job may use: reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// `GET info/refs?service=git-upload-pack`.
    Advertise,
    /// `POST git-upload-pack`.
    UploadPack,
}

impl Service {
    fn method(self) -> &'static str {
        match self {
            Self::Advertise => "GET",
            Self::UploadPack => "POST",
        }
    }

    fn path_info(self) -> &'static str {
        match self {
            Self::Advertise => "/info/refs",
            Self::UploadPack => "/git-upload-pack",
        }
    }

    fn query(self) -> &'static str {
        match self {
            Self::Advertise => "service=git-upload-pack",
            Self::UploadPack => "",
        }
    }
}

/// Runs the program for one request on the repository at `repository`.
pub(crate) async fn respond(
    repository: &Path,
    service: Service,
    headers: &HeaderMap,
    body: Body,
) -> io::Result<Response<Body>> {
    let mut child = spawn(repository, service, headers)?;
    let stdin = child.stdin.take().ok_or_else(|| io::Error::other("no stdin"))?;
    let stdout = child.stdout.take().ok_or_else(|| io::Error::other("no stdout"))?;
    let stderr = child.stderr.take().ok_or_else(|| io::Error::other("no stderr"))?;
    let input = AbortOnDropHandle::new(tokio::spawn(pump(body.into_data_stream(), stdin)));
    let complaints = AbortOnDropHandle::new(tokio::spawn(drain(stderr)));
    let mut stdout = BufReader::with_capacity(CHUNK, stdout);
    let (status, cgi_headers) = read_header(&mut stdout).await?;
    let running = Running {
        child,
        stdout,
        input,
        complaints,
    };
    let mut response = Response::new(Body::from_stream(output(running)));
    *response.status_mut() = status;
    *response.headers_mut() = cgi_headers;
    Ok(response)
}

fn spawn(repository: &Path, service: Service, headers: &HeaderMap) -> io::Result<Child> {
    let mut command = command(repository);
    command
        .arg("http-backend")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_PROJECT_ROOT", repository)
        .env("PATH_INFO", service.path_info())
        .env("REQUEST_METHOD", service.method())
        .env("QUERY_STRING", service.query())
        .env("REMOTE_USER", "gitlab-ci-token")
        .stdin(Stdio::piped());
    for (header, variable) in [
        (header::CONTENT_TYPE.as_str(), "CONTENT_TYPE"),
        (header::CONTENT_LENGTH.as_str(), "CONTENT_LENGTH"),
        (header::CONTENT_ENCODING.as_str(), "HTTP_CONTENT_ENCODING"),
        ("git-protocol", "GIT_PROTOCOL"),
    ] {
        command.env_remove(variable);
        if let Some(value) = headers.get(header).and_then(|v| v.to_str().ok()) {
            command.env(variable, value);
        }
    }
    command.spawn()
}

/// What has to live as long as the answer is being read; dropping it ends the program.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    input: AbortOnDropHandle<io::Result<()>>,
    complaints: AbortOnDropHandle<String>,
}

fn output(running: Running) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold(Some(running), |running| async move {
        let mut running = running?;
        let mut chunk = Vec::with_capacity(CHUNK);
        match running.stdout.read_buf(&mut chunk).await {
            Ok(0) => finish(running).await.err().map(|e| (Err(e), None)),
            Ok(_) => Some((Ok(Bytes::from(chunk)), Some(running))),
            Err(e) => Some((Err(e), None)),
        }
    })
}

/// The answer is complete: a failure of the program must break the connection, or a cut pack would look whole.
async fn finish(mut running: Running) -> io::Result<()> {
    let status = running.child.wait().await?;
    // The program may stop reading early; its own status decides.
    if running.input.is_finished()
        && let Ok(Err(error)) = running.input.await
    {
        tracing::debug!(%error, "git http-backend did not take the whole request");
    }
    if status.success() {
        return Ok(());
    }
    let complaints = running.complaints.await.unwrap_or_default();
    tracing::warn!(%status, complaints = complaints.trim(), "git http-backend failed");
    Err(io::Error::other("git http-backend failed"))
}

async fn pump(mut body: BodyDataStream, mut stdin: ChildStdin) -> io::Result<()> {
    while let Some(chunk) = body.next().await {
        stdin.write_all(&chunk.map_err(io::Error::other)?).await?;
    }
    stdin.shutdown().await
}

async fn drain(mut stderr: ChildStderr) -> String {
    let mut kept = Vec::new();
    let mut sink = tokio::io::sink();
    let read = (&mut stderr).take(STDERR_LIMIT).read_to_end(&mut kept).await;
    let rest = tokio::io::copy(&mut stderr, &mut sink).await;
    if let Some(error) = read.err().or(rest.err()) {
        tracing::debug!(%error, "the messages of git http-backend could not be read");
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// Reads the CGI header: lines up to an empty one, with an optional `Status`.
async fn read_header(stdout: &mut BufReader<ChildStdout>) -> io::Result<(StatusCode, HeaderMap)> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, "git http-backend sent no valid header");
    let mut status = StatusCode::OK;
    let mut headers = HeaderMap::new();
    let mut limited = stdout.take(HEADER_LIMIT);
    loop {
        let mut line = String::new();
        if limited.read_line(&mut line).await? == 0 {
            return Err(invalid());
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Ok((status, headers));
        }
        let (name, value) = line.split_once(':').ok_or_else(invalid)?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().unwrap_or_default();
            status = code.parse().map_err(|_| invalid())?;
        } else {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
            headers.append(name, HeaderValue::from_str(value).map_err(|_| invalid())?);
        }
    }
}
