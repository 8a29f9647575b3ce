//! `pipglr health`: asks the running manager, which asks podman. In an image with GitLab's own runner, which answers
//! nobody, systemd is asked about the runner and podman directly.

use super::Outcome;
use crate::cli::HealthArgs;
use crate::error::CliError;
use crate::output;
use pipglr_runner::containers::{Engine, EngineSettings};
use pipglr_runner::disk::Disk;
use pipglr_runner::manager::Contacts;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::{UnixListener, UnixStream};

/// Says in the image which flavour of runner it has.
pub(super) const IMAGE_ENV: &str = "/usr/lib/pipglr/image.env";
/// Longest time an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Pause between two questions of `--wait`.
const PAUSE: Duration = Duration::from_millis(200);

pub(super) async fn run(args: &HealthArgs) -> Outcome {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(args.wait);
    loop {
        let outcome = ask_once(args).await;
        if outcome.is_ok() || tokio::time::Instant::now() >= deadline {
            return outcome;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn ask_once(args: &HealthArgs) -> Outcome {
    let image = std::fs::read_to_string(IMAGE_ENV).unwrap_or_default();
    if image.lines().any(|line| line == "PIPGLR_RUNNER_FLAVOUR=gitlab-runner") {
        return ask_systemd().await;
    }
    let ask = async {
        let mut answer = String::new();
        UnixStream::connect(&args.socket)
            .await?
            .read_to_string(&mut answer)
            .await?;
        Ok::<String, std::io::Error>(answer)
    };
    let answer = match tokio::time::timeout(PATIENCE, ask).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            let source = anyhow::anyhow!("the runner does not answer on {}: {error}", args.socket.display());
            return Err(CliError::with_hint(
                source,
                "look at the container's log: is runner.service running?",
            ));
        }
        Err(_) => return Err(anyhow::anyhow!("the runner did not answer within {} s", PATIENCE.as_secs()).into()),
    };
    let (first, notes) = answer.split_once('\n').unwrap_or((&answer, ""));
    match first.trim() {
        "ok" => {
            output::line("runner and engine answer")?;
            if !notes.is_empty() {
                output::line(notes)?;
            }
            Ok(0)
        }
        problem => Err(anyhow::anyhow!("the runner answers, the engine does not: {problem}").into()),
    }
}

async fn ask_systemd() -> Outcome {
    let status = tokio::process::Command::new("systemctl")
        .args(["is-active", "--quiet", "runner.service"])
        .status()
        .await?;
    if !status.success() {
        return Err(anyhow::anyhow!("runner.service does not run").into());
    }
    let engine = Engine::new(EngineSettings::default());
    engine
        .ping()
        .await
        .map_err(|error| anyhow::anyhow!("the runner runs, the engine does not answer: {error}"))?;
    output::line("runner and engine answer")?;
    Ok(0)
}

/// Answers each connection with `ok` or with what is wrong with the engine. Each further line is a note about what is
/// not as it should be and no illness.
///
/// # Errors
/// The socket cannot be made.
pub(super) fn serve(
    path: &std::path::Path,
    engine: Engine,
    disk: Option<Disk>,
    contacts: Contacts,
) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((mut stream, _)) => {
                    let answer = match engine.ping().await {
                        Ok(()) => notes(disk.as_ref(), &contacts).join("\n"),
                        Err(error) => error.to_string(),
                    };
                    if let Err(error) = tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes()).await {
                        tracing::debug!(%error, "health answer was not taken");
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "health socket");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    });
    Ok(())
}

/// A runner without room for jobs, or without GitLab, is not ill: it goes on by itself.
fn notes(disk: Option<&Disk>, contacts: &Contacts) -> Vec<String> {
    let mut lines = vec!["ok".to_owned()];
    let room = disk.map(Disk::room).filter(|room| !room.is_enough());
    lines.extend(room.map(|room| format!("no jobs are asked for: {room}")));
    lines.extend(contacts.troubles());
    lines
}
