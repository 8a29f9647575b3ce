//! Which jobs of a pipeline run when only some are asked for. Pure.

use super::Recipe;
use crate::Error;
use crate::creation::Selection;
use crate::record::ArtifactRecord;
use pipglr_ci::model::{Job, When};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What an earlier pipeline left of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Earlier {
    /// Whether it succeeded, or failed and was allowed to.
    pub(crate) succeeded: bool,
    pub(crate) artifacts: Vec<ArtifactRecord>,
    pub(crate) dotenv: Vec<(String, String)>,
}

/// Cuts a pipeline down to the selected jobs. Jobs that are left out stay, as results of an earlier run, where there
/// is one; else nothing waits for them.
pub(crate) fn select(
    recipe: &mut Recipe,
    selection: &Selection,
    earlier: &BTreeMap<String, Earlier>,
) -> Result<(), Error> {
    let jobs = &recipe.pipeline.jobs;
    recipe.play = matching(jobs, &selection.play)?;
    if selection.is_everything() {
        return Ok(());
    }
    let named = matching(jobs, &selection.jobs)?;
    let chosen = chosen(recipe, selection, &named, earlier)?;
    let stands_for = |name: &str| earlier.get(name).filter(|result| result.succeeded);
    recipe.earlier = jobs
        .iter()
        .filter(|job| !chosen.contains(&job.name))
        .filter_map(|job| Some((job.name.clone(), stands_for(&job.name)?.clone())))
        .collect();
    let kept = |name: &str| chosen.contains(name) || recipe.earlier.contains_key(name);
    let stays: BTreeSet<String> = jobs.iter().map(|j| j.name.clone()).filter(|n| kept(n)).collect();
    recipe.pipeline.jobs.retain(|job| stays.contains(&job.name));
    for job in &mut recipe.pipeline.jobs {
        if let Some(needs) = &mut job.needs {
            needs.retain(|need| need.pipeline.is_some() || stays.contains(&need.job));
        }
        // Whoever names a job wants it now, whatever it would wait for.
        let waits = matches!(job.when, When::Manual | When::Delayed | When::OnFailure);
        if waits && named.contains(&job.name) {
            job.when = When::OnSuccess;
        }
    }
    Ok(())
}

fn chosen(
    recipe: &Recipe,
    selection: &Selection,
    named: &[String],
    earlier: &BTreeMap<String, Earlier>,
) -> Result<BTreeSet<String>, Error> {
    let pipeline = &recipe.pipeline;
    let jobs = &pipeline.jobs;
    let mut chosen: BTreeSet<String> = named.iter().chain(&recipe.play).cloned().collect();
    for stage in &selection.stages {
        let mut of_stage = jobs.iter().filter(|job| job.stage == *stage).peekable();
        if of_stage.peek().is_none() {
            return Err(not_there("stage", stage, &pipeline.stages));
        }
        chosen.extend(of_stage.map(|job| job.name.clone()));
    }
    if let Some(from) = &selection.from {
        let mut found: BTreeSet<String> = matching(jobs, std::slice::from_ref(from))?.into_iter().collect();
        close(jobs, &mut found, |job, other| waits_for(pipeline, other, job));
        chosen.extend(found);
    }
    if selection.only_failed {
        let failed = jobs
            .iter()
            .filter(|job| !earlier.get(&job.name).is_some_and(|e| e.succeeded));
        chosen.extend(failed.map(|job| job.name.clone()));
    }
    if selection.needs {
        close(jobs, &mut chosen, |job, other| waits_for(pipeline, job, other));
    }
    Ok(chosen)
}

/// Jobs by name, or by the name that instances of a parallel job share.
fn matching(jobs: &[Job], names: &[String]) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for name in names {
        let before = found.len();
        let by_name = |job: &&Job| job.name == *name || job.group.as_ref() == Some(name);
        found.extend(jobs.iter().filter(by_name).map(|job| job.name.clone()));
        if found.len() == before {
            let known: Vec<String> = jobs.iter().map(|job| job.name.clone()).collect();
            return Err(not_there("job", name, &known));
        }
    }
    Ok(found)
}

fn not_there(what: &'static str, name: &str, known: &[String]) -> Error {
    Error::NotSelected {
        what,
        name: name.to_owned(),
        known: known.join(", "),
    }
}

fn position(pipeline: &pipglr_ci::model::Pipeline, job: &Job) -> Option<usize> {
    pipeline.stages.iter().position(|stage| *stage == job.stage)
}

/// Whether `job` waits for `other`.
fn waits_for(pipeline: &pipglr_ci::model::Pipeline, job: &Job, other: &Job) -> bool {
    match &job.needs {
        Some(needs) => needs
            .iter()
            .any(|need| need.pipeline.is_none() && need.job == other.name),
        None => position(pipeline, other) < position(pipeline, job),
    }
}

/// Adds the jobs that a chosen one joins, and those that these join.
fn close(jobs: &[Job], chosen: &mut BTreeSet<String>, joins: impl Fn(&Job, &Job) -> bool) {
    let mut queue: Vec<&Job> = jobs.iter().filter(|job| chosen.contains(&job.name)).collect();
    while let Some(job) = queue.pop() {
        for other in jobs {
            if joins(job, other) && chosen.insert(other.name.clone()) {
                queue.push(other);
            }
        }
    }
}
