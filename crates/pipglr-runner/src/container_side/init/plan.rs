//! What the build container is told to do.

use pipglr_protocol::Secret;
use serde::{Deserialize, Serialize};

/// Everything process 1 of the build container needs. It arrives on stdin, so that no secret is in the container's
/// configuration, and complete, so that the job ends properly even if the engine is gone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitPlan {
    /// Goes into markers.
    pub nonce: String,
    /// Created if missing; scripts start here.
    pub project_dir: String,
    /// Created if missing, world-writable with the sticky bit off: the image's user may be anybody.
    pub builds_dir: String,
    /// Made writable for everybody, where they are there.
    #[serde(default)]
    pub open_directories: Vec<String>,
    /// `user[:group]`, by name or number; empty is root.
    pub user: String,
    /// Further groups of the user, by name or number.
    #[serde(default)]
    pub groups: Vec<String>,
    /// `HOME` is set by the image itself and stays.
    pub keep_home: bool,
    /// The image's entrypoint, put before the shell.
    pub entrypoint: Vec<String>,
    /// Environment of all steps, later entries win.
    pub environment: Vec<(String, Secret)>,
    /// Files written before the first step and again before each later one.
    pub files: Vec<FileVariable>,
    /// Files written before the first step where there is none, for everybody to read.
    #[serde(default)]
    pub settings: Vec<FileVariable>,
    /// Lines `KEY=value` written there by a step are environment of later steps.
    pub gitlab_env: String,
    /// They are environment of the helper container that ends the job, too: the file stays for it.
    pub hand_on_gitlab_env: bool,
    /// Run in order until one fails.
    pub steps: Vec<InitStep>,
    /// Seconds for all steps together.
    pub script_timeout: Option<u64>,
    /// Runs after the steps, whatever their end.
    pub after_script: Option<InitStep>,
    /// Seconds.
    pub after_script_timeout: u64,
    /// Removed when all scripts are done: credentials and file variables must not outlive the job.
    pub remove_at_end: Vec<String>,
    /// When the scripts failed, the container stays until it is removed: somebody wants to look around.
    #[serde(default)]
    pub stay_after_failure: bool,
}

/// A variable whose value lives in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileVariable {
    pub path: String,
    pub content: Secret,
}

/// One script.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitStep {
    /// Stage name, as in section markers: `step_script`, `after_script`.
    pub stage: String,
    /// Shell text, fed to the shell on stdin.
    pub script: String,
}
