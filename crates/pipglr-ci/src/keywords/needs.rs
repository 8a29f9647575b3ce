//! `needs` and `dependencies`: what one job says of others. Whether those exist is checked elsewhere.

use super::{Fields, Keywords, boolean, of, string, strings};
use crate::diagnostics::{Problems, Span};
use crate::model::Need;
use crate::yaml::Node;

const NEED: Keywords = Keywords {
    family: "needs",
    supported: &["job", "artifacts", "optional"],
    unsupported: &["parallel", "pipeline", "project", "ref"],
};

/// Compat: `Ci::BuildNeed::MAX_JOB_NAME_LENGTH`.
const MAX_NAME: usize = 128;

/// A value with the place it was written at.
#[derive(Debug, Clone)]
pub(crate) struct Placed<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// A list of names or mappings, or one mapping. Null is as if it were not there.
pub(crate) fn needs(problems: &mut Problems, parent: &str, node: &Node) -> Option<Vec<Placed<Need>>> {
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
            needs.extend(flat.filter_map(|item| need(problems, &at, item)));
        }
        (None, Some([])) => {
            problems.error(node.span, format!("{at} config can not be an empty hash"));
        }
        (None, Some(_)) => needs.extend(need(problems, &at, node)),
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
    Some(needs)
}

fn need(problems: &mut Problems, needs: &str, node: &Node) -> Option<Placed<Need>> {
    let at = format!("{needs}:need");
    let mut need = Need {
        job: String::new(),
        artifacts: true,
        optional: false,
        pipeline: None,
    };
    if let Some(job) = node.as_str() {
        need.job = job.to_owned();
    } else if let Some(entries) = node.as_mapping() {
        let fields = Fields::read(problems, &at, entries, &NEED);
        let other_kind = entries
            .iter()
            .any(|entry| ["pipeline", "project"].contains(&entry.key.as_str()));
        if let Some(job) = fields.get("job").filter(|job| !job.is_null()) {
            need.job = string(problems, job, &of(&at, "job"))?;
        } else if other_kind {
            return None;
        }
        if let Some(artifacts) = fields.get("artifacts") {
            need.artifacts = boolean(problems, artifacts, &of(&at, "artifacts")).unwrap_or(true);
        }
        if let Some(optional) = fields.get("optional") {
            need.optional = boolean(problems, optional, &of(&at, "optional")).unwrap_or(false);
        }
        if other_kind {
            return None;
        }
    } else {
        if !node.is_reported() {
            problems.error(node.span, format!("{at} has an unsupported type"));
        }
        return None;
    }
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
    Some(Placed {
        value: need,
        span: node.span,
    })
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
