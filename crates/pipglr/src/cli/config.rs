//! `pipglr config …` and `pipglr import`.

use super::AccountArgs;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the configuration without its secrets
    Show(ShowArgs),
    /// Print one value
    Get(GetArgs),
    /// Change one value, in the stored configuration and the running runner
    Set(SetArgs),
    /// Change the configuration in an editor ($VISUAL, $EDITOR)
    Edit(EditArgs),
    /// Store a file as the configuration and bring it to the running runner
    Apply(ApplyArgs),
    /// Compare the configuration with a file; 1 if they differ
    Diff(DiffArgs),
    /// Say what becomes of each key; fail if the configuration cannot be used
    Check(CheckArgs),
}

/// Which configuration: a file, or the podman secret config.toml of an account.
#[derive(Debug, Args)]
pub(crate) struct WhereArgs {
    /// Work on this file instead of the account's secret
    #[arg(long, value_name = "FILE", conflicts_with_all = ["user", "container", "image"])]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) account: AccountArgs,
    /// Image that reads the secret where podman is older than 4.7 [default: that of the container, or the released one]
    #[arg(long)]
    pub(crate) image: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    pub(crate) place: WhereArgs,
    /// Print it as it is, tokens and all
    #[arg(long)]
    pub(crate) secrets: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// `concurrent`, `runners[0].limit`, `runners.NAME.docker.image`
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) place: WhereArgs,
    /// Print a secret value, too
    #[arg(long)]
    pub(crate) secrets: bool,
}

/// What happens after a change.
#[derive(Debug, Args)]
pub(crate) struct ChangeArgs {
    /// Restart the runner when it has the new configuration; running jobs are waited for
    #[arg(long, conflicts_with = "file")]
    pub(crate) restart: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// `concurrent`, `runners[0].limit`, `runners.NAME.docker.image`
    pub(crate) key: String,
    /// The value, or `-` to read it from standard input: the way for secrets
    #[arg(allow_hyphen_values = true)]
    pub(crate) value: String,
    #[command(flatten)]
    pub(crate) place: WhereArgs,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct EditArgs {
    #[command(flatten)]
    pub(crate) place: WhereArgs,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// The new configuration; `-` is standard input
    pub(crate) new: PathBuf,
    #[command(flatten)]
    pub(crate) place: WhereArgs,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// File to compare with; `-` is standard input
    pub(crate) new: PathBuf,
    #[command(flatten)]
    pub(crate) place: WhereArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// File to check [default: the account's secret]
    #[arg(conflicts_with_all = ["file", "user", "container", "image"])]
    pub(crate) path: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) place: WhereArgs,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[group(id = "source", required = true, args = ["config", "from_podman"])]
pub(crate) struct ImportArgs {
    /// A config.toml of gitlab-runner
    pub(crate) config: Option<PathBuf>,
    /// Take what the account's podman has: the secret config.toml and the volumes of an earlier pipglr
    #[arg(long)]
    pub(crate) from_podman: bool,
    #[command(flatten)]
    pub(crate) account: AccountArgs,
    /// Image that reads the secret where podman is older than 4.7 [default: that of the container, or the released one]
    #[arg(long)]
    pub(crate) image: Option<String>,
    /// Store it even if the account has another configuration
    #[arg(long)]
    pub(crate) replace: bool,
    /// Only report
    #[arg(long)]
    pub(crate) dry_run: bool,
}
