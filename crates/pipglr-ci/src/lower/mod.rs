//! The loaded file to jobs: finds the jobs, lays `default:` and the deprecated global keywords under them.

mod defaults;
mod job;

pub(crate) use job::Draft;

use crate::diagnostics::Problems;
use crate::keywords::variables::variables;
use crate::keywords::{Fields, Keywords, control};
use crate::model::{Job, Pipeline};
use crate::yaml::Entry;

/// Keywords of the top level. Every other key is a job.
const ROOT: Keywords = Keywords {
    family: "",
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
    ],
    unsupported: &["workflow"],
};

/// Compat: stages of a file that names none.
const DEFAULT_STAGES: [&str; 3] = ["build", "test", "deploy"];

/// The jobs before the checks of their graph, with the places the checks report.
pub(crate) struct Lowered {
    /// With `.pre` first and `.post` last, whether used or not. `None` when the list was reported.
    pub(crate) stages: Option<Vec<String>>,
    pub(crate) jobs: Vec<Draft>,
}

impl Lowered {
    pub(crate) fn into_pipeline(self) -> Pipeline {
        let jobs: Vec<Job> = self.jobs.into_iter().map(Draft::into_job).collect();
        let edge = |stage: &String| stage == ".pre" || stage == ".post";
        let stages = self
            .stages
            .into_iter()
            .flatten()
            .filter(|stage| !edge(stage) || jobs.iter().any(|job| job.stage == *stage))
            .collect();
        Pipeline {
            stages,
            jobs,
            ..Pipeline::default()
        }
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
    let jobs: Vec<Draft> = jobs
        .into_iter()
        .map(|entry| job::draft(problems, entry, &defaults, &global))
        .collect();
    if jobs.is_empty() {
        problems.file_error("jobs config should contain at least one visible job");
    }
    Lowered {
        stages: stages.map(with_edges),
        jobs,
    }
}

/// Compat: `default` and `workflow` are jobs when they have a script (`Root#filter_jobs!`).
fn is_job(entry: &Entry) -> bool {
    let name = entry.key.as_str();
    let keyword = ROOT.supported.contains(&name) || ROOT.unsupported.contains(&name);
    !keyword || (["default", "workflow"].contains(&name) && has_key(entry, "script"))
}

fn has_key(entry: &Entry, key: &str) -> bool {
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

/// `.pre` and `.post` at the ends, wherever they were written.
fn with_edges(stages: Vec<String>) -> Vec<String> {
    let inner = stages.into_iter().filter(|stage| stage != ".pre" && stage != ".post");
    std::iter::once(".pre".to_owned())
        .chain(inner)
        .chain([".post".to_owned()])
        .collect()
}
