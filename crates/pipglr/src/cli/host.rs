//! Commands about the runner on this host.

use clap::Args;
use std::path::PathBuf;

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

/// Set up a runner on this host, from nothing to healthy; what is as wished stays as it is.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub(crate) account: AccountArgs,
    /// URL of the GitLab instance [default: https://gitlab.com/]
    #[arg(long)]
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
