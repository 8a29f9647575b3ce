//! One file per command; each `run` takes parsed arguments and gives an exit code.

mod check;
mod ci;
mod config;
mod disk;
mod doctor;
mod documents;
mod down;
mod engine;
mod exec;
mod health;
mod health_check;
mod host;
mod import;
mod job_init;
mod list;
mod local;
mod logs;
mod refused;
mod register;
mod render;
mod reset_token;
mod roster;
mod run;
mod run_single;
mod serve;
mod service;
mod status;
mod steps;
mod survey;
mod top;
mod unregister;
mod up;
mod upgrade;
mod verify;
mod version;

use crate::cli::{Command, LogArgs, RunnerArgs, RunnerCommand};
use crate::error::CliError;
use crate::observability::{self, LogOptions};

type Outcome = Result<u8, CliError>;

/// Carries out a command.
pub(crate) fn run(command: Command) -> Outcome {
    match command {
        Command::JobInit(args) => job_init::run(&args),
        Command::JobTerminal => Err(pipglr_runner::container_side::init::become_shell().into()),
        Command::Helper(args) => {
            job_init::relay(args.relay)?;
            single_threaded()?.block_on(async { Ok(exit_code(pipglr_runner::container_side::helper::run().await)) })
        }
        Command::ProbePorts(args) => single_threaded()?.block_on(async {
            let limit = std::time::Duration::from_secs(args.timeout);
            Ok(exit_code(
                pipglr_runner::container_side::probe::run(&args.targets, limit).await,
            ))
        }),
        Command::Health(args) => single_threaded()?.block_on(health::run(&args)),
        Command::Doctor(args) => doctor::run(&args),
        Command::Up(args) => up::run(*args),
        Command::Upgrade(args) => upgrade::run(args),
        Command::Down(args) => down::run(&args),
        Command::Restart(args) => down::restart(&args),
        Command::Status(args) => status::run(&args),
        Command::Logs(args) => logs::run(&args),
        Command::Top(args) => top::run(&args),
        Command::Disk(args) => disk::disk(&args),
        Command::Prune(args) => disk::prune(&args),
        Command::Exec(args) => exec::run(&args),
        Command::Survey(args) => survey::run(&args),
        Command::Config { command } => config::run(command),
        Command::Import(args) => import::run(&args),
        Command::Service { command } => service::run(&command),
        Command::Render { command } => render::run(command),
        Command::Serve(args) => {
            observability::init(&LogOptions::default());
            multi_threaded()?.block_on(serve::run(args))
        }
        Command::Ci { command } => ci::run(command),
        Command::Completion { shell } => documents::completion(shell),
        Command::Man { directory } => documents::man(&directory),
        Command::Local(args) => local::run(*args),
        Command::Runner(RunnerArgs { log, command }) => runner(&log, command),
        Command::RunnerVersion => version::run(),
    }
}

fn runner(log: &LogArgs, command: RunnerCommand) -> Outcome {
    let level = if log.debug {
        Some("debug".to_owned())
    } else {
        log.log_level.clone()
    };
    let mut options = LogOptions {
        level,
        format: log.log_format.clone(),
    };
    let command = match command {
        RunnerCommand::Run(args) => return run::run(&args, &mut options),
        RunnerCommand::RunSingle(args) => return run_single::run(&args, &options),
        RunnerCommand::Refused(refused) => return refused::run(refused),
        command => command,
    };
    observability::init(&options);
    single_threaded()?.block_on(async {
        match command {
            RunnerCommand::Register(args) => register::run(*args).await,
            RunnerCommand::Verify(args) => verify::run(&args).await,
            RunnerCommand::List(args) => list::run(&args),
            RunnerCommand::Lint(args) => check::lint(&args.config),
            RunnerCommand::Unregister(args) => unregister::run(&args).await,
            RunnerCommand::ResetToken(args) => reset_token::run(&args).await,
            RunnerCommand::HealthCheck => health_check::run().await,
            RunnerCommand::Run(_) | RunnerCommand::RunSingle(_) | RunnerCommand::Refused(_) => Ok(0),
        }
    })
}

fn single_threaded() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn multi_threaded() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
}

/// A process's exit code; what does not fit is reported as failure.
fn exit_code(code: i32) -> u8 {
    u8::try_from(code).unwrap_or(1)
}
