//! Commands about the disks of the runner on this host.

use super::AccountArgs;
use clap::Args;
use std::path::PathBuf;

/// Remove what no job uses from the runner's disks, by the rules of `[disk]` in config.toml.
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    #[command(flatten)]
    pub(crate) account: AccountArgs,
    /// Only say what would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Everything that is not used at the moment, however short ago that was
    #[arg(long)]
    pub(crate) all: bool,
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) control: ControlArgs,
}

/// Show how full the runner's disks are, and with what.
#[derive(Debug, Args)]
pub(crate) struct DiskArgs {
    #[command(flatten)]
    pub(crate) account: AccountArgs,
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) control: ControlArgs,
}

/// Where the manager answers, inside its container.
#[derive(Debug, Args)]
pub(crate) struct ControlArgs {
    #[arg(
        long = "control-socket",
        env = "PIPGLR_CONTROL_SOCKET",
        default_value = "/run/pipglr-runner/control.sock",
        hide = true
    )]
    pub(crate) socket: PathBuf,
}
