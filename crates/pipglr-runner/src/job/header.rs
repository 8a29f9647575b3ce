//! What the runner itself says in a job's log, before and between the phases.

use super::plan::{self, AcceptedJob};
use crate::trace::Trace;

/// The first lines. They come before the job is planned, so that one that cannot be planned has them, too.
pub(super) fn print(job: &AcceptedJob, trace: &Trace) {
    let header = plan::header(job);
    trace.line(&format!(
        "Running with {} {} ({})",
        crate::NAME,
        crate::VERSION,
        crate::REVISION
    ));
    if !header.short_token.is_empty() {
        let (name, token, id) = (&header.runner_name, &header.short_token, &header.system_id);
        trace.line(&format!("  on {name} {token}, system ID: {id}"));
    }
    if !header.feature_flags.is_empty() {
        trace.line(&format!("  feature flags: {}", header.feature_flags.join(", ")));
    }
}

/// Says that what the log shows so far is done again.
pub(super) fn print_new_beginning(trace: &Trace) {
    let open = trace.open_section();
    trace.record(|log| {
        log.flush();
        if let Some(open) = open {
            log.section_end(&open);
        }
        log.warning("the runner was restarted before this job's scripts began: the job is prepared anew");
    });
}

/// Names the policy that put this job into the pipeline, and says whose variables count.
///
/// Compat: gitlab-runner common/build.go `printPolicyOptions`.
pub(super) fn print_policy(job: &AcceptedJob, trace: &Trace) {
    let policy = &job.payload.policy_options;
    if !policy.execution_policy_job {
        return;
    }
    trace.info(&format!("Job triggered by policy \"{}\".", policy.policy_name));
    let exceptions = policy.policy_variables_override_exceptions.join(", ");
    let may = match (policy.policy_variables_override_allowed, exceptions.is_empty()) {
        (None, _) => "Variables of the policy take precedence over variables of the project.".to_owned(),
        (Some(true), true) => "Variables of the project may override those of the policy.".to_owned(),
        (Some(true), false) => {
            format!("Variables of the project may override those of the policy, except {exceptions}.")
        }
        (Some(false), true) => "Variables of the project may not override those of the policy.".to_owned(),
        (Some(false), false) => {
            format!("Variables of the project may not override those of the policy, except {exceptions}.")
        }
    };
    trace.info(&may);
}

/// Names the phase the job's time ran out in.
pub(super) fn warn_of_time_out(trace: &Trace) {
    if let Some(stage) = trace.open_section() {
        trace.warning(&format!(
            "{stage} could not run to completion because the timeout was exceeded. For more control over job and script \
             timeouts see: https://docs.gitlab.com/ci/runners/configure_runners/#set-script-and-after_script-timeouts"
        ));
    }
}
