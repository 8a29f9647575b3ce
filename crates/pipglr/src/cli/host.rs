//! Commands about the runner on this host.

use clap::{Args, ValueEnum};
use pipglr_host::running::logs;
use std::path::PathBuf;
use std::time::Duration;

/// Whose runner, and which.
#[derive(Debug, Args)]
pub(crate) struct AccountArgs {
    /// The account without root that owns the runner; root only [default: this one]
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) user: Option<String>,
    /// Name of the runner's container
    #[arg(long, value_name = "NAME", default_value = "pipglr")]
    pub(crate) container: String,
}

/// What stands below `pipglr doctor --help`.
const DOCTOR_CODES: &str = "\
Exit codes:
    0  nothing that keeps a runner or its jobs from working
    1  something does: a failure is found, or stays after --fix";

#[derive(Debug, Args)]
#[command(after_help = DOCTOR_CODES)]
pub(crate) struct DoctorArgs {
    /// The account without root that owns the runner; root only [default: this one]
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) user: Option<String>,
    #[arg(long, default_value = super::DEFAULT_URL, help = "URL of the GitLab instance that has to be reached")]
    pub(crate) url: String,
    /// The image of the runner, whose registry has to be reached
    #[arg(long, default_value = pipglr_host::sandbox::IMAGE)]
    pub(crate) image: String,
    /// Carry out the remedies that do no harm; what takes root is printed as one command unless root gives this one
    #[arg(long)]
    pub(crate) fix: bool,
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Set up a runner on this host, from nothing to healthy; what is as wished stays as it is.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub(crate) account: AccountArgs,
    #[arg(long, help = "URL of the GitLab instance [default: https://gitlab.com/]")]
    pub(crate) url: Option<String>,
    /// File with the runner's authentication token (`glrt-…`)
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Read the token from standard input
    #[arg(long, conflicts_with = "token_file")]
    pub(crate) token_stdin: bool,
    /// Jobs at the same time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) concurrent: Option<u32>,
    /// Name of the runner when it is registered [default: host name]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The image of the runner [default: that of the container, or the released one]
    #[arg(long)]
    pub(crate) image: Option<String>,
    /// One more option of `podman run`, as `--name=value` (may be given several times)
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    pub(crate) run_option: Vec<String>,
    /// Leave the host as it is: only say what of it keeps a runner from working
    #[arg(long)]
    pub(crate) no_fix: bool,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the plan as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// More options of `gitlab-runner register`
    #[arg(last = true, value_name = "REGISTER OPTIONS")]
    pub(crate) register: Vec<String>,
}

/// Put another image in service.
///
/// The image is tried out beside the runner in service, on volumes of its own. Then the runner takes no more jobs, those that
/// run come to their end, and a container of the new image takes over its volumes. If that is not healthy, the old container
/// is put back. Nothing happens where the image is in service already.
#[derive(Debug, Args)]
pub(crate) struct UpgradeArgs {
    #[command(flatten)]
    pub(crate) account: AccountArgs,
    /// The new image [default: the newest of the name that is in service]
    #[arg(long)]
    pub(crate) image: Option<String>,
    /// Longest time running jobs have to come to their end, as 90s, 10m or 1h30m [default: two hours]
    #[arg(long, value_name = "TIME", value_parser = super::duration::parse)]
    pub(crate) timeout: Option<Duration>,
    /// Take the image as it is on this host, and ask no registry for a newer one
    #[arg(long)]
    pub(crate) no_pull: bool,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the plan as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Take the runner down: no more jobs, those that run come to their end, then the container goes.
#[derive(Debug, Args)]
pub(crate) struct DownArgs {
    #[command(flatten)]
    pub(crate) account: AccountArgs,
    /// Remove the volumes, too: images, caches, and the identity GitLab knows this manager by
    #[arg(long)]
    pub(crate) volumes: bool,
    /// Seconds running jobs are waited for [default: two hours]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) time: Option<u32>,
}

/// Stop and start the runner; running jobs come to their end first.
#[derive(Debug, Args)]
pub(crate) struct RestartArgs {
    #[command(flatten)]
    pub(crate) account: AccountArgs,
    /// Seconds running jobs are waited for [default: two hours]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) time: Option<u32>,
}

/// What stands below `pipglr status --help`.
const STATUS_CODES: &str = "\
Exit codes:
    0  runner and engine answer
    1  they do not, or the container does not run
    3  there is no such container";

#[derive(Debug, Args)]
#[command(after_help = STATUS_CODES)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) account: AccountArgs,
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Show it again and again; with --json a line each time
    #[arg(long)]
    pub(crate) watch: bool,
}

/// Whose lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Component {
    Systemd,
    Podman,
    Runner,
}

impl From<Component> for logs::Component {
    fn from(component: Component) -> Self {
        match component {
            Component::Systemd => Self::Systemd,
            Component::Podman => Self::Podman,
            Component::Runner => Self::Runner,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    pub(crate) account: AccountArgs,
    /// Go on with what is said from now on
    #[arg(long, short = 'f')]
    pub(crate) follow: bool,
    /// Only what this part says [default: all of them]
    #[arg(long)]
    pub(crate) component: Option<Component>,
    /// Only what is said about the job of this number
    #[arg(long, value_name = "ID")]
    pub(crate) job: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    #[command(flatten)]
    pub(crate) account: AccountArgs,
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    #[command(flatten)]
    pub(crate) account: AccountArgs,
    /// The command and its arguments [default: a shell]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<String>,
}
