//! The job's scripts as the build container gets them.

use super::image::ImagePlan;
use super::settings;
use super::timeouts::{Timeouts, seconds};
use super::{AcceptedJob, AllVariables};
use crate::container_side::init::{FileVariable, InitPlan, InitStep};
use crate::job::JobError;
use crate::job::script::{ScriptParts, render_script};
use pipglr_podman::ImageConfig;
use pipglr_protocol::payload::Step;

pub(super) fn lower(
    job: &AcceptedJob,
    all: &AllVariables,
    image: &ImagePlan,
    files: Vec<FileVariable>,
    timeouts: &Timeouts,
    warnings: &mut Vec<String>,
) -> Result<InitPlan, JobError> {
    let debug = settings::debug(job, all, "CI_DEBUG_TRACE", warnings);
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
        nonce: job.seed.nonce.clone(),
        project_dir: all.directories.project.clone(),
        builds_dir: all.directories.builds.clone(),
        open_directories: Vec::new(),
        user: image.user.clone().unwrap_or_default(),
        groups: Vec::new(),
        keep_home: false,
        entrypoint: image.entrypoint.clone(),
        environment: all.variables.environment().collect(),
        files,
        settings: Vec::new(),
        gitlab_env: format!("{}/gitlab_runner_env", all.directories.temp),
        hand_on_gitlab_env: false,
        steps,
        script_timeout: timeouts.script.map(seconds),
        after_script,
        after_script_timeout: seconds(timeouts.after_script),
        remove_at_end: vec![all.directories.temp.clone()],
        stay_after_failure: false,
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
        let one = |script: &'_ str| (!script.is_empty()).then(|| script.to_owned());
        // Compat: gitlab-runner shells/abstract.go `writeUserScript`; only release commands are expanded by the runner.
        let commands: Vec<String> = match step.name.as_str() {
            "release" => step.script.iter().map(|c| self.all.variables.expand(c)).collect(),
            _ => step.script.clone(),
        };
        let parts = [
            ("pre_build_script", one(&runner.pre_build_script).into_iter().collect()),
            ("script_step", commands),
            (
                "post_build_script",
                one(&runner.post_build_script).into_iter().collect(),
            ),
        ];
        InitStep {
            stage: format!("step_{}", step.name.to_lowercase()),
            script: self.render(None, &parts),
        }
    }

    fn after(&self, step: &Step) -> InitStep {
        InitStep {
            stage: "after_script".to_owned(),
            script: self.render(
                Some("Running after script..."),
                &[("after_script_step", step.script.clone())],
            ),
        }
    }

    fn render(&self, notice: Option<&str>, parts: &[(&str, Vec<String>)]) -> String {
        let flags = &self.all.flags;
        render_script(&ScriptParts {
            directory: &self.all.directories.project,
            notice,
            commands: parts,
            sections: self.job.payload.features.trace_sections && flags.is_on("FF_SCRIPT_SECTIONS"),
            trace_commands: self.debug,
            check_each_exit_code: flags.is_on("FF_ENABLE_BASH_EXIT_CODE_CHECK"),
        })
    }
}

/// The scripts' plan, completed by what only the image knows.
pub(crate) fn for_image(build: &InitPlan, image: &ImageConfig) -> InitPlan {
    let mut build = build.clone();
    if build.user.is_empty() {
        build.user.clone_from(&image.user);
    }
    build.keep_home = image.env.iter().any(|e| e.starts_with("HOME="));
    if build.entrypoint.is_empty() {
        build.entrypoint = image.entrypoint.clone().unwrap_or_default();
    }
    build
}
