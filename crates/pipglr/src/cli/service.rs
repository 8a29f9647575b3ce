//! `pipglr render …` and `pipglr service …`.

use super::AccountArgs;
use clap::{Args, Subcommand};

/// The runner's container, however it is started.
#[derive(Debug, Args)]
pub(crate) struct SandboxArgs {
    /// Name of the runner's container
    #[arg(long, value_name = "NAME", default_value = "pipglr")]
    pub(crate) container: String,
    /// The image of the runner [default: the released one; for service install, that of the runner that is there]
    #[arg(long)]
    pub(crate) image: Option<String>,
    /// A variable for the runner, as NAME=VALUE (may be given several times); it can be seen by everybody who may see the
    /// container
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) env: Vec<(String, String)>,
}

/// `NAME=VALUE`.
fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("this is not NAME=VALUE".to_owned()),
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum RenderCommand {
    /// A command of podman's for a shell
    Run(RenderRunArgs),
    /// Quadlet units for the account's systemd
    Quadlet(RenderQuadletArgs),
    /// A pod for Kubernetes or `podman kube play`
    Kube(RenderKubeArgs),
    /// The seccomp profile the pod wants, as the image carries it
    Seccomp(RenderSeccompArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RenderRunArgs {
    #[command(flatten)]
    pub(crate) sandbox: SandboxArgs,
    /// One more option of `podman run`, as `--name=value` (may be given several times)
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    pub(crate) run_option: Vec<String>,
    /// Without checks by podman itself: they take a systemd of the account's
    #[arg(long)]
    pub(crate) no_health_checks: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RenderQuadletArgs {
    #[command(flatten)]
    pub(crate) sandbox: SandboxArgs,
    /// One more option of `podman run`, as `--name=value` (may be given several times)
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    pub(crate) run_option: Vec<String>,
    /// Write the files to this directory, which is made if it is not there, instead of printing them
    #[arg(long)]
    pub(crate) directory: Option<std::path::PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RenderKubeArgs {
    #[command(flatten)]
    pub(crate) sandbox: SandboxArgs,
    /// Print this configuration as a Secret, too, tokens and all; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<std::path::PathBuf>,
    /// Without a liveness probe: podman makes checks of it, which take a systemd of the account's
    #[arg(long)]
    pub(crate) no_health_checks: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RenderSeccompArgs {
    #[command(flatten)]
    pub(crate) account: AccountArgs,
    /// The image of the runner
    #[arg(long, default_value = pipglr_host::sandbox::IMAGE)]
    pub(crate) image: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// Write the units, start the runner by systemd now and at every boot
    Install(ServiceArgs),
    /// Stop the runner and remove the units; configuration and volumes stay
    Uninstall(ServiceArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ServiceArgs {
    /// The account without root that owns the runner; root only [default: this one]
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) user: Option<String>,
    #[command(flatten)]
    pub(crate) sandbox: SandboxArgs,
    /// One more option of `podman run`, as `--name=value` (may be given several times)
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    pub(crate) run_option: Vec<String>,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}
