//! `pipglr local`.

use super::ContextArgs;
use super::duration;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// What stands below `pipglr local --help`.
const AFTER_HELP: &str = "\
Exit codes:
    0  the pipeline succeeded, or has nothing left to do but manual jobs that may stay undone
    1  it could not be run: no podman, no git repository, …
    2  the command line is wrong
    3  the pipeline failed
    4  .gitlab-ci.yml or a file with variables has mistakes, or there is no .gitlab-ci.yml
    5  there is nothing to run: rules or the selection leave no job
    6  the pipeline waits for a manual job: see --manual
  130  it was canceled, by Ctrl-C or --timeout";

/// Where the sandbox comes from, as the README names it.
const RELEASED_IMAGE: &str = "registry.gitlab.com/qontainers/pipglr:latest";

/// Run the pipeline of a git working tree here, in this account's own podman.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
#[expect(clippy::struct_excessive_bools, reason = "switches of the command line")]
pub(crate) struct LocalArgs {
    /// Only these jobs, or all instances of a parallel job of this name; what a job waits for is left out, and results of
    /// the last run stand for it
    #[arg(value_name = "JOB")]
    pub(crate) jobs: Vec<String>,
    /// With all jobs the chosen ones wait for
    #[arg(long)]
    pub(crate) needs: bool,
    /// All jobs of this stage (may be given several times)
    #[arg(long, value_name = "STAGE")]
    pub(crate) stage: Vec<String>,
    /// This job and all that wait for it
    #[arg(long, value_name = "JOB")]
    pub(crate) from: Option<String>,
    /// What has not succeeded in an earlier run
    #[arg(long)]
    pub(crate) only_failed: bool,
    /// Play this manual job when its turn comes (may be given several times)
    #[arg(long, value_name = "JOB")]
    pub(crate) manual: Vec<String>,
    #[command(flatten)]
    pub(crate) context: ContextArgs,
    /// Run again whenever a file of the working tree has changed
    #[arg(long)]
    pub(crate) watch: bool,
    /// Jobs at the same time [default: number of CPUs]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) concurrent: Option<u32>,
    /// When images are pulled, for jobs that do not say it themselves
    #[arg(
        long,
        value_name = "POLICY",
        default_value = "if-not-present",
        conflicts_with = "offline"
    )]
    pub(crate) pull: PullPolicy,
    /// Image of jobs that name none
    #[arg(long, value_name = "IMAGE", default_value = "docker.io/library/debian:stable-slim")]
    pub(crate) default_image: String,
    /// Cancel the pipeline after this time: 90s, 10m, 1h30m
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) timeout: Option<Duration>,
    /// Open a shell in the container of each job that failed; the container goes when the shell ends
    #[arg(long, conflicts_with = "json")]
    pub(crate) shell_on_failure: bool,
    /// Write artifacts to this directory, each as it lies in the project [default if only given: the working tree]
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true, default_missing_value = ".")]
    pub(crate) artifacts: Option<PathBuf>,
    /// Write each job's log to this directory [default: a directory of the project's own, below ~/.local/state/pipglr]
    #[arg(long, value_name = "DIR")]
    pub(crate) log_dir: Option<PathBuf>,
    /// Write the outcome to this file: a page with time-line and logs if it ends with .html, else JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Print events as lines of JSON instead of progress
    #[arg(long)]
    pub(crate) json: bool,
    /// Show at the end how long each job waited, prepared and ran
    #[arg(long)]
    pub(crate) timings: bool,
    /// Remove this project's caches and what else was kept of it, then end
    #[arg(long, exclusive = true)]
    pub(crate) clean: bool,
    /// In a sandbox: a container of the pipglr image, with an engine of its own [default image: the released one]
    #[arg(long, value_name = "IMAGE", num_args = 0..=1, require_equals = true, default_missing_value = RELEASED_IMAGE)]
    pub(crate) nested: Option<String>,
    /// Keep each job's archive of artifacts in this directory: what the sandbox hands out
    #[arg(long, value_name = "DIR", hide = true)]
    pub(crate) artifact_archives: Option<PathBuf>,
    /// This program as a static executable, if it is not itself one
    #[arg(long, env = "PIPGLR_PROGRAM", hide = true)]
    pub(crate) program: Option<PathBuf>,
}

/// GitLab's words for when an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PullPolicy {
    Always,
    IfNotPresent,
    Never,
}

impl PullPolicy {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::IfNotPresent => "if-not-present",
            Self::Never => "never",
        }
    }
}
