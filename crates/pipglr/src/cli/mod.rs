//! The command line, as data. `pipglr runner …` is also reachable as `gitlab-runner …`.

mod ci;
mod completion;
mod config;
mod context;
mod disk;
mod documents;
mod duration;
mod host;
mod local;
mod refused;
mod runner;
mod service;
mod tables;

pub(crate) use ci::{CiCommand, GraphArgs, GraphFormat, JobArgs, LintArgs, ListArgs};
pub(crate) use completion::completion;
pub(crate) use config::{
    ApplyArgs, CheckArgs, ConfigCommand, DiffArgs, EditArgs, GetArgs, ImportArgs, SetArgs, ShowArgs, WhereArgs,
};
pub(crate) use context::ContextArgs;
pub(crate) use disk::{ControlArgs, DiskArgs, PruneArgs};
pub(crate) use documents::manual_pages;
pub(crate) use host::{
    AccountArgs, DoctorArgs, DownArgs, ExecArgs, LogsArgs, RestartArgs, StatusArgs, TopArgs, UpArgs, UpgradeArgs,
};
pub(crate) use local::LocalArgs;
pub(crate) use refused::Refused;
pub(crate) use runner::{
    ConfigArgs, EngineArgs, LogArgs, RegisterArgs, ResetTokenArgs, RunArgs, RunSingleArgs, RunnerArgs, RunnerCommand,
    UnregisterArgs, VerifyArgs,
};
pub(crate) use service::{
    RenderCommand, RenderKubeArgs, RenderQuadletArgs, RenderSeccompArgs, SandboxArgs, ServiceArgs, ServiceCommand,
};

use clap::{Args, FromArgMatches as _, Parser, Subcommand};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use tables::{command, fill_options, find_refused};

/// The name the program was called by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CalledAs {
    Pipglr,
    GitlabRunner,
}

impl CalledAs {
    pub(crate) fn of(arguments: &[OsString]) -> Self {
        let name = arguments.first().map(Path::new).and_then(Path::file_name);
        if name == Some(OsStr::new("gitlab-runner")) {
            Self::GitlabRunner
        } else {
            Self::Pipglr
        }
    }

    /// Exit code for a command line that is wrong.
    ///
    /// Compat: gitlab-runner main.go.
    pub(crate) fn usage_code(self) -> u8 {
        match self {
            Self::Pipglr => 2,
            Self::GitlabRunner => 1,
        }
    }
}

/// GitLab CI jobs in rootless podman inside rootless podman.
#[derive(Debug, Parser)]
#[command(name = "pipglr", version = VERSION_TEXT, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The instance a runner belongs to where nobody says otherwise.
pub(crate) const DEFAULT_URL: &str = "https://gitlab.com/";

const VERSION_TEXT: &str = env!("CARGO_PKG_VERSION");

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Register and run GitLab runners (also as `gitlab-runner`)
    Runner(RunnerArgs),
    /// Look for what a runner could trip over on this host, and say or do what cures it
    Doctor(DoctorArgs),
    /// Set up a runner on this host, from nothing to healthy; what is as wished stays as it is
    Up(Box<UpArgs>),
    /// Put another image in service: tried out first, then handed over to; back to the old one if it is not healthy
    Upgrade(UpgradeArgs),
    /// Take the runner of this host down; running jobs come to their end first
    Down(DownArgs),
    /// Stop and start the runner of this host; running jobs come to their end first
    Restart(RestartArgs),
    /// Tell how the runner of this host is: container, health, runners, jobs, volumes, last errors
    Status(StatusArgs),
    /// Show what the runner of this host says
    Logs(LogsArgs),
    /// Show what the containers of running jobs use
    Top(TopArgs),
    /// Show how full the disks of the runner are, and with what
    Disk(DiskArgs),
    /// Remove what no job uses from the disks of the runner
    Prune(PruneArgs),
    /// Run a command in the runner's container; `podman --remote` in it is the jobs' engine
    Exec(ExecArgs),
    /// Look at and change a runner's configuration
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Take over a gitlab-runner's configuration, or an earlier pipglr, and say what becomes of it
    Import(ImportArgs),
    /// Let the account's systemd keep the runner, from boot on
    Service {
        #[command(subcommand)]
        command: ServiceCommand,
    },
    /// Print how the runner's container is started: for a shell, systemd, or Kubernetes
    Render {
        #[command(subcommand)]
        command: RenderCommand,
    },
    /// Run the pipeline of a git working tree here, in this account's own podman
    Local(Box<LocalArgs>),
    /// Look at the pipeline a configuration makes, without running it
    Ci {
        #[command(subcommand)]
        command: CiCommand,
    },
    /// Serve a git working tree as a GitLab project to runners
    Serve(ServeArgs),
    /// Tell whether the runner and its engine both answer
    Health(HealthArgs),
    /// Print the completion of commands and options for a shell
    Completion {
        /// The shell it is for
        shell: clap_complete::Shell,
    },
    /// Write the manual pages of all commands to a directory
    Man {
        /// Created if it is not there
        directory: PathBuf,
    },
    /// What `status` asks inside the runner's container
    #[command(hide = true)]
    Survey(ConfigArgs),
    /// Process 1 of a build container
    #[command(hide = true)]
    JobInit(JobInitArgs),
    /// The shell of a web terminal
    #[command(hide = true)]
    JobTerminal,
    /// Process 1 of a helper container
    #[command(hide = true)]
    Helper(HelperArgs),
    /// Wait until services answer
    #[command(hide = true)]
    ProbePorts(ProbePortsArgs),
    /// Asked for as `gitlab-runner --version`
    #[command(skip)]
    RunnerVersion,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Git working tree to serve as a project
    #[arg(long, default_value = ".")]
    pub(crate) repo: PathBuf,
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) listen: String,
    /// URL under which runners reach this server, `{port}` is filled in [default: the address listened on]
    #[arg(long)]
    pub(crate) external_url: Option<String>,
    /// Write URL and tokens to this file, readable by its owner only, instead of showing the tokens
    #[arg(long)]
    pub(crate) credentials_file: Option<PathBuf>,
    /// Directory for job logs, artifacts and the served repository [default: a new temporary one]
    #[arg(long)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Run the pipeline once and exit with its outcome
    #[arg(long)]
    pub(crate) once: bool,
    /// Write the outcome to this file: a page with time-line and logs if it ends with .html, else JSON
    #[arg(long, requires = "once")]
    pub(crate) report: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    /// Socket the runner answers on
    #[arg(long, env = "PIPGLR_HEALTH_SOCKET", default_value = "/run/pipglr-runner/health.sock")]
    pub(crate) socket: PathBuf,
    /// Seconds to wait for good health
    #[arg(long, default_value_t = 0)]
    pub(crate) wait: u64,
}

#[derive(Debug, Args)]
pub(crate) struct JobInitArgs {
    /// Become uid:gid:groups and run the command
    #[arg(long, requires = "command")]
    pub(crate) run_as: Option<String>,
    /// Port at which the coordinator is found on the container's loopback
    #[arg(long)]
    pub(crate) relay: Option<u16>,
    #[arg(last = true)]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct HelperArgs {
    /// Port at which the coordinator is found on the container's loopback
    #[arg(long)]
    pub(crate) relay: Option<u16>,
}

#[derive(Debug, Args)]
pub(crate) struct ProbePortsArgs {
    /// Seconds
    #[arg(long)]
    pub(crate) timeout: u64,
    /// HOST:PORT[,PORT…]
    pub(crate) targets: Vec<String>,
}

/// Parses the command line; under the name `gitlab-runner` it is that of `pipglr runner`.
pub(crate) fn parse(arguments: Vec<OsString>) -> Result<Command, clap::Error> {
    if CalledAs::of(&arguments) == CalledAs::Pipglr {
        let matches = command().try_get_matches_from(arguments)?;
        return match matches.subcommand() {
            Some(("runner", runner)) => runner_command(runner).map(Command::Runner),
            _ => Ok(Cli::from_arg_matches(&matches)?.command),
        };
    }
    let is_option = |a: &&OsString| a.as_encoded_bytes().starts_with(b"-");
    if arguments
        .iter()
        .skip(1)
        .take_while(is_option)
        .any(|a| a == "--version" || a == "-v")
    {
        return Ok(Command::RunnerVersion);
    }
    let whole = command();
    let runner = whole.find_subcommand("runner").cloned().unwrap_or(whole);
    let runner = runner.name("gitlab-runner").bin_name("gitlab-runner");
    runner_command(&runner.try_get_matches_from(arguments)?).map(Command::Runner)
}

fn runner_command(matches: &clap::ArgMatches) -> Result<RunnerArgs, clap::Error> {
    if let Some(refused) = find_refused(matches) {
        return Ok(RunnerArgs {
            log: LogArgs::from_arg_matches(matches)?,
            command: RunnerCommand::Refused(refused),
        });
    }
    let mut args = RunnerArgs::from_arg_matches(matches)?;
    fill_options(&mut args, matches);
    Ok(args)
}

#[cfg(test)]
mod tests;
