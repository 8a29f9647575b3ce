//! Whose artifacts and dotenv variables a job gets.

use super::{JobPlace, State};
use crate::pipeline::{JobRun, PipelineId, PipelineRun};
use crate::variables::expand_text;
use pipglr_ci::model::Need;

impl State {
    /// The jobs the one at `place` downloads from; `None` if one of another pipeline is not there.
    pub(crate) fn producers(&self, place: JobPlace) -> Option<Vec<&JobRun>> {
        let run = &self.pipelines[&place.pipeline];
        let job = &run.jobs[place.index];
        let mut producers: Vec<&JobRun> = job.dependencies.iter().map(|&index| &run.jobs[index]).collect();
        for need in job.definition.needs.iter().flatten() {
            let Some(pipeline) = &need.pipeline else { continue };
            match self.foreign(run, need, pipeline) {
                Some(producer) if need.artifacts => producers.push(producer),
                Some(_) => {}
                None if need.optional => {}
                None => return None,
            }
        }
        Some(producers)
    }

    /// A job of another pipeline of the same tree, by `needs:pipeline`.
    fn foreign(&self, run: &PipelineRun, need: &Need, pipeline: &str) -> Option<&JobRun> {
        let given = |name: &str| {
            let variable = run.source.variables.iter().rfind(|v| v.key == name);
            variable.map(|v| v.value.expose().to_owned())
        };
        let id = PipelineId(expand_text(pipeline, given).trim().parse().ok()?);
        if self.root(id) != self.root(run.id) {
            return None;
        }
        let mut jobs = self.pipelines.get(&id)?.current_jobs();
        jobs.find(|job| job.definition.name == need.job)
    }
}
