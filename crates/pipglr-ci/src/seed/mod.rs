//! Seeding: which of the jobs are in this pipeline, and with which attributes.
//!
//! The workflow decides first whether there is a pipeline (`workflow`), then each job by its rules (`job`), then what
//! jobs say of each other is held against those that are left (`needs`).
//!
//! Compat: GitLab lib/gitlab/ci/pipeline/chain/evaluate_workflow_rules.rb and lib/gitlab/ci/pipeline/seed/.

pub(crate) mod facts;
mod job;
mod names;
mod needs;
mod workflow;

use crate::diagnostics::{Problems, Span};
use crate::lower::{Draft, Lowered, is_edge};
use crate::model::{AutoCancel, Pipeline};
use crate::outcome::NoPipeline;
use crate::rules::Trace;
use crate::rules::clauses::{ClauseError, Memory};
use crate::variables::Given;
use crate::variables::outside::Outside;
use crate::world::{Context, World};

/// What all jobs are seeded with.
pub(crate) struct Seeding<'s> {
    context: &'s Context,
    world: &'s dyn World,
    outside: &'s Outside,
    memory: Memory,
    /// The variables of the top level, and over them those of the workflow's rule.
    root: Vec<Given>,
}

/// How a decision came about, for who asks.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) workflow: Decided,
    /// Of the job that was asked for; `None` when the pipeline did not get as far.
    pub(crate) job: Option<Decided>,
    /// All variables of that job, weakest first.
    pub(crate) variables: Vec<Given>,
}

/// Rules that were gone through.
#[derive(Debug, Default)]
pub(crate) struct Decided {
    pub(crate) trace: Trace,
    /// The rule that matched, from 0.
    pub(crate) matched: Option<usize>,
    pub(crate) included: bool,
    /// Not rules but `only` and `except` decided.
    pub(crate) by_policy: bool,
}

/// Seeds the pipeline; what keeps it from being made is reported.
///
/// # Errors
/// There is no pipeline this time, though nothing is wrong.
pub(crate) fn seed(
    problems: &mut Problems,
    (context, world): (&Context, &dyn World),
    outside: &Outside,
    mut lowered: Lowered,
    watched: Option<&str>,
) -> (Result<Pipeline, NoPipeline>, Account) {
    let mut account = Account::default();
    let memory = Memory::default();
    let flow = workflow::decide(problems, world, outside, &memory, &lowered);
    account.workflow = flow.decided;
    if !account.workflow.included {
        return (Err(NoPipeline::FilteredByWorkflow), account);
    }
    let seeding = Seeding {
        context,
        world,
        outside,
        memory,
        root: flow.root,
    };
    let drafts = std::mem::take(&mut lowered.jobs);
    let mut jobs: Vec<Draft> = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let watch = (watched == Some(draft.job.name.as_str())).then_some(&mut account);
        jobs.extend(job::seed(problems, &seeding, draft, watch));
    }
    needs::settle(problems, &mut jobs);
    let made = if jobs.iter().all(is_in_edge_stage) {
        Err(NoPipeline::NoJobs)
    } else {
        lowered.jobs = jobs;
        Ok(Pipeline {
            name: flow.name,
            auto_cancel: flow.auto_cancel,
            ..lowered.into_pipeline()
        })
    };
    (made, account)
}

/// Compat: a pipeline of jobs in `.pre` and `.post` alone is not made.
fn is_in_edge_stage(draft: &Draft) -> bool {
    draft.stage.as_ref().is_some_and(|stage| is_edge(&stage.value))
}

/// What the workflow says.
struct Flow {
    decided: Decided,
    root: Vec<Given>,
    auto_cancel: AutoCancel,
    name: Option<String>,
}

fn report(problems: &mut Problems, span: Span, whose: &str, error: ClauseError) {
    let message = format!("Failed to parse rule for {whose}: {}", error.message);
    match error.hint {
        Some(hint) => problems.error_with_hint(span, message, hint),
        None => problems.error(span, message),
    }
}
