//! `needs` and `dependencies`: what one job says of others. Whether those exist is checked elsewhere.

use super::parallel::{Allowed, Parallel, Row, parallel};
use super::{Fields, Keywords, boolean, of, string, strings};
use crate::diagnostics::{Placed, Problems, Span};
use crate::model::Need;
use crate::yaml::{Entry, Node};

const JOB: Keywords = Keywords {
    supported: &["job", "artifacts", "optional", "parallel"],
};
const PIPELINE: Keywords = Keywords {
    supported: &["pipeline", "job", "artifacts", "optional"],
};

/// Compat: `Ci::BuildNeed::MAX_JOB_NAME_LENGTH`.
const MAX_NAME: usize = 128;

/// Compat: `Gitlab::Ci::Config::Entry::Needs::NEEDS_CROSS_PIPELINE_DEPENDENCIES_LIMIT`.
const MAX_CROSS_PIPELINE: usize = 5;

/// A need as written: its job may be many, once `parallel` is expanded.
#[derive(Debug, Clone)]
pub(crate) struct WrittenNeed {
    pub(crate) need: Need,
    /// Which instances of the job; all of them when it is `None`.
    pub(crate) selector: Option<Vec<Row>>,
    pub(crate) span: Span,
}

/// Whose `needs` they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    Job,
    Trigger,
}

/// A list of names or mappings, or one mapping. Null is as if it were not there.
pub(crate) fn needs(problems: &mut Problems, parent: &str, node: &Node, holder: Holder) -> Option<Vec<WrittenNeed>> {
    if node.is_null() {
        return None;
    }
    let at = format!("{parent}:needs");
    let mut needs = Vec::new();
    match (node.as_sequence(), node.as_mapping()) {
        (Some(items), _) => {
            // Compat: one level of nesting is flattened, which is what a reference leaves behind.
            let flat = items
                .iter()
                .flat_map(|item| item.as_sequence().unwrap_or(std::slice::from_ref(item)));
            needs.extend(flat.filter_map(|item| need(problems, &at, item, holder)));
        }
        (None, Some([])) => {
            problems.error(node.span, format!("{at} config can not be an empty hash"));
        }
        (None, Some(_)) => needs.extend(need(problems, &at, node, holder)),
        (None, None) => {
            if !node.is_reported() {
                problems.error_with_hint(
                    node.span,
                    format!("{at} config can only be a hash or an array"),
                    "put the job's name in a list: `needs: [NAME]`",
                );
            }
        }
    }
    let crossing = needs.iter().filter(|need| need.need.pipeline.is_some()).count();
    if crossing > MAX_CROSS_PIPELINE {
        let message = format!("{at} config must be less than or equal to {MAX_CROSS_PIPELINE}");
        problems.error_with_hint(node.span, message, format!("{crossing} needs are of other pipelines"));
    }
    Some(needs)
}

fn need(problems: &mut Problems, needs: &str, node: &Node, holder: Holder) -> Option<WrittenNeed> {
    let at = format!("{needs}:need");
    let has = |key: &str| {
        let entries = node.as_mapping().unwrap_or_default();
        entries.iter().any(|entry: &Entry| entry.key == key)
    };
    let (need, selector) = if let Some(job) = node.as_str() {
        let need = Need {
            job: job.to_owned(),
            artifacts: true,
            ..Need::default()
        };
        (need, None)
    } else if has("project") || (has("ref") && has("job")) {
        of_another_project(problems, &at, node);
        return None;
    } else if has("pipeline") && !has("job") {
        mirrored_pipeline(problems, needs, node, holder);
        return None;
    } else if has("pipeline") {
        if holder == Holder::Trigger {
            problems.error(
                node.span,
                format!("{needs} config uses invalid types: cross_dependency"),
            );
            return None;
        }
        (in_pipeline(problems, &at, node)?, None)
    } else if has("job") {
        in_this_pipeline(problems, &at, node)?
    } else {
        if !node.is_reported() {
            let message = format!("{at} has an unsupported type");
            problems.error_with_hint(node.span, message, "name the job: `job: NAME`, or the name alone");
        }
        return None;
    };
    if need.job.trim().is_empty() {
        problems.error(node.span, format!("{at} job can't be blank"));
        return None;
    }
    if need.job.chars().count() > MAX_NAME {
        problems.error(
            node.span,
            format!("{at} job is too long (maximum is {MAX_NAME} characters)"),
        );
        return None;
    }
    Some(WrittenNeed {
        need,
        selector,
        span: node.span,
    })
}

fn in_this_pipeline(problems: &mut Problems, at: &str, node: &Node) -> Option<(Need, Option<Vec<Row>>)> {
    let fields = Fields::read(problems, at, node.as_mapping().unwrap_or_default(), &JOB);
    let need = common(problems, at, &fields)?;
    let selector = match fields.get("parallel").filter(|node| !node.is_null()) {
        None => None,
        Some(node) => match parallel(problems, at, node, Allowed::MatrixOnly)? {
            Parallel::Matrix(rows) => Some(rows),
            Parallel::Number(_) => None,
        },
    };
    Some((need, selector))
}

/// Compat: `Gitlab::Ci::Config::Entry::Need::CrossPipelineDependency`.
fn in_pipeline(problems: &mut Problems, at: &str, node: &Node) -> Option<Need> {
    let fields = Fields::read(problems, at, node.as_mapping().unwrap_or_default(), &PIPELINE);
    let need = common(problems, at, &fields)?;
    let written = fields.get("pipeline").filter(|pipeline| !pipeline.is_null());
    let pipeline = match written {
        Some(node) => string(problems, node, &of(at, "pipeline"))?,
        None => String::new(),
    };
    if pipeline.trim().is_empty() {
        problems.error(node.span, format!("{at} pipeline can't be blank"));
        return None;
    }
    Some(Need {
        pipeline: Some(pipeline),
        ..need
    })
}

/// What all needs with a job have. A job that is not there is left blank.
fn common(problems: &mut Problems, at: &str, fields: &Fields<'_>) -> Option<Need> {
    let job = match fields.get("job").filter(|job| !job.is_null()) {
        Some(job) => string(problems, job, &of(at, "job"))?,
        None => String::new(),
    };
    let mut flag = |key: &str| fields.get(key).and_then(|node| boolean(problems, node, &of(at, key)));
    Some(Need {
        job,
        artifacts: flag("artifacts").unwrap_or(true),
        optional: flag("optional").unwrap_or(false),
        pipeline: None,
    })
}

fn of_another_project(problems: &mut Problems, at: &str, node: &Node) {
    let message = format!("{at} takes artifacts of another project, which pipglr does not have");
    let hint = "fetch them in `script`, and leave the need away";
    problems.error_with_hint(node.span, message, hint);
}

/// `needs: {pipeline: GROUP/PROJECT}`: the state of the newest pipeline there.
fn mirrored_pipeline(problems: &mut Problems, needs: &str, node: &Node, holder: Holder) {
    match holder {
        Holder::Job => {
            let message = format!("{needs} config uses invalid types: bridge");
            problems.error_with_hint(node.span, message, "name the job whose artifacts are needed with `job`");
        }
        Holder::Trigger => {
            let message = format!("{needs} config mirrors a pipeline of another project, which pipglr does not have");
            problems.error_with_hint(node.span, message, "leave the need away");
        }
    }
}

/// A list of job names. Null is as if it were not there.
pub(crate) fn dependencies(problems: &mut Problems, at: &str, node: &Node) -> Option<Vec<Placed<String>>> {
    let names = strings(problems, node, &of(at, "dependencies"))?;
    let spans = node
        .as_sequence()
        .unwrap_or_default()
        .iter()
        .filter(|item| item.as_str().is_some())
        .map(|item| item.span);
    Some(
        names
            .into_iter()
            .zip(spans)
            .map(|(value, span)| Placed { value, span })
            .collect(),
    )
}

/// Reports dependencies that are not among the needs, if there are both. They are compared as written.
///
/// Compat: `Gitlab::Ci::Config::Entry::Job`, which looks before `parallel` is expanded.
pub(crate) fn check_dependencies(
    problems: &mut Problems,
    at: &str,
    needs: &[WrittenNeed],
    dependencies: &[Placed<String>],
) {
    let (Some(first), false) = (dependencies.first(), needs.is_empty()) else {
        return;
    };
    if needs.iter().all(|need| need.need.pipeline.is_some()) {
        let message = format!("{at} needs corresponding to dependencies must be from the same pipeline");
        problems.error(first.span, message);
        return;
    }
    for dependency in dependencies {
        let needed = needs
            .iter()
            .any(|need| need.need.pipeline.is_none() && need.need.job == dependency.value);
        if !needed {
            let message = format!("{at} dependencies the {} should be part of needs", dependency.value);
            problems.error(dependency.span, message);
        }
    }
}
