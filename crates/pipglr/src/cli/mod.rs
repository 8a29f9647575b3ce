//! The command line, as data. `pipglr runner …` is also reachable as `gitlab-runner …`.

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// GitLab CI jobs in rootless podman inside rootless podman.
#[derive(Debug, Parser)]
#[command(name = "pipglr", version = VERSION_TEXT, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const VERSION_TEXT: &str = env!("CARGO_PKG_VERSION");

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Register and run GitLab runners (also as `gitlab-runner`)
    Runner {
        #[command(flatten)]
        log: LogArgs,
        #[command(subcommand)]
        command: RunnerCommand,
    },
    /// Look at a runner's configuration
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Serve a git working tree as a GitLab project to runners
    Serve(ServeArgs),
    /// Tell whether the runner and its engine both answer
    Health(HealthArgs),
    /// Process 1 of a build container
    #[command(hide = true)]
    JobInit(JobInitArgs),
    /// Process 1 of a helper container
    #[command(hide = true)]
    Helper,
    /// Wait until services answer
    #[command(hide = true)]
    ProbePorts(ProbePortsArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say what becomes of each key of a config.toml; fail if the file cannot be used
    Check(CheckArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// File to check
    pub(crate) file: PathBuf,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct LogArgs {
    /// Log more
    #[arg(long, env = "RUNNER_DEBUG", global = true)]
    pub(crate) debug: bool,
    /// debug, info, warn, error
    #[arg(long, short = 'l', env = "LOG_LEVEL", global = true)]
    pub(crate) log_level: Option<String>,
    /// runner, text, json
    #[arg(long, env = "LOG_FORMAT", global = true)]
    pub(crate) log_format: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunnerCommand {
    /// Poll for jobs and run them
    Run(RunArgs),
    /// Add a runner to the configuration
    Register(Box<RegisterArgs>),
    /// Check that GitLab knows the configured runners
    Verify(VerifyArgs),
    /// Show the configured runners
    List(ConfigArgs),
    /// Check the configuration, unknown keys included
    Lint(ConfigArgs),
    /// Remove runners from GitLab and the configuration
    Unregister(UnregisterArgs),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigArgs {
    /// Configuration file
    #[arg(long, short = 'c', env = "CONFIG_FILE", default_value_os_t = default_config())]
    pub(crate) config: PathBuf,
    /// Directory for what has to survive a restart: system ID, job logs [default: beside the configuration]
    #[arg(long, env = "PIPGLR_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

impl ConfigArgs {
    pub(crate) fn state_dir(&self) -> PathBuf {
        let beside = || {
            self.config
                .parent()
                .filter(|p| !p.as_os_str().is_empty())
                .unwrap_or(Path::new("."))
                .to_owned()
        };
        self.state_dir.clone().unwrap_or_else(beside)
    }
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// podman's API socket [default: from config.toml, else /run/podman/podman.sock]
    #[arg(long, env = "PIPGLR_PODMAN_SOCKET")]
    pub(crate) podman_socket: Option<PathBuf>,
    /// This program, as podman sees it
    #[arg(long, env = "PIPGLR_PROGRAM", default_value = "/usr/bin/pipglr", hide = true)]
    pub(crate) program: PathBuf,
    /// Skeleton directory for helper containers
    #[arg(
        long,
        env = "PIPGLR_HELPER_ROOT",
        default_value = "/usr/lib/pipglr/helper-root",
        hide = true
    )]
    pub(crate) helper_root: PathBuf,
    /// Let jobs build container images when config.toml says `privileged = true`
    #[arg(long, env = "PIPGLR_NESTED_PRIVILEGED", default_value_t = true, action = clap::ArgAction::Set)]
    pub(crate) nested_privileged: bool,
    /// Address on which metrics are served, port 9252 if it names none [default: `listen_address` of config.toml]
    #[arg(long, env = "LISTEN_ADDRESS")]
    pub(crate) listen_address: Option<String>,
    /// Accepted for compatibility: logs go to stderr
    #[arg(long, env = "LOG_SYSLOG", hide = true)]
    pub(crate) syslog: bool,
    /// Socket on which `pipglr health` is answered
    #[arg(long, env = "PIPGLR_HEALTH_SOCKET")]
    pub(crate) health_socket: Option<PathBuf>,
    /// Change to this directory first
    #[arg(long, short = 'd')]
    pub(crate) working_directory: Option<PathBuf>,
    /// Accepted for compatibility, without effect
    #[arg(long, short = 'u', hide = true)]
    pub(crate) user: Option<String>,
    /// Accepted for compatibility, without effect
    #[arg(long, short = 'n', hide = true)]
    pub(crate) service: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RegisterArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// URL of the GitLab instance
    #[arg(long, short = 'u', env = "CI_SERVER_URL")]
    pub(crate) url: Option<String>,
    /// Runner authentication token (`glrt-…`)
    #[arg(long, short = 't', env = "CI_SERVER_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// Registration token, or an authentication token in its place
    #[arg(long, short = 'r', env = "REGISTRATION_TOKEN", hide_env_values = true)]
    pub(crate) registration_token: Option<String>,
    /// Never ask; fail if something is missing
    #[arg(long, short = 'n', env = "REGISTER_NON_INTERACTIVE")]
    pub(crate) non_interactive: bool,
    /// Accepted for compatibility: nothing is left half registered
    #[arg(long, env = "REGISTER_LEAVE_RUNNER", hide = true)]
    pub(crate) leave_runner: bool,
    /// Name of the runner [default: host name]
    #[arg(long, visible_alias = "description", env = "RUNNER_NAME")]
    pub(crate) name: Option<String>,
    /// Tags, separated by commas (registration tokens only)
    #[arg(long, env = "RUNNER_TAG_LIST")]
    pub(crate) tag_list: Option<String>,
    /// Take jobs without tags (registration tokens only)
    #[arg(long, env = "REGISTER_RUN_UNTAGGED", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) run_untagged: Option<bool>,
    /// Lock the runner to the project (registration tokens only)
    #[arg(long, env = "REGISTER_LOCKED", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) locked: Option<bool>,
    /// not_protected or ref_protected (registration tokens only)
    #[arg(long, env = "REGISTER_ACCESS_LEVEL", value_parser = ["", "not_protected", "ref_protected"])]
    pub(crate) access_level: Option<String>,
    /// Longest time of a job, in seconds (registration tokens only)
    #[arg(long, env = "REGISTER_MAXIMUM_TIMEOUT")]
    pub(crate) maximum_timeout: Option<u64>,
    /// Start paused (registration tokens only)
    #[arg(long, env = "REGISTER_PAUSED", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) paused: Option<bool>,
    /// Note for administrators (registration tokens only)
    #[arg(long, env = "REGISTER_MAINTENANCE_NOTE")]
    pub(crate) maintenance_note: Option<String>,
    /// Options of the table in `pipglr_runner::registration::OPTIONS`; filled by [`parse`].
    #[arg(skip)]
    pub(crate) options: std::collections::BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Only the runner of this name
    #[arg(long, short = 'n')]
    pub(crate) name: Option<String>,
    /// Remove runners GitLab does not know any more
    #[arg(long)]
    pub(crate) delete: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UnregisterArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The runner of this name
    #[arg(long, short = 'n')]
    pub(crate) name: Option<String>,
    /// The runner with this token
    #[arg(long, short = 't', env = "CI_SERVER_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// All of them
    #[arg(long)]
    pub(crate) all_runners: bool,
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
    /// Write the outcome of each job and the path of its log to this file as JSON
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
    #[arg(last = true)]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct ProbePortsArgs {
    /// Seconds
    #[arg(long)]
    pub(crate) timeout: u64,
    /// HOST:PORT[,PORT…]
    pub(crate) targets: Vec<String>,
}

/// The file gitlab-runner users expect.
///
/// Compat: gitlab-runner commands/config_unix.go.
fn default_config() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return "/etc/gitlab-runner/config.toml".into();
    }
    match std::env::var_os("HOME") {
        Some(home) => Path::new(&home).join(".gitlab-runner/config.toml"),
        None => "config.toml".into(),
    }
}

/// Parses the command line; under the name `gitlab-runner` the sub-commands of `pipglr runner` come first.
pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Command, clap::Error> {
    let mut arguments: Vec<OsString> = arguments.collect();
    let called_as = arguments
        .first()
        .map(Path::new)
        .and_then(Path::file_name)
        .map(OsString::from);
    if called_as.as_deref() == Some("gitlab-runner".as_ref()) {
        let asks_version = arguments.get(1).is_some_and(|a| a == "--version" || a == "-v");
        if !asks_version {
            arguments.insert(1, "runner".into());
        } else {
            arguments[1] = "--version".into();
        }
    }
    let matches = command().try_get_matches_from(arguments)?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    if let Command::Runner {
        command: RunnerCommand::Register(register),
        ..
    } = &mut cli.command
    {
        let register_matches = matches
            .subcommand_matches("runner")
            .and_then(|m| m.subcommand_matches("register"));
        register.options = register_matches.map(given_options).unwrap_or_default();
    }
    Ok(cli.command)
}

/// clap's own description plus the options that are a table.
fn command() -> clap::Command {
    use pipglr_runner::registration::{Kind, OPTIONS};
    let add = |mut register: clap::Command| {
        for option in &OPTIONS {
            let mut arg = clap::Arg::new(option.flag)
                .long(option.flag)
                .help(option.help)
                .help_heading("Kept in config.toml");
            if !option.env.is_empty() {
                arg = arg.env(option.env).hide_env_values(true);
            }
            arg = match option.kind {
                Kind::Switch => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
                Kind::List | Kind::CommaList | Kind::Map | Kind::SwitchMap => arg.action(clap::ArgAction::Append),
                Kind::Text | Kind::Integer => arg,
            };
            register = register.arg(arg);
        }
        register
    };
    Cli::command().mut_subcommand("runner", |runner| runner.mut_subcommand("register", add))
}

/// Options of the table that were given, by flag or environment; empty environment variables count as absent.
fn given_options(matches: &clap::ArgMatches) -> std::collections::BTreeMap<String, Vec<String>> {
    let values = |flag: &str| -> Vec<String> {
        matches
            .get_many::<String>(flag)
            .into_iter()
            .flatten()
            .filter(|v| !v.is_empty())
            .cloned()
            .collect()
    };
    pipglr_runner::registration::OPTIONS
        .iter()
        .map(|option| (option.flag.to_owned(), values(option.flag)))
        .filter(|(_, given)| !given.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Command, RunnerCommand, command, parse};

    fn parsed(line: &str) -> Command {
        parse(line.split(' ').map(Into::into)).unwrap()
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn gitlab_runner_is_the_runner_subcommand() {
        for line in [
            "pipglr runner run --config /x",
            "/usr/bin/gitlab-runner run --config /x",
        ] {
            let Command::Runner {
                command: RunnerCommand::Run(run),
                ..
            } = parsed(line)
            else {
                panic!("{line}")
            };
            assert_eq!(run.config.config.display().to_string(), "/x");
        }
    }

    #[test]
    fn register_options_come_from_the_table() {
        let line = "gitlab-runner register -n --url http://x --docker-image a --docker-volumes /a --docker-volumes /b --docker-privileged --feature-flags FF_X:true";
        let Command::Runner {
            command: RunnerCommand::Register(register),
            ..
        } = parsed(line)
        else {
            panic!()
        };
        assert_eq!(register.options["docker-volumes"], ["/a", "/b"]);
        assert_eq!(register.options["docker-privileged"], ["true"]);
        assert_eq!(register.options["feature-flags"], ["FF_X:true"]);
        assert!(!register.options.contains_key("docker-user"));
    }
}
