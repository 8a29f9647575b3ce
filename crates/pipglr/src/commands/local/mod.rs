//! `pipglr local`: the pipeline of a working tree, here. The coordinator and the engine run in this process and meet as
//! they do everywhere, over HTTP; podman is the account's own.

mod board;
mod clean;
mod follow;
mod helper_root;
mod logs;
mod machine;
mod nested;
pub(super) mod places;
mod podman;
mod shell;
mod show;
mod stop;
mod table;
mod watch;
pub(super) mod wish;

use super::{Outcome, multi_threaded};
use crate::cli::{CalledAs, LocalArgs};
use crate::error::{CliError, Kind};
use crate::observability::{self, LogOptions};
use crate::output;
use crate::report;
use anyhow::{Context as _, anyhow};
use board::Board;
use follow::{Followed, Follower};
use logs::Logs;
use machine::{Machine, relay_socket};
use pipglr_coordinator::{Coordinator, Error, JobState, PipelineId, PipelineRecord};
use pipglr_runner::container_side::relay;
use pipglr_runner::manager::ShutdownLevel;
use places::Places;
use podman::Podman;
use show::{Show, Style};
use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::time::Instant;
use stop::{Stops, Urgency};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

/// Exit codes; the command's help says what they mean.
const PIPELINE_FAILED: u8 = 3;
pub(super) const CONFIGURATION: u8 = 4;
pub(super) const NOTHING_TO_RUN: u8 = 5;
const BLOCKED: u8 = 6;
const CANCELED: u8 = 130;

pub(super) fn run(args: LocalArgs) -> Outcome {
    // What the engine and the coordinator log is in the jobs' logs, as far as it concerns their authors.
    observability::init(&LogOptions {
        level: Some("error".to_owned()),
        ..LogOptions::default()
    });
    if args.clean {
        return multi_threaded()?.block_on(clean::run()).map(|()| 0);
    }
    if args.shell_on_failure && !std::io::stdin().is_terminal() {
        return Err(CliError::usage("--shell-on-failure needs a terminal"));
    }
    let places = Places::take(places::top_level()?)?;
    multi_threaded()?.block_on(async {
        let mut stops = Stops::watch()?;
        if let Some(image) = &args.nested {
            return Box::pin(nested::run(&args, image, &places, &mut stops)).await;
        }
        if args.watch {
            Box::pin(again_and_again(&args, &places, &mut stops)).await
        } else {
            Box::pin(once(&args, &places, &mut stops)).await
        }
    })
}

/// Runs the pipeline whenever a file has changed, until somebody stops it.
async fn again_and_again(args: &LocalArgs, places: &Places, stops: &mut Stops) -> Outcome {
    loop {
        let before = watch::fingerprint(&places.repo).await?;
        let code = match Box::pin(once(args, places, stops)).await {
            Ok(code) => code,
            Err(error) if error.kind == Kind::NobodyReads => return Err(error),
            // What is wrong may be set right by the next change.
            Err(error) => crate::error::tell(&error, CalledAs::Pipglr),
        };
        if stops.any() {
            return Ok(code);
        }
        output::aside("\nwaiting for a file to change; Ctrl-C ends this");
        tokio::select! {
            changed = watch::changed(&places.repo, before) => changed?,
            _ = stops.next() => return Ok(code),
        }
        places.renew_runtime()?;
    }
}

/// Runs the pipeline.
async fn once(args: &LocalArgs, places: &Places, stops: &mut Stops) -> Outcome {
    let began = Instant::now();
    let (podman, started) = tokio::join!(Podman::provide(&places.runtime), Pipeline::start(args, places));
    let podman = match podman {
        Ok(podman) => podman,
        // Mistakes in the configuration are worth more than trouble with podman.
        Err(error) => return Err(started.err().unwrap_or(error)),
    };
    let outcome = match started {
        Ok(pipeline) => Box::pin(pipeline.run(args, places, &podman, stops, began)).await,
        Err(error) => Err(error),
    };
    podman.end().await?;
    outcome
}

/// A pipeline nobody works on yet.
struct Pipeline {
    coordinator: Coordinator,
    listener: TcpListener,
    port: u16,
    id: PipelineId,
}

impl Pipeline {
    async fn start(args: &LocalArgs, places: &Places) -> Result<Self, CliError> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("listen on the loopback")?;
        let port = listener.local_addr().context("find the address listened on")?.port();
        let url = format!("http://127.0.0.1:{port}");
        let (serving, wanted) = (wish::serving(&args.context, places, &url)?, wish::pipeline(args)?);
        let coordinator = Coordinator::open(serving).await.map_err(explain)?;
        let id = coordinator.create(&wanted).await.map_err(explain)?;
        Ok(Self {
            coordinator,
            listener,
            port,
            id,
        })
    }

    /// Runs it to its end, and everything that takes.
    async fn run(
        self,
        args: &LocalArgs,
        places: &Places,
        podman: &Podman,
        stops: &mut Stops,
        began: Instant,
    ) -> Outcome {
        let tokens = self.coordinator.runner_tokens();
        let token = tokens.first().context("the coordinator has a runner")?;
        let (machine, failed) = Machine::new(args, places, podman, self.port, token)?;
        let socket = relay_socket(places);
        let relay = UnixListener::bind(&socket).with_context(|| format!("listen on {}", socket.display()))?;
        let relay = tokio::spawn(relay::serve_outside(relay, self.port));
        let alive = tokio::spawn(Podman::keep_alive(machine.engine.clone()));
        let stop = CancellationToken::new();
        let serving = {
            let (coordinator, stop) = (self.coordinator.clone(), stop.clone());
            tokio::spawn(async move { coordinator.serve(self.listener, stop.cancelled_owned()).await })
        };
        let mut follower = Follower {
            coordinator: &self.coordinator,
            args,
            id: self.id,
            children: Vec::new(),
            repo: &places.repo,
            unpacked: BTreeSet::new(),
            shutdown: machine.shutdown.clone(),
            show: Show::of(args),
            board: Board::default(),
            logs: Logs::new(args.log_dir.as_deref(), places.slot.join("logs"))?,
            began,
            failed,
        };
        let outcome = work(&machine, &mut follower, stops).await;
        relay.abort();
        alive.abort();
        stop.cancel();
        serving.await.context("the coordinator's task")??;
        match outcome? {
            Followed::Ended(record) => conclude(&record, &follower, args, stops),
            Followed::GivenUp => Ok(CANCELED),
        }
    }
}

/// The engine works for the pipeline until that has ended, and cleans up.
async fn work(machine: &Machine, follower: &mut Follower<'_>, stops: &mut Stops) -> Result<Followed, CliError> {
    let events = follower.coordinator.subscribe();
    let running = machine.run();
    tokio::pin!(running);
    let followed = tokio::select! {
        followed = follower.run(events, stops) => followed,
        ended = &mut running => {
            ended?;
            // Only a second Ctrl-C ends it before the pipeline.
            return Ok(Followed::GivenUp);
        }
    };
    let level = match followed {
        Ok(Followed::Ended(_)) => ShutdownLevel::Graceful,
        Ok(Followed::GivenUp) | Err(_) => ShutdownLevel::Immediate,
    };
    machine.shutdown.request(level);
    loop {
        tokio::select! {
            ended = &mut running => {
                ended?;
                return followed;
            }
            urgency = stops.next() => machine.shutdown.request(match urgency {
                Urgency::Cancel | Urgency::AtOnce => ShutdownLevel::Forceful,
                Urgency::GiveUp => ShutdownLevel::Immediate,
            }),
        }
    }
}

/// The last words, and the exit code.
fn conclude(record: &PipelineRecord, follower: &Follower<'_>, args: &LocalArgs, stops: &Stops) -> Outcome {
    let code = exit_code(record, stops.any());
    if let Some(path) = &args.report {
        report::write(follower.coordinator, record.id, path)?;
    }
    if args.json {
        show::ends(
            record.state,
            code,
            &follower.logs,
            &follower.board,
            follower.began.elapsed(),
        )?;
        return Ok(code);
    }
    let with_tails = matches!(follower.show, Show::Tree(_));
    table::print(
        record,
        &follower.board,
        &follower.logs,
        Style::of_stdout(),
        args.timings,
        with_tails,
    )?;
    Ok(code)
}

fn exit_code(record: &PipelineRecord, stopped: bool) -> u8 {
    match record.state {
        JobState::Canceled => CANCELED,
        _ if stopped => CANCELED,
        JobState::Failed => PIPELINE_FAILED,
        _ if record.blocked => BLOCKED,
        _ => 0,
    }
}

/// What the coordinator has to say, with what to do about it.
pub(super) fn explain(error: Error) -> CliError {
    let coded = |code: u8, source: anyhow::Error, hint: Option<&str>| CliError {
        kind: Kind::Code(code),
        source,
        hints: hint.map(str::to_owned).into_iter().collect(),
    };
    match error {
        Error::InvalidConfig { path, rendered } => coded(
            CONFIGURATION,
            anyhow!("{path} has mistakes\n{}", rendered.trim_end()),
            None,
        ),
        Error::ConfigMissing { .. } => coded(
            CONFIGURATION,
            error.into(),
            Some("write a .gitlab-ci.yml at the top of the repository, or name another file by --file"),
        ),
        Error::UnknownReference { .. } => coded(CONFIGURATION, error.into(), None),
        Error::Variables { .. } => coded(CONFIGURATION, error.into(), None),
        Error::InvalidOption { .. } | Error::NotSelected { .. } => CliError::usage(error),
        Error::UnknownRevision { .. } => CliError::with_hint(
            error,
            "a pipeline is of a commit: make the first one (git commit); changes that are not committed run with it",
        ),
        Error::NoPipeline(_) => coded(
            NOTHING_TO_RUN,
            error.into(),
            Some(
                "pipglr ci explain JOB tells which rule decided; pipglr local --help how to choose another kind of pipeline",
            ),
        ),
        Error::EmptyPipeline => coded(
            NOTHING_TO_RUN,
            error.into(),
            Some(
                "rules or the selection leave no job: pipglr local --help tells how to choose another kind of pipeline",
            ),
        ),
        other => other.into(),
    }
}
