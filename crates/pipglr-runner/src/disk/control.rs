//! How `pipglr prune` and `pipglr disk` ask the manager: a line of JSON each way, on a socket for its owner and root.

use super::plan::{Removal, Scope};
use super::report::Report;
use super::{Collected, Disk};
use crate::containers::Engine;
use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

/// Longest question, in bytes.
const LONGEST: u64 = 64 * 1024;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    Report,
    WouldRemove(Scope),
    Collect(Scope),
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Report(Report),
    WouldRemove(Vec<Removal>),
    Collected(Collected),
    Failed(String),
}

/// Answers questions at a socket for as long as the process lives.
///
/// # Errors
/// The socket cannot be made.
pub fn serve(path: &Path, disk: Disk, engine: Engine) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (disk, engine) = (disk.clone(), engine.clone());
                    tokio::spawn(async move {
                        if let Err(error) = answer(stream, &disk, &engine).await {
                            tracing::debug!(error = %format!("{error:#}"), "control socket");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "control socket");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    });
    Ok(())
}

async fn answer(stream: UnixStream, disk: &Disk, engine: &Engine) -> anyhow::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    BufReader::new(reader.take(LONGEST)).read_line(&mut line).await?;
    let outcome = match serde_json::from_str(&line)? {
        Question::Report => disk.report(engine).await.map(Answer::Report),
        Question::WouldRemove(scope) => disk.would_remove(engine, scope).await.map(Answer::WouldRemove),
        Question::Collect(scope) => disk.collect(engine, scope).await.map(Answer::Collected),
    };
    let answer = outcome.unwrap_or_else(|error| Answer::Failed(format!("{error:#}")));
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    writer.write_all(&text).await?;
    Ok(())
}

/// Asks the manager that answers at a socket.
///
/// # Errors
/// Nobody answers, or the manager could not do it.
pub async fn ask(socket: &Path, question: &Question) -> anyhow::Result<Answer> {
    let mut stream = UnixStream::connect(socket)
        .await
        .with_context(|| format!("the runner does not answer on {}", socket.display()))?;
    let mut line = serde_json::to_vec(question)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await?;
    match serde_json::from_slice(&text).context("the runner gave no answer that can be read")? {
        Answer::Failed(reason) => bail!(reason),
        answer => Ok(answer),
    }
}
