//! `pipglr ci …`.

use super::ContextArgs;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// What stands below the help of each of these commands.
const AFTER_HELP: &str = "\
Exit codes:
  0  the configuration is valid, with or without warnings
  1  it could not be evaluated: git or the file system failed
  2  the command line is wrong, or there is no job of this name
  4  the configuration or a file with variables has mistakes, or there is no configuration;
     with lint --strict also: it has warnings
  5  it is valid, but no pipeline would be created: rules leave no job

Nothing is run, and podman is not needed.";

#[derive(Debug, Subcommand)]
pub(crate) enum CiCommand {
    /// Say what is wrong with a configuration, where, and what would help
    Lint(Box<LintArgs>),
    /// List the jobs of the pipeline
    List(Box<ListArgs>),
    /// Draw which job waits for which
    Graph(Box<GraphArgs>),
    /// Tell where every value of a job comes from, and which rules decided whether it runs
    Explain(Box<JobArgs>),
    /// List the variables of a job, and what sets them
    Variables(Box<JobArgs>),
    /// Print the names of all jobs, also of those that rules leave out; for completion
    #[command(hide = true)]
    Jobs(Box<ListArgs>),
}

/// What all of them take.
#[derive(Debug, Args)]
pub(crate) struct CiContext {
    #[command(flatten)]
    pub(crate) context: ContextArgs,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct LintArgs {
    /// File to read instead of the repository's configuration; `-` reads standard input
    #[arg(value_name = "FILE", conflicts_with = "config")]
    pub(crate) path: Option<PathBuf>,
    /// Warnings are errors
    #[arg(long)]
    pub(crate) strict: bool,
    #[command(flatten)]
    pub(crate) common: CiContext,
}

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) common: CiContext,
}

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct GraphArgs {
    /// How the graph is written
    #[arg(long, value_name = "FORMAT", default_value = "text", conflicts_with = "json")]
    pub(crate) format: GraphFormat,
    #[command(flatten)]
    pub(crate) common: CiContext,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    /// For people
    Text,
    /// For Graphviz
    Dot,
    /// For Markdown, as GitLab shows it
    Mermaid,
    Json,
}

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct JobArgs {
    /// Name of the job; that of a job with `parallel` means its first instance
    #[arg(value_name = "JOB")]
    pub(crate) job: String,
    #[command(flatten)]
    pub(crate) common: CiContext,
}
