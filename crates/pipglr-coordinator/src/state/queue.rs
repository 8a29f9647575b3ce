//! Which job a runner gets.

use super::{JobPlace, Runner, RunnerId, State, new_token};
use crate::payload::reports::format as report_format;
use crate::pipeline::{Assignment, JobRun, Outcome, after};
use crate::project::RefKind;
use jiff::Timestamp;
use pipglr_ci::model::{AllowFailure, Job};
use pipglr_protocol::info::Features;
use pipglr_protocol::update::FailureReason;
use std::time::Duration;

impl Runner {
    /// Whether it has all tags of the job, and takes jobs without any if it has none.
    ///
    /// Compat: GitLab app/models/ci/runner.rb `can_pick?`.
    fn takes(&self, job: &JobRun, ignore_tags: bool) -> bool {
        let tags = &job.definition.tags;
        let has_all = ignore_tags || tags.iter().all(|tag| self.tags.contains(tag));
        has_all && (self.run_untagged || (!tags.is_empty() && !ignore_tags))
    }
}

/// How long a runner is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Until it accepts a job.
    pub(crate) to_accept: Duration,
    /// Between two words about a running one.
    pub(crate) with_silence: Duration,
}

impl State {
    /// Hands the oldest available job to the runner. Jobs that cannot run on it, or not at all, are dropped on the way.
    pub(crate) fn assign(
        &mut self,
        runner: RunnerId,
        features: &Features,
        patience: Patience,
        now: Timestamp,
    ) -> Option<JobPlace> {
        let runner = self.saved.runners.iter().find(|r| r.id == runner)?.clone();
        if runner.paused {
            return None;
        }
        while let Some(place) = self.oldest_available(&runner) {
            if let Some(reason) = self.obstacle(place, features, now) {
                let outcome = Outcome::Failed {
                    reason: FailureReason::from(reason),
                    exit_code: None,
                };
                self.change(place.pipeline, now, |p| p.finish(place.index, outcome, now));
                continue;
            }
            let job_timeout = self.job(place).timeout();
            let assignment = Assignment {
                runner: runner.id,
                two_phase: features.two_phase_job_commit,
                cancel_gracefully: features.cancel_gracefully,
                timeout: runner
                    .maximum_timeout
                    .map_or(job_timeout, |s| job_timeout.min(Duration::from_secs(s))),
                accept_by: after(now, patience.to_accept),
                last_contact: now,
                silence_limit: patience.with_silence,
            };
            self.change(place.pipeline, now, |p| {
                // A runner that lost the job must not be taken for the one that has it now.
                p.jobs[place.index].token = new_token("glcbt-");
                p.assign(place.index, assignment, now);
            });
            return Some(place);
        }
        None
    }

    fn oldest_available(&self, runner: &Runner) -> Option<JobPlace> {
        let jobs = self
            .pipelines
            .values()
            .flat_map(|p| p.jobs.iter().enumerate().map(move |(i, j)| (p.id, i, j)));
        let takes = |job: &JobRun| job.is_available() && (runner.takes(job, self.ignore_tags));
        let oldest = jobs.filter(|(_, _, j)| takes(j)).min_by_key(|(_, _, j)| j.id)?;
        Some(JobPlace {
            pipeline: oldest.0,
            index: oldest.1,
        })
    }

    /// Why the job cannot be handed to a runner with these features.
    ///
    /// Compat: GitLab app/services/ci/register_job_service.rb.
    fn obstacle(&self, place: JobPlace, features: &Features, now: Timestamp) -> Option<&'static str> {
        let gone = |job: &&JobRun| job.archive().is_some_and(|archive| !archive.is_available(now));
        let Some(producers) = self.producers(place) else {
            return Some("missing_dependency_failure");
        };
        if producers.iter().any(gone) {
            return Some("missing_dependency_failure");
        }
        let of_merge_request = self.pipelines[&place.pipeline].source.reference.kind == RefKind::MergeRequest;
        let missing = lacks(&self.job(place).definition, features) || (of_merge_request && !features.refspecs);
        missing.then_some("runner_unsupported")
    }
}

/// Whether the job needs something the runner does not announce.
fn lacks(job: &Job, features: &Features) -> bool {
    let formats: Vec<&str> = job
        .artifacts
        .iter()
        .flat_map(|artifacts| &artifacts.reports)
        .map(|report| report_format(&report.kind))
        .collect();
    let excludes = job.artifacts.as_ref().is_some_and(|a| !a.exclude.is_empty());
    let codes = matches!(job.allow_failure, AllowFailure::ExitCodes(_)) || !job.retry.exit_codes.is_empty();
    let fallbacks = job.caches.iter().any(|cache| !cache.fallback_keys.is_empty());
    [
        (!formats.is_empty(), features.upload_multiple_artifacts),
        (formats.contains(&"raw"), features.upload_raw_artifacts),
        (excludes, features.artifacts_exclude),
        (codes, features.return_exit_code),
        (fallbacks, features.fallback_cache_keys),
        (job.release.is_some(), features.multi_build_steps),
        (!job.inputs.is_empty(), features.job_inputs),
        (job.run.is_some(), features.native_steps_integration),
    ]
    .iter()
    .any(|(needed, there)| *needed && !there)
}
