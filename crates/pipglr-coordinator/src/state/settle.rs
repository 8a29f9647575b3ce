//! What a change in one pipeline means for others: resource groups, parents and children, older pipelines of a ref.

use super::State;
use crate::pipeline::{JobRun, JobState, Outcome, PipelineId};
use jiff::Timestamp;
use pipglr_protocol::payload::JobId;
use pipglr_protocol::update::FailureReason;
use std::collections::BTreeSet;

impl State {
    /// Lets everything happen that follows from a change of pipeline `id`.
    pub(super) fn settle(&mut self, id: PipelineId, now: Timestamp) {
        let mut next = Some(id);
        while let Some(id) = next {
            self.grant_resources(now);
            self.cancel_orphans(id, now);
            next = self.tell_parent(id, now);
        }
        self.grant_resources(now);
    }

    /// A bridge that was canceled takes its pipeline along.
    fn cancel_orphans(&mut self, id: PipelineId, now: Timestamp) {
        for child in self.children(id) {
            let run = &self.pipelines[&child];
            let bridge = run.source.parent.and_then(|parent| self.place(parent.job));
            let canceled = bridge.is_some_and(|place| self.job(place).state == JobState::Canceled);
            let alive = |job: &JobRun| !job.state.is_finished() && job.state != JobState::Canceling;
            if canceled && run.current_jobs().any(alive) {
                self.change(child, now, |run| run.cancel_all(now));
            }
        }
    }

    /// Gives every free resource group to the job that waits longest for it, of whatever pipeline.
    ///
    /// Compat: GitLab app/services/ci/resource_groups/assign_resource_from_resource_group_service.rb, mode `unordered`.
    fn grant_resources(&mut self, now: Timestamp) {
        let jobs = || self.pipelines.values().flat_map(|p| p.jobs.iter());
        if !jobs().any(|job| job.state == JobState::WaitingForResource) {
            return;
        }
        let group = |job: &JobRun| job.definition.resource_group.clone().unwrap_or_default();
        let mut taken: BTreeSet<String> = jobs().filter(|job| job.holds_resource()).map(group).collect();
        let mut waiting: Vec<_> = jobs()
            .filter(|job| job.state == JobState::WaitingForResource)
            .map(|job| (job.id, group(job)))
            .collect();
        waiting.sort();
        for (job, group) in waiting {
            if taken.insert(group)
                && let Some(place) = self.place(job)
            {
                self.change_alone(place.pipeline, now, |run| run.grant(place.index, now));
            }
        }
    }

    /// A bridge that waits for its pipeline ends with it. The pipeline the bridge is of, if it changed.
    ///
    /// Compat: GitLab app/models/ci/bridge.rb `inherit_status_from_downstream!`.
    fn tell_parent(&mut self, id: PipelineId, now: Timestamp) -> Option<PipelineId> {
        let run = self.pipelines.get(&id)?;
        let state = run.status().0;
        let place = self.place(run.source.parent?.job)?;
        let bridge = self.job(place);
        let waits = bridge.definition.trigger.as_ref().is_some_and(|trigger| trigger.wait);
        if !waits || !bridge.state.is_processing() || !state.is_finished() {
            return None;
        }
        self.change_alone(place.pipeline, now, |run| match state {
            JobState::Success => run.finish(place.index, Outcome::Success, now),
            JobState::Canceled => run.end_as_canceled(place.index, now),
            _ => {
                let reason = FailureReason::UnknownFailure;
                run.finish(
                    place.index,
                    Outcome::Failed {
                        reason,
                        exit_code: None,
                    },
                    now,
                );
            }
        });
        Some(place.pipeline)
    }

    /// Cancels older pipelines of the same ref, as far as they allow it.
    pub(super) fn cancel_redundant(&mut self, id: PipelineId, now: Timestamp) {
        let new = &self.pipelines[&id].source;
        if new.parent.is_some() {
            return;
        }
        let redundant = self.pipelines.values().filter(|old| {
            old.id < id
                && old.source.parent.is_none()
                && old.source.reference.name == new.reference.name
                && old.source.reference.kind == new.reference.kind
                && old.source.checkout != new.checkout
        });
        let redundant: Vec<PipelineId> = redundant.map(|old| old.id).collect();
        for old in redundant {
            let canceled = self.change(old, now, |run| run.cancel_as_redundant(now));
            if canceled == Some(true) {
                for child in self.children(old) {
                    self.cancel_pipeline(child, now);
                }
            }
        }
    }

    /// Pipelines that bridges of this one started.
    pub(crate) fn children(&self, id: PipelineId) -> Vec<PipelineId> {
        let of_it = |p: &&crate::pipeline::PipelineRun| p.source.parent.is_some_and(|parent| parent.pipeline == id);
        self.pipelines.values().filter(of_it).map(|p| p.id).collect()
    }

    /// Cancels everything of a pipeline that is not over, and of the pipelines it started. `false` if there is none.
    pub(crate) fn cancel_pipeline(&mut self, id: PipelineId, now: Timestamp) -> bool {
        // Children first, so that no bridge sees its pipeline end by itself.
        for child in self.children(id) {
            self.cancel_pipeline(child, now);
        }
        self.change(id, now, |run| run.cancel_all(now)).is_some()
    }

    /// The pipeline at the top of the tree this one is in.
    pub(crate) fn root(&self, mut id: PipelineId) -> PipelineId {
        while let Some(parent) = self.pipelines.get(&id).and_then(|run| run.source.parent) {
            id = parent.pipeline;
        }
        id
    }

    /// How many pipelines are in the tree this one is in.
    pub(crate) fn tree_size(&self, id: PipelineId) -> usize {
        let root = self.root(id);
        self.pipelines.keys().filter(|other| self.root(**other) == root).count()
    }

    /// Whether nothing of the pipeline can go on by itself: all is over, or waits for a person.
    pub(crate) fn is_at_rest(&self, id: PipelineId) -> bool {
        let Some(run) = self.pipelines.get(&id) else {
            return true;
        };
        run.current_jobs().all(|job| match job.state {
            JobState::Running if job.is_bridge() => job.downstream.is_some_and(|child| self.is_at_rest(child)),
            JobState::Pending
            | JobState::Running
            | JobState::Canceling
            | JobState::Scheduled
            | JobState::WaitingForResource => false,
            _ => true,
        }) && self.children(id).iter().all(|child| self.is_at_rest(*child))
    }

    /// A bridge whose pipeline is to be made.
    pub(crate) fn waiting_bridge(&self) -> Option<JobId> {
        let mut jobs = self.pipelines.values().flat_map(|run| &run.jobs);
        let bridge = jobs.find(|job| job.is_bridge() && job.state == JobState::Pending);
        bridge.map(|job| job.id)
    }

    /// Takes a bridge whose pipeline is to be made; it is running from now on.
    pub(crate) fn take_bridge(&mut self, now: Timestamp) -> Option<JobId> {
        let id = self.waiting_bridge()?;
        let place = self.place(id)?;
        self.change(place.pipeline, now, |run| run.accept(place.index, now));
        Some(id)
    }
}
