//! In which world a configuration is evaluated: what `pipglr local` and `pipglr ci` have in common.

use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Default, Args)]
pub(crate) struct ContextArgs {
    /// As a pipeline of this branch, whatever is checked out
    #[arg(long, value_name = "NAME", group = "kind", help_heading = "What the pipeline is for")]
    pub(crate) branch: Option<String>,
    /// As a pipeline of this tag
    #[arg(long, value_name = "NAME", group = "kind", help_heading = "What the pipeline is for")]
    pub(crate) tag: Option<String>,
    /// As a pipeline of a merge request to this branch [default if only given: the default branch]
    #[arg(
        long,
        value_name = "TARGET",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        group = "kind",
        help_heading = "What the pipeline is for"
    )]
    pub(crate) mr: Option<String>,
    /// As a scheduled pipeline
    #[arg(long, help_heading = "What the pipeline is for")]
    pub(crate) schedule: bool,
    /// Set a variable for this run; NAME alone takes it from the environment (may be given several times)
    #[arg(
        short = 'e',
        long = "env",
        value_name = "NAME[=VALUE]",
        help_heading = "Variables and inputs"
    )]
    pub(crate) variables: Vec<String>,
    /// Read variables from this file as well, laid out as .pipglr/variables.yml (may be given several times)
    #[arg(long, value_name = "FILE", help_heading = "Variables and inputs")]
    pub(crate) variables_file: Vec<PathBuf>,
    /// Give an input of the configuration; what reads as JSON is taken as that (may be given several times)
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Variables and inputs")]
    pub(crate) input: Vec<String>,
    /// Configuration file, relative to the top of the repository
    #[arg(long = "file", value_name = "FILE", default_value = ".gitlab-ci.yml")]
    pub(crate) config: String,
    /// Use no network: no image is pulled, nothing is included from elsewhere
    #[arg(long)]
    pub(crate) offline: bool,
}
