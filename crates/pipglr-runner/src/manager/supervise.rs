//! Running one job, new or taken over, and telling the operator about it.

use super::{JOBS, Shared};
use crate::config::RunnerConfig;
use crate::gitlab::{GitLab, JobApi};
use crate::job::plan::{self, AcceptedJob};
use crate::job::{World, adopt_job, give_up, run_job};
use crate::journal::Kept;
use crate::metrics::{self, EndedJob, Progress};
use crate::trace::sender::Pace;
use futures_util::FutureExt as _;
use pipglr_protocol::info::Info;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

/// A job that is to be run.
pub(super) enum Arrived {
    /// Just handed out.
    New(Box<AcceptedJob>),
    /// Left by an earlier process.
    Kept(Box<Kept>),
}

impl Arrived {
    fn job(&self) -> &AcceptedJob {
        match self {
            Self::New(job) => job,
            Self::Kept(kept) => &kept.job,
        }
    }
}

/// What a job needs besides itself.
pub(super) fn world(job: &AcceptedJob, gitlab: GitLab, info: Arc<Info>, shared: &Shared) -> World {
    let (id, token) = (job.payload.id, job.payload.token.clone());
    World {
        engine: shared.engine.clone(),
        api: JobApi::new(gitlab, id, token, info, plan::debug_trace(job)),
        directory: shared.options.state_dir.join(JOBS),
        pace: pace(&job.runner),
        interrupt: shared.shutdown.forceful().clone(),
        progress: Progress::default(),
        session: None,
        hold: shared
            .hold
            .as_ref()
            .map(|hold| hold.of_job(id, &job.payload.job_info.name)),
    }
}

/// Runs a job. A panic ends this job alone, and GitLab hears of it.
pub(super) async fn supervise(job: Arrived, world: World, shared: &Shared) {
    let (kept, left) = (job.job().clone(), world.clone());
    if AssertUnwindSafe(run_logged(job, world, shared))
        .catch_unwind()
        .await
        .is_err()
    {
        metrics::count_panic();
        tracing::error!(job_id = kept.payload.id.0, "bug in pipglr: a job's task panicked");
        give_up(&kept, &left).await;
    }
}

/// Runs one job, counts it and tells the operator about it.
async fn run_logged(arrived: Arrived, world: World, shared: &Shared) {
    let job = arrived.job();
    let (payload, runner, progress) = (job.payload.clone(), job.runner.clone(), world.progress.clone());
    let (job_id, project) = (payload.id.0, payload.job_info.project_full_path.clone());
    let system_id = &shared.options.system_id;
    let counted = shared.metrics.job_began(&runner, system_id, &payload, &progress);
    let exports_stages = plan::flag_of(job, "FF_EXPORT_HIGH_CARDINALITY_METRICS");
    let (short, name) = (runner.token.short(), &payload.job_info.name);
    let record = match arrived {
        Arrived::New(job) => {
            tracing::info!(job_id, project, runner = short, name, "job accepted");
            Box::pin(run_job(*job, world)).await
        }
        Arrived::Kept(kept) => {
            tracing::info!(job_id, project, runner = short, name, "job adopted");
            Box::pin(adopt_job(*kept, world)).await
        }
    };
    let phases = progress.finish();
    let ended = EndedJob {
        duration: record.duration,
        failure: record.failure_reason.as_ref(),
        phases: &phases,
        exports_stages,
    };
    shared.metrics.job_ended(&runner, system_id, &ended);
    drop(counted);
    let elapsed_ms = u64::try_from(record.duration.as_millis()).unwrap_or(u64::MAX);
    let (runner, phases) = (runner.token.short(), metrics::summary(&phases));
    match (record.state, &record.failure_reason) {
        (None, _) => tracing::info!(job_id, runner, "job was taken back before it began"),
        (Some(_), Some(reason)) => {
            tracing::warn!(job_id, project, runner, %reason, elapsed_ms, phases, delivery = ?record.delivery, "job failed");
        }
        (Some(_), None) => {
            tracing::info!(job_id, project, runner, elapsed_ms, phases, delivery = ?record.delivery, "job succeeded");
        }
    }
}

fn pace(runner: &RunnerConfig) -> Pace {
    let tries = runner.job_status_final_update_retry_limit;
    Pace {
        dynamic_keep_alive: runner
            .feature_flags
            .get("FF_USE_DYNAMIC_TRACE_FORCE_SEND_INTERVAL")
            .is_some_and(|&on| on),
        final_tries: if tries == 0 { Pace::default().final_tries } else { tries },
        ..Pace::default()
    }
}
