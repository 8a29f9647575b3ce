//! `pipglr serve`: a git working tree as a GitLab project that runners can work for.

mod progress;
mod summary;

use super::Outcome;
use crate::cli::ServeArgs;
use crate::error::CliError;
use crate::{output, report};
use anyhow::Context as _;
use pipglr_coordinator::{Coordinator, Error, JobState, PipelineRecord, Revision, ServeOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit code of `--once` when the pipeline failed.
const PIPELINE_FAILED: u8 = 3;

pub(super) async fn run(args: ServeArgs) -> Outcome {
    let listener = TcpListener::bind(&args.listen)
        .await
        .with_context(|| format!("listen on {}", args.listen))?;
    let address = listener.local_addr().context("find the address listened on")?;
    let url = match &args.external_url {
        Some(url) => url.replace("{port}", &address.port().to_string()),
        None => format!("http://{address}"),
    };
    let data_dir = data_directory(&args)?;
    let coordinator = Coordinator::open(ServeOptions::new(&args.repo, &data_dir, &url))
        .await
        .map_err(explain)?;
    announce(&coordinator, &url, &data_dir, &args)?;
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone())?;
    let serving = coordinator.serve(listener, stop.clone().cancelled_owned());
    let following = async {
        let watch = coordinator.subscribe();
        let id = coordinator.create_pipeline(&Revision::Head).await.map_err(explain)?;
        let record = tokio::select! {
            record = progress::follow(&coordinator, id, watch) => record?,
            () = stop.cancelled() => return Ok(0),
        };
        summary::print(&record, args.once)?;
        if args.once {
            if let Some(path) = &args.report {
                report::write(&coordinator, id, path)?;
            }
            stop.cancel();
            return Ok(exit_code(&record));
        }
        stop.cancelled().await;
        Ok(0)
    };
    let (served, code) = tokio::join!(serving, async {
        let code: Outcome = following.await;
        stop.cancel();
        code
    });
    served?;
    code
}

/// The named directory, or a new one that stays: logs and artifacts are what people want to look at afterwards.
fn data_directory(args: &ServeArgs) -> anyhow::Result<PathBuf> {
    if let Some(directory) = &args.data_dir {
        return Ok(directory.clone());
    }
    let directory = std::env::temp_dir().join(format!("pipglr-serve-{}", std::process::id()));
    std::fs::create_dir_all(&directory).with_context(|| format!("create {}", directory.display()))?;
    Ok(directory)
}

fn announce(coordinator: &Coordinator, url: &str, data_dir: &Path, args: &ServeArgs) -> Result<(), CliError> {
    output::line(format_args!(
        "serving {} as project {} at {url}",
        args.repo.display(),
        coordinator.project_path()
    ))?;
    output::line(format_args!("logs and artifacts: {}", data_dir.display()))?;
    let tokens = coordinator.runner_tokens();
    let token = tokens.first().map(pipglr_protocol::Secret::expose).unwrap_or_default();
    let registration = coordinator.registration_token().expose();
    match &args.credentials_file {
        Some(path) => write_credentials(path, url, token, registration)?,
        // These tokens are good for this process only.
        None => output::line(format_args!(
            "runner authentication token: {token}\nregistration token: {registration}"
        ))?,
    }
    Ok(())
}

/// `KEY=value` lines only the owner may read.
fn write_credentials(path: &Path, url: &str, token: &str, registration: &str) -> anyhow::Result<()> {
    let partial = path.with_extension("partial");
    let mut file = std::fs::File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)?;
    writeln!(
        file,
        "CI_SERVER_URL={url}\nCI_SERVER_TOKEN={token}\nREGISTRATION_TOKEN={registration}"
    )?;
    std::fs::rename(&partial, path).with_context(|| format!("write {}", path.display()))
}

fn stop_on_signals(stop: CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listen to SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen to SIGINT")?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    });
    Ok(())
}

fn exit_code(record: &PipelineRecord) -> u8 {
    if matches!(record.state, JobState::Failed | JobState::Canceled) {
        PIPELINE_FAILED
    } else {
        0
    }
}

/// A configuration's mistakes are shown as they are rendered, without a wrapper of our own.
fn explain(error: Error) -> CliError {
    match error {
        Error::InvalidConfig { path, rendered } => {
            anyhow::anyhow!("{path} has mistakes\n{}", rendered.trim_end()).into()
        }
        other => other.into(),
    }
}
