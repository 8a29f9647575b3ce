//! The loaded file to jobs: finds the jobs, lays `default:` and the deprecated global keywords under them.

mod defaults;
mod draft;
mod job;
mod name;
pub(crate) mod parallel;
mod trigger_job;

pub(crate) use defaults::INHERITABLE;
pub(crate) use draft::Draft;
pub(crate) use name::group;

use crate::Watched;
use crate::diagnostics::Problems;
use crate::keywords::parallel::{Allowed, parallel};
use crate::keywords::variables::variables;
use crate::keywords::workflow::{Workflow, workflow};
use crate::keywords::{Fields, Keywords, below, control};
use crate::model::{Job, Pipeline, Variable};
use crate::yaml::Entry;
use job::Surroundings;
use parallel::Expansions;
use std::cell::RefCell;
use std::collections::HashMap;

/// Keywords of the top level. Every other key is a job.
const ROOT: Keywords = Keywords {
    supported: &[
        "after_script",
        "before_script",
        "cache",
        "default",
        "image",
        "include",
        "services",
        "stages",
        "variables",
        "workflow",
    ],
};

/// Compat: stages of a file that names none.
const DEFAULT_STAGES: [&str; 3] = ["build", "test", "deploy"];

/// The jobs before the checks of their graph, with the places the checks report.
pub(crate) struct Lowered {
    /// With `.pre` first and `.post` last, whether used or not. `None` when the list was reported.
    pub(crate) stages: Option<Vec<String>>,
    pub(crate) jobs: Vec<Draft>,
    /// Of the top level.
    pub(crate) variables: Vec<Variable>,
    pub(crate) workflow: Workflow,
}

impl Lowered {
    pub(crate) fn into_pipeline(self) -> Pipeline {
        let jobs: Vec<Job> = self.jobs.into_iter().map(Draft::into_job).collect();
        let stages = self
            .stages
            .into_iter()
            .flatten()
            .filter(|stage| !is_edge(stage) || jobs.iter().any(|job| job.stage == *stage))
            .collect();
        Pipeline {
            stages,
            jobs,
            ..Pipeline::default()
        }
    }
}

impl Lowered {
    /// A job by its name, or the first of those that `parallel` made of one.
    pub(crate) fn watch(&self, name: &str) -> Option<Watched> {
        let mut jobs = self.jobs.iter();
        let draft = jobs.find(|draft| draft.job.name == name).or_else(|| {
            self.jobs
                .iter()
                .find(|draft| draft.job.node.is_some() && group(&draft.job.name).as_deref() == Some(name))
        })?;
        Some(Watched {
            name: draft.job.name.clone(),
            name_span: draft.name_span,
            rules: draft.decision.rules().iter().map(|rule| rule.span).collect(),
            inherit_default: draft.inherit_default.clone(),
            inherit_variables: draft.inherit_variables.clone(),
        })
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.jobs.iter().map(|draft| draft.job.name.clone()).collect()
    }
}

/// Reads the whole file.
pub(crate) fn lower(problems: &mut Problems, root: &[Entry]) -> Lowered {
    let (jobs, keywords): (Vec<&Entry>, Vec<&Entry>) = root
        .iter()
        .filter(|entry| !entry.key.starts_with('.'))
        .partition(|entry| is_job(entry));
    let keywords: Vec<Entry> = keywords
        .into_iter()
        .filter(|entry| !is_reserved_job(problems, entry))
        .cloned()
        .collect();
    let fields = Fields::read(problems, "root", &keywords, &ROOT);
    let defaults = defaults::read(problems, &fields);
    let global = fields
        .get("variables")
        .map(|node| variables(problems, "", node))
        .unwrap_or_default();
    let stages = match fields.get("stages").filter(|node| !node.is_null()) {
        Some(node) => control::stages(problems, node),
        None => Some(DEFAULT_STAGES.map(str::to_owned).to_vec()),
    };
    let expansions = expansions(problems, &jobs);
    let expressions = RefCell::default();
    let workflow = fields
        .get("workflow")
        .map(|node| workflow(problems, node, &mut expressions.borrow_mut()))
        .unwrap_or_default();
    let around = Surroundings {
        defaults: &defaults,
        expansions: &expansions,
        workflow_has_rules: workflow.has_rules,
        expressions: &expressions,
    };
    let jobs = drafts(problems, &jobs, &around);
    if jobs.is_empty() {
        problems.file_error_with_hint(
            "jobs config should contain at least one visible job",
            "a job has a name that does not start with `.`",
        );
    }
    Lowered {
        stages: stages.map(with_edges),
        jobs,
        variables: global,
        workflow,
    }
}

/// Reads `parallel` of all jobs: needs of any of them may mean the instances.
fn expansions(problems: &mut Problems, jobs: &[&Entry]) -> Expansions {
    let mut expansions = Expansions::default();
    for job in jobs {
        let entries = job.value.as_mapping().unwrap_or_default();
        let Some(entry) = entries.iter().find(|entry| entry.key == "parallel") else {
            continue;
        };
        let allowed = if is_trigger(job) {
            Allowed::MatrixOnly
        } else {
            Allowed::NumberOrMatrix
        };
        if let Some(parallel) = parallel(problems, &below("jobs", &job.key), &entry.value, allowed) {
            expansions.add(&job.key, &parallel);
        }
    }
    expansions
}

/// All jobs in the order of the file, each name once: of two equal ones the later counts, in the place of the first.
fn drafts(problems: &mut Problems, jobs: &[&Entry], around: &Surroundings<'_>) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = Vec::with_capacity(jobs.len());
    let mut places: HashMap<String, usize> = HashMap::with_capacity(jobs.len());
    for entry in jobs {
        for draft in job::drafts(problems, entry, around) {
            if let Some(&place) = places.get(&draft.job.name) {
                let message = format!("job `{}` is there twice; the last one counts", draft.job.name);
                problems.warning(
                    draft.name_span,
                    message,
                    "make the values of the matrix differ, or rename a job",
                );
                drafts[place] = draft;
            } else {
                places.insert(draft.job.name.clone(), drafts.len());
                drafts.push(draft);
            }
        }
        if around.expansions.overspent() {
            let message = "the jobs of this file have too many instances, needs and dependencies to hold";
            problems.error_with_hint(entry.key_span, message, "this job is where it became too much");
            break;
        }
    }
    drafts
}

/// Compat: `default` and `workflow` are jobs when they have a script (`Root#filter_jobs!`).
fn is_job(entry: &Entry) -> bool {
    let name = entry.key.as_str();
    let keyword = ROOT.supported.contains(&name);
    !keyword || (["default", "workflow"].contains(&name) && has_key(entry, "script"))
}

pub(crate) fn has_key(entry: &Entry, key: &str) -> bool {
    entry
        .value
        .as_mapping()
        .is_some_and(|entries| entries.iter().any(|entry| entry.key == key))
}

/// A job under the name of a keyword, reported as what the author meant.
fn is_reserved_job(problems: &mut Problems, entry: &Entry) -> bool {
    let reserved = entry.key != "variables" && has_key(entry, "script");
    if reserved {
        let message = format!("`{}` is a keyword and cannot be the name of a job", entry.key);
        problems.error_with_hint(entry.key_span, message, "rename the job");
    }
    reserved
}

/// Whether a job starts a pipeline of its own.
fn is_trigger(job: &Entry) -> bool {
    has_key(job, "trigger") && !has_key(job, "script") && !has_key(job, "run")
}

/// Whether a stage is one of those at the ends.
pub(crate) fn is_edge(stage: &str) -> bool {
    stage == ".pre" || stage == ".post"
}

/// `.pre` and `.post` at the ends, wherever they were written.
fn with_edges(stages: Vec<String>) -> Vec<String> {
    let inner = stages.into_iter().filter(|stage| !is_edge(stage));
    std::iter::once(".pre".to_owned())
        .chain(inner)
        .chain([".post".to_owned()])
        .collect()
}
