//! From the evaluated configuration to jobs that can be scheduled: names become indices.

use super::job::{JobRun, Scheduling};
use super::status::JobState;
use super::{Earlier, Recipe};
use crate::Error;
use jiff::Timestamp;
use pipglr_ci::model::{Job, When};
use pipglr_protocol::{Secret, payload::JobId};
use std::collections::HashMap;

/// Makes the jobs of a pipeline; `identify` gives each its id and token.
pub(super) fn lower(
    recipe: &Recipe,
    now: Timestamp,
    mut identify: impl FnMut() -> (JobId, Secret),
) -> Result<Vec<JobRun>, Error> {
    let pipeline = &recipe.pipeline;
    let stages: HashMap<&str, usize> = pipeline
        .stages
        .iter()
        .enumerate()
        .map(|(i, s)| (s.as_str(), i))
        .collect();
    let definitions: Vec<&Job> = pipeline.jobs.iter().filter(|j| j.when != When::Never).collect();
    if definitions.is_empty() {
        return Err(Error::EmptyPipeline);
    }
    let names: HashMap<&str, usize> = definitions
        .iter()
        .enumerate()
        .map(|(i, j)| (j.name.as_str(), i))
        .collect();
    let mut jobs = Vec::with_capacity(definitions.len());
    for definition in &definitions {
        let stage_index = *stages
            .get(definition.stage.as_str())
            .ok_or_else(|| unknown(definition, "stage", &definition.stage))?;
        let (id, token) = identify();
        let mut job = JobRun {
            scheduling: scheduling(definition, &names)?,
            auto_play: recipe.play.contains(&definition.name),
            ..JobRun::new((*definition).clone(), id, token, stage_index, now)
        };
        if let Some(earlier) = recipe.earlier.get(&definition.name) {
            reuse(&mut job, earlier);
        }
        jobs.push(job);
    }
    for index in 0..jobs.len() {
        jobs[index].dependencies = dependencies(&jobs, index);
    }
    Ok(jobs)
}

/// An earlier result stands for the job.
fn reuse(job: &mut JobRun, earlier: &Earlier) {
    job.state = JobState::Success;
    job.reused = true;
    job.artifacts.clone_from(&earlier.artifacts);
    job.dotenv.clone_from(&earlier.dotenv);
    job.times.finished_at = Some(job.times.created_at);
}

fn unknown(job: &Job, what: &'static str, name: &str) -> Error {
    Error::UnknownReference {
        job: job.name.clone(),
        what,
        name: name.to_owned(),
    }
}

fn scheduling(job: &Job, names: &HashMap<&str, usize>) -> Result<Scheduling, Error> {
    let Some(needs) = &job.needs else {
        return Ok(Scheduling::Stage);
    };
    let mut indices = Vec::with_capacity(needs.len());
    // What another pipeline did is there already, or never will be.
    for need in needs.iter().filter(|need| need.pipeline.is_none()) {
        match names.get(need.job.as_str()) {
            Some(&index) => indices.push(index),
            None if need.optional => {}
            None => return Err(unknown(job, "need", &need.job)),
        }
    }
    Ok(Scheduling::Dag(indices))
}

/// The jobs whose archives are downloaded: earlier stages or needs with artifacts, cut down by `dependencies`.
fn dependencies(jobs: &[JobRun], index: usize) -> Vec<usize> {
    let job = &jobs[index];
    let wanted = |name: &str| match &job.definition.dependencies {
        Some(list) => list.iter().any(|d| d == name),
        None => true,
    };
    let reachable = |other: &JobRun| match &job.definition.needs {
        Some(needs) => needs
            .iter()
            .any(|n| n.artifacts && n.pipeline.is_none() && n.job == other.definition.name),
        None => other.stage_index < job.stage_index,
    };
    (0..jobs.len())
        .filter(|&i| i != index && reachable(&jobs[i]) && wanted(&jobs[i].definition.name))
        .collect()
}
