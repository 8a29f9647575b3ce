//! The job's scripts as the build container gets them.

use super::image::ImagePlan;
use super::{AcceptedJob, AllVariables};
use crate::container_side::init::{FileVariable, InitPlan, InitStep};
use crate::job::JobError;
use crate::job::script::{ScriptParts, render_script};
use pipglr_protocol::Secret;
use pipglr_protocol::payload::Step;

/// Seconds `after_script` has unless `RUNNER_AFTER_SCRIPT_TIMEOUT` says otherwise.
const AFTER_SCRIPT_TIMEOUT: u64 = 300;

pub(super) fn lower(
    job: &AcceptedJob,
    all: &AllVariables,
    image: &ImagePlan,
    environment: Vec<(String, Secret)>,
    files: Vec<FileVariable>,
    warnings: &mut Vec<String>,
) -> Result<InitPlan, JobError> {
    let debug = debug_trace(job, all, warnings);
    let scripts = Scripts { job, all, debug };
    let is_after = |step: &&Step| step.name == "after_script";
    let steps: Vec<InitStep> = job
        .payload
        .steps
        .iter()
        .filter(|s| !is_after(s))
        .map(|s| scripts.step(s))
        .collect();
    if steps.is_empty() {
        return Err(JobError::Configuration("the job has no script".to_owned()));
    }
    let after_script = job
        .payload
        .steps
        .iter()
        .filter(is_after)
        .find(|s| !s.script.is_empty())
        .map(|s| scripts.after(s));
    Ok(InitPlan {
        nonce: uuid::Uuid::new_v4().simple().to_string(),
        project_dir: all.directories.project.clone(),
        builds_dir: all.directories.builds.clone(),
        user: image.user.clone().unwrap_or_default(),
        keep_home: false,
        entrypoint: image.entrypoint.clone(),
        environment,
        files,
        gitlab_env: format!("{}/gitlab_runner_env", all.directories.temp),
        steps,
        script_timeout: seconds(all, "RUNNER_SCRIPT_TIMEOUT", warnings),
        after_script,
        after_script_timeout: seconds(all, "RUNNER_AFTER_SCRIPT_TIMEOUT", warnings).unwrap_or(AFTER_SCRIPT_TIMEOUT),
        remove_at_end: vec![all.directories.temp.clone()],
    })
}

/// Renders steps with what is the same for all of them.
struct Scripts<'a> {
    job: &'a AcceptedJob,
    all: &'a AllVariables,
    debug: bool,
}

impl Scripts<'_> {
    fn step(&self, step: &Step) -> InitStep {
        let runner = &self.job.runner;
        let around = |script: &'_ str| (!script.is_empty()).then(|| script.to_owned());
        let commands: Vec<String> = around(&runner.pre_build_script)
            .into_iter()
            .chain(step.script.iter().cloned())
            .chain(around(&runner.post_build_script))
            .collect();
        InitStep {
            stage: format!("step_{}", step.name.to_lowercase()),
            script: self.render(None, &commands),
        }
    }

    fn after(&self, step: &Step) -> InitStep {
        InitStep {
            stage: "after_script".to_owned(),
            script: self.render(Some("Running after script..."), &step.script),
        }
    }

    fn render(&self, notice: Option<&str>, commands: &[String]) -> String {
        let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
        render_script(&ScriptParts {
            directory: &self.all.directories.project,
            notice,
            commands: &commands,
            trace_commands: self.debug,
            check_each_exit_code: self.all.flags.is_on("FF_ENABLE_BASH_EXIT_CODE_CHECK"),
        })
    }
}

/// `CI_DEBUG_TRACE`, unless the operator forbids it.
fn debug_trace(job: &AcceptedJob, all: &AllVariables, warnings: &mut Vec<String>) -> bool {
    match all.variables.switch("CI_DEBUG_TRACE") {
        Some(Ok(true)) if job.runner.debug_trace_disabled => {
            warnings.push("CI_DEBUG_TRACE: usage is disabled on this Runner".to_owned());
            false
        }
        Some(Ok(on)) => on,
        Some(Err(value)) => {
            warnings.push(format!(
                "CI_DEBUG_TRACE: expected bool got {value:?}, using default value: false"
            ));
            false
        }
        None => false,
    }
}

/// A Go duration of a variable in seconds; nothing for absent, zero and malformed ones.
fn seconds(all: &AllVariables, key: &str, warnings: &mut Vec<String>) -> Option<u64> {
    let text = all.variables.get(key).filter(|t| !t.is_empty())?;
    match crate::config::parse_go_duration(&text) {
        Some(duration) => Some(duration.as_secs()).filter(|&s| s > 0),
        None => {
            let kind = if text.starts_with('-') { "relative" } else { "malformed" };
            warnings.push(format!("Ignoring {kind} {key} timeout: {text}"));
            None
        }
    }
}
