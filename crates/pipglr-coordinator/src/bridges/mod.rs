//! Bridges: jobs that are pipelines of their own.

mod artifact;
mod include;

use crate::config;
use crate::creation::PipelineKind;
use crate::given::Given;
use crate::pipeline::{JobRun, Outcome, Parent, Source};
use crate::project::load_file;
use crate::state::{JobPlace, State};
use crate::variables::expand_text;
use crate::{Coordinator, Error};
use include::{Root, only_local, root_of};
use jiff::Timestamp;
use pipglr_ci::model::{ChildInclude, Trigger, TriggerTarget};
use pipglr_protocol::payload::JobId;
use pipglr_protocol::update::FailureReason;
use std::convert::Infallible;

/// Child pipelines may have children, and those none.
///
/// Compat: GitLab app/services/ci/create_downstream_pipeline_service.rb `MAX_NESTED_CHILDREN`.
const MAX_DEPTH: usize = 2;
/// Pipelines of one tree.
///
/// Compat: GitLab's limit `pipeline_hierarchy_size` as it comes.
const MAX_TREE: usize = 1000;

/// Starts the pipelines of bridges whose turn has come, for ever.
pub(crate) async fn start_pipelines(coordinator: &Coordinator) -> Infallible {
    let mut changes = coordinator.watch_changes();
    loop {
        changes.mark_unchanged();
        while let Some(id) = next(coordinator) {
            // One that takes long must not hold up others.
            let coordinator = coordinator.clone();
            tokio::spawn(async move { start(&coordinator, id).await });
        }
        // The sender lives as long as the coordinator.
        changes.changed().await.expect("the coordinator is alive");
    }
}

fn next(coordinator: &Coordinator) -> Option<JobId> {
    coordinator.lock().waiting_bridge()?;
    coordinator.change(|state| state.take_bridge(Timestamp::now()))
}

/// Why a bridge has no pipeline.
enum Obstacle {
    /// It cannot be made here at all: the job is passed over.
    NotHere(String),
    Failed {
        reason: &'static str,
        message: String,
    },
}

impl From<Error> for Obstacle {
    fn from(error: Error) -> Self {
        failed("downstream_pipeline_creation_failed", error.to_string())
    }
}

fn failed(reason: &'static str, message: impl Into<String>) -> Obstacle {
    Obstacle::Failed {
        reason,
        message: message.into(),
    }
}

/// What is known of a bridge when its turn has come.
struct Turn {
    job: JobId,
    name: String,
    trigger: Trigger,
    source: Source,
    files: Vec<Root>,
}

async fn start(coordinator: &Coordinator, id: JobId) {
    let made = match turn(coordinator, id) {
        Ok(turn) => create(coordinator, turn).await,
        Err(obstacle) => Err(obstacle),
    };
    let now = Timestamp::now();
    coordinator.change(|state| {
        // It may have been canceled meanwhile, and another attempt stands in its place.
        let Some(place) = state.place(id) else { return };
        if !state.job(place).state.is_processing() {
            return;
        }
        match made {
            Ok(waits) if waits => {}
            Ok(_) => {
                state.change(place.pipeline, now, |run| {
                    run.finish(place.index, Outcome::Success, now);
                });
            }
            Err(Obstacle::NotHere(message)) => {
                state.change(place.pipeline, now, |run| run.pass_over(place.index, message, now));
            }
            Err(Obstacle::Failed { reason, message }) => {
                tracing::warn!(
                    job_id = state.job(place).id.0,
                    reason,
                    message,
                    "a bridge started no pipeline"
                );
                state.update_job(place, |job| job.message = Some(message));
                let outcome = Outcome::Failed {
                    reason: FailureReason::from(reason),
                    exit_code: None,
                };
                state.change(place.pipeline, now, |run| run.finish(place.index, outcome, now));
            }
        }
    });
}

/// Collects everything under one lock.
fn turn(coordinator: &Coordinator, id: JobId) -> Result<Turn, Obstacle> {
    let state = coordinator.lock();
    let place = state
        .place(id)
        .ok_or_else(|| Obstacle::NotHere("the job is gone".to_owned()))?;
    let run = &state.pipelines[&place.pipeline];
    let job = state.job(place);
    let trigger = job.definition.trigger.clone().unwrap_or_default();
    let includes = match &trigger.target {
        TriggerTarget::Child(includes) => includes,
        TriggerTarget::Project { path, .. } => {
            return Err(Obstacle::NotHere(format!(
                "pipelines of other projects are not started here, so {path} was not triggered"
            )));
        }
    };
    check_tree(run.source.depth, state.tree_size(place.pipeline))?;
    let files = includes
        .iter()
        .map(|include| root(&state, place, include))
        .collect::<Result<_, _>>()?;
    let source = Source {
        kind: PipelineKind::Parent,
        parent: Some(Parent {
            pipeline: place.pipeline,
            job: job.id,
        }),
        variables: forwarded(&state, place, &trigger),
        depth: run.source.depth + 1,
        ..run.source.clone()
    };
    Ok(Turn {
        job: job.id,
        name: job.definition.name.clone(),
        trigger,
        source,
        files,
    })
}

/// Whether a pipeline that is so deep in a tree of so many may have a child.
///
/// Compat: GitLab app/services/ci/create_downstream_pipeline_service.rb; the words are those of
/// app/presenters/commit_status_presenter.rb.
fn check_tree(depth: usize, size: usize) -> Result<(), Obstacle> {
    if depth >= MAX_DEPTH {
        return Err(failed(
            "reached_max_descendant_pipelines_depth",
            format!(
                "You reached the maximum depth of child pipelines: this one is {depth} levels below the first, and may \
                 not have children"
            ),
        ));
    }
    if size >= MAX_TREE {
        return Err(failed(
            "reached_max_pipeline_hierarchy_size",
            format!("The downstream pipeline tree is too large: {size} pipelines come from the same one, with it"),
        ));
    }
    Ok(())
}

/// A file of the child; one of an artifact needs the job that made it.
fn root(state: &State, place: JobPlace, include: &ChildInclude) -> Result<Root, Obstacle> {
    match include {
        ChildInclude::Include(entry) => Ok(Root::Include(entry.clone())),
        ChildInclude::Artifact { job, path, inputs } => {
            let run = &state.pipelines[&place.pipeline];
            let producer = run.current_jobs().find(|other| other.definition.name == *job);
            let archive = producer.and_then(JobRun::archive).ok_or_else(|| {
                failed(
                    "downstream_pipeline_creation_failed",
                    format!("job {job} has no artifacts, so {path} cannot be included"),
                )
            })?;
            Ok(Root::Artifact {
                job: job.clone(),
                path: path.clone(),
                inputs: inputs.clone(),
                archive: archive.path.clone(),
            })
        }
    }
}

/// Variables that go along: they are the child's pipeline variables, which beat what its files say.
///
/// Compat: GitLab lib/gitlab/ci/variables/downstream/generator.rb: those of the file first.
fn forwarded(state: &State, place: JobPlace, trigger: &Trigger) -> Vec<Given> {
    let run = &state.pipelines[&place.pipeline];
    let job = state.job(place);
    let mut variables = Vec::new();
    if trigger.forward_yaml_variables {
        let reported = state.producers(place).unwrap_or_default();
        let known = |name: &str| {
            let own = job.definition.variables.iter().rfind(|v| v.key == name && v.expand);
            let own = own.map(|v| v.value.clone());
            let given = run.source.variables.iter().rfind(|v| v.key == name);
            let dotenv = reported
                .iter()
                .flat_map(|job| &job.dotenv)
                .rfind(|(key, _)| key == name);
            given
                .map(|v| v.value.expose().to_owned())
                .or_else(|| dotenv.map(|(_, value)| value.clone()))
                .or(own)
                .or_else(|| match name {
                    "CI_PIPELINE_ID" => Some(run.id.to_string()),
                    "CI_JOB_ID" => Some(job.id.to_string()),
                    _ => None,
                })
        };
        variables.extend(job.definition.variables.iter().map(|variable| Given {
            raw: !variable.expand,
            ..Given::new(
                &variable.key,
                if variable.expand {
                    expand_text(&variable.value, known)
                } else {
                    variable.value.clone()
                },
            )
        }));
    }
    if trigger.forward_pipeline_variables {
        variables.extend(run.source.variables.iter().cloned());
    }
    variables
}

/// Makes the child; says whether the bridge waits for it.
async fn create(coordinator: &Coordinator, turn: Turn) -> Result<bool, Obstacle> {
    let mut files = artifact::read_all(turn.files)
        .await
        .map_err(|message| failed("downstream_pipeline_creation_failed", message))?;
    if let Some((path, inputs)) = only_local(&files) {
        let text = load_file(coordinator.mirror().path(), &turn.source.checkout, &path).await?;
        let text = text.ok_or_else(|| {
            failed(
                "downstream_pipeline_creation_failed",
                format!("Local file `{path}` does not exist!"),
            )
        })?;
        files = vec![Root::Text {
            name: path,
            text,
            inputs,
        }];
    }
    let subject = root_of(&turn.name, files, &turn.trigger.inputs);
    let path = subject.file.path.clone();
    let evaluated = config::evaluate(coordinator, &turn.source, subject).await?;
    let recipe = evaluated.into_recipe(&path)?;
    let id = coordinator.start(turn.source, recipe).await?;
    tracing::info!(job_id = turn.job.0, pipeline = id.0, "child pipeline started");
    Ok(turn.trigger.wait)
}

#[cfg(test)]
mod tests {
    use super::{Obstacle, check_tree};

    #[test]
    fn trees_are_neither_too_deep_nor_too_large() {
        for (depth, size, refusal) in [
            (0, 1, None),
            (1, 999, None),
            (2, 3, Some("reached_max_descendant_pipelines_depth")),
            (2, 1000, Some("reached_max_descendant_pipelines_depth")),
            (0, 1000, Some("reached_max_pipeline_hierarchy_size")),
            (1, 1000, Some("reached_max_pipeline_hierarchy_size")),
        ] {
            let refused = match check_tree(depth, size) {
                Err(Obstacle::Failed { reason, .. }) => Some(reason),
                Err(Obstacle::NotHere(_)) | Ok(()) => None,
            };
            assert_eq!(refused, refusal, "{depth} levels deep, {size} pipelines");
        }
    }
}
