//! `pipglr runner …`, which is also `gitlab-runner …`.
//!
//! Compat: gitlab-runner commands/*.go (flags and environment names).

use super::refused::Refused;
use clap::{Args, Subcommand};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct RunnerArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(subcommand)]
    pub(crate) command: RunnerCommand,
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
    /// Accepted for compatibility, without effect: there is no profiler of Go's
    #[arg(long, env = "CPU_PROFILE", global = true, hide = true)]
    pub(crate) cpuprofile: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunnerCommand {
    /// Poll for jobs and run them
    Run(Box<RunArgs>),
    /// Run jobs of one runner, given by options, for as long as wanted
    RunSingle(Box<RunSingleArgs>),
    /// Add a runner to the configuration
    Register(Box<RegisterArgs>),
    /// Check that GitLab knows the configured runners
    Verify(VerifyArgs),
    /// Show the configured runners
    List(ConfigArgs),
    /// Check the configuration, unknown keys included
    Lint(ConfigArgs),
    /// Exchange authentication tokens for new ones
    ResetToken(ResetTokenArgs),
    /// Remove runners from GitLab and the configuration
    Unregister(UnregisterArgs),
    /// Wait until a TCP port answers
    #[command(hide = true)]
    HealthCheck,
    /// Nothing here; see [`Refused`].
    #[command(skip)]
    Refused(&'static Refused),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigArgs {
    /// Configuration file
    #[arg(long, short = 'c', env = "CONFIG_FILE", default_value_os_t = default_config())]
    pub(crate) config: PathBuf,
    /// Directory for what has to survive a restart: system ID, new tokens, job logs [default: beside the configuration]
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

/// How jobs are run.
#[derive(Debug, Args)]
pub(crate) struct EngineArgs {
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
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// Address on which metrics are served, port 9252 if it names none [default: `listen_address` of config.toml]
    #[arg(long, env = "LISTEN_ADDRESS")]
    pub(crate) listen_address: Option<String>,
    /// Accepted for compatibility: logs go to stderr
    #[arg(long, env = "LOG_SYSLOG", hide = true)]
    pub(crate) syslog: bool,
    /// Socket on which `pipglr health` is answered
    #[arg(long, env = "PIPGLR_HEALTH_SOCKET")]
    pub(crate) health_socket: Option<PathBuf>,
    /// Look after the disks: where the engine's storage is mounted, on which this program may remove what no job uses
    #[arg(long, env = "PIPGLR_STORAGE", value_name = "DIRECTORY")]
    pub(crate) storage: Option<PathBuf>,
    /// Socket on which `pipglr prune` and `pipglr disk` are answered
    #[arg(long, env = "PIPGLR_CONTROL_SOCKET")]
    pub(crate) control_socket: Option<PathBuf>,
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
pub(crate) struct RunSingleArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// URL of the GitLab instance
    #[arg(long, short = 'u', env = "CI_SERVER_URL")]
    pub(crate) url: Option<String>,
    /// Runner authentication token (`glrt-…`)
    #[arg(long, short = 't', env = "CI_SERVER_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// Name of the runner
    #[arg(long, visible_alias = "description", env = "RUNNER_NAME")]
    pub(crate) name: Option<String>,
    /// Take the runner of this name from the configuration file; other options of runners have no effect then
    #[arg(long, short = 'r')]
    pub(crate) runner: Option<String>,
    /// End after so many jobs; 0 is no limit
    #[arg(long, default_value_t = 0)]
    pub(crate) max_builds: u64,
    /// End when there was no job for so many seconds; 0 is never
    #[arg(long, default_value_t = 0)]
    pub(crate) wait_timeout: u64,
    /// Options of the table in `pipglr_runner::registration::OPTIONS`; filled by [`super::parse`].
    #[arg(skip)]
    pub(crate) options: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Args)]
pub(crate) struct RegisterArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// File with one `[[runners]]`, for what is not given otherwise
    #[arg(long, env = "TEMPLATE_CONFIG_FILE")]
    pub(crate) template_config: Option<PathBuf>,
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
    /// Options of the table in `pipglr_runner::registration::OPTIONS`; filled by [`super::parse`].
    #[arg(skip)]
    pub(crate) options: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Only the runner of this name
    #[arg(long, short = 'n')]
    pub(crate) name: Option<String>,
    /// Only the runner with this token
    #[arg(long, short = 't')]
    pub(crate) token: Option<String>,
    /// Only runners of this GitLab instance
    #[arg(long, short = 'u')]
    pub(crate) url: Option<String>,
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
    /// Accepted for compatibility, without effect: the entry says where its GitLab is
    #[arg(long, short = 'u', env = "CI_SERVER_URL", hide = true)]
    pub(crate) url: Option<String>,
    /// As `--url`
    #[arg(long, env = "CI_SERVER_TLS_CA_FILE", hide = true)]
    pub(crate) tls_ca_file: Option<PathBuf>,
    /// As `--url`
    #[arg(long, env = "CI_SERVER_TLS_CERT_FILE", hide = true)]
    pub(crate) tls_cert_file: Option<PathBuf>,
    /// As `--url`
    #[arg(long, env = "CI_SERVER_TLS_KEY_FILE", hide = true)]
    pub(crate) tls_key_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ResetTokenArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The runner of this name
    #[arg(long, short = 'n')]
    pub(crate) name: Option<String>,
    /// With `--id`: the runner of this GitLab instance
    #[arg(long, short = 'u', requires = "id")]
    pub(crate) url: Option<String>,
    /// With `--url`: the runner of this number
    #[arg(long, short = 'i', requires = "url")]
    pub(crate) id: Option<u64>,
    /// All of them
    #[arg(long)]
    pub(crate) all_runners: bool,
    /// Personal access token to use in place of the runner's own
    #[arg(long)]
    pub(crate) pat: Option<String>,
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
