//! `trigger`: the pipeline that a job starts.

use super::json::{object, to_json};
use super::{Fields, Keywords, below, boolean, of, string, word, wrong_type};
use crate::diagnostics::Placed;
use crate::diagnostics::Problems;
use crate::model::{ChildInclude, Trigger, TriggerTarget};
use crate::yaml::Node;

const PROJECT: Keywords = Keywords {
    supported: &["project", "branch", "strategy", "forward", "inputs"],
};
const CHILD: Keywords = Keywords {
    supported: &["include", "strategy", "forward", "inputs"],
};
const FORWARD: Keywords = Keywords {
    supported: &["yaml_variables", "pipeline_variables"],
};
const INCLUDE: Keywords = Keywords {
    supported: &[
        "local",
        "project",
        "ref",
        "file",
        "remote",
        "template",
        "component",
        "artifact",
        "job",
        "inputs",
        "integrity",
        "rules",
    ],
};

/// What says where a file is; an entry has exactly one.
const SOURCES: [&str; 6] = ["local", "project", "remote", "template", "component", "artifact"];

/// Compat: `Gitlab::Ci::Config::Entry::Trigger::ComplexTrigger::SameProjectTrigger::INCLUDE_MAX_SIZE`.
const MAX_INCLUDES: usize = 3;

/// A trigger with the jobs whose artifacts it reads.
pub(crate) struct Read {
    pub(crate) trigger: Trigger,
    pub(crate) producers: Vec<Placed<String>>,
}

/// A project, or a mapping. `None` for null and for what was reported.
pub(crate) fn trigger(problems: &mut Problems, parent: &str, node: &Node) -> Option<Read> {
    let at = below(parent, "trigger");
    let mut read = Read {
        trigger: Trigger {
            forward_yaml_variables: true,
            ..Trigger::default()
        },
        producers: Vec::new(),
    };
    if node.is_null() {
        let message = format!("{parent} config should contain either a trigger or a needs:pipeline");
        problems.error(node.span, message);
        return None;
    }
    if let Some(path) = node.as_str() {
        if path.trim().is_empty() {
            problems.error(node.span, format!("{at} config can't be blank"));
        }
        read.trigger.target = TriggerTarget::Project {
            path: path.to_owned(),
            branch: None,
        };
        return Some(read);
    }
    let Some(entries) = node.as_mapping() else {
        if !node.is_reported() {
            let message = format!("{at} has to be either a string or a hash");
            problems.error_with_hint(
                node.span,
                message,
                "name a project, or use `include` for a child pipeline",
            );
        }
        return None;
    };
    let is_child = entries.iter().any(|entry| entry.key == "include");
    let fields = Fields::read(problems, &at, entries, if is_child { &CHILD } else { &PROJECT });
    read.trigger.target = match fields.get("include") {
        Some(include) => TriggerTarget::Child(includes(problems, &at, include, &mut read.producers)),
        None => project(problems, &at, node, &fields),
    };
    let strategy = strategy(problems, &at, &fields);
    read.trigger.wait = strategy.is_some();
    read.trigger.mirror = strategy == Some("mirror");
    if let Some(node) = fields.get("forward") {
        forward(problems, &at, node, &mut read.trigger);
    }
    if let Some(node) = fields.get("inputs") {
        read.trigger.inputs = inputs(problems, &at, node);
    }
    Some(read)
}

fn project(problems: &mut Problems, at: &str, node: &Node, fields: &Fields<'_>) -> TriggerTarget {
    let path = fields
        .get("project")
        .filter(|path| !path.is_null())
        .map(|path| string(problems, path, &of(at, "project")));
    if path
        .as_ref()
        .is_none_or(|path| path.as_ref().is_some_and(|path| path.trim().is_empty()))
    {
        problems.error_with_hint(
            node.span,
            format!("{at} project can't be blank"),
            "name a project, or use `include` for a child pipeline",
        );
    }
    let branch = fields
        .get("branch")
        .and_then(|node| string(problems, node, &of(at, "branch")));
    TriggerTarget::Project {
        path: path.flatten().unwrap_or_default(),
        branch,
    }
}

/// `None`: the job is done once the pipeline is there.
fn strategy(problems: &mut Problems, at: &str, fields: &Fields<'_>) -> Option<&'static str> {
    let node = fields.get("strategy").filter(|node| !node.is_null())?;
    let strategy = word(node, &["depend", "mirror"]);
    if strategy.is_none() && !node.is_reported() {
        problems.error(node.span, format!("{at} strategy should be depend or mirror"));
    }
    strategy
}

/// Compat: `Gitlab::Ci::Config::Entry::Trigger::Forward`.
fn forward(problems: &mut Problems, parent: &str, node: &Node, trigger: &mut Trigger) {
    if node.is_null() {
        return;
    }
    let at = below(parent, "forward");
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{at} config"), "a hash");
        return;
    };
    let fields = Fields::read(problems, &at, entries, &FORWARD);
    let mut flag = |key: &str| fields.get(key).and_then(|node| boolean(problems, node, &of(&at, key)));
    if let Some(yaml) = flag("yaml_variables") {
        trigger.forward_yaml_variables = yaml;
    }
    if let Some(pipeline) = flag("pipeline_variables") {
        trigger.forward_pipeline_variables = pipeline;
    }
}

fn inputs(problems: &mut Problems, at: &str, node: &Node) -> serde_json::Map<String, serde_json::Value> {
    match node.as_mapping() {
        Some(entries) => object(entries),
        None => {
            if !node.is_null() {
                wrong_type(problems, node, &of(at, "inputs"), "a hash");
            }
            serde_json::Map::new()
        }
    }
}

/// One file or several.
fn includes(
    problems: &mut Problems,
    parent: &str,
    node: &Node,
    producers: &mut Vec<Placed<String>>,
) -> Vec<ChildInclude> {
    let at = below(parent, "include");
    let items: Vec<&Node> = match node.as_sequence() {
        Some(items) => items.iter().map(|item| &**item).collect(),
        None => vec![node],
    };
    if items.is_empty() || node.is_null() {
        problems.error(node.span, format!("{at} config can't be blank"));
        return Vec::new();
    }
    if items.len() > MAX_INCLUDES {
        let message = format!("{at} config is too long (maximum is {MAX_INCLUDES})");
        problems.error(node.span, message);
    }
    items
        .into_iter()
        .filter_map(|item| include(problems, &at, item, producers))
        .collect()
}

fn include(
    problems: &mut Problems,
    at: &str,
    node: &Node,
    producers: &mut Vec<Placed<String>>,
) -> Option<ChildInclude> {
    if node.as_str().is_some() {
        return Some(ChildInclude::Include(to_json(node)));
    }
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{at} config"), "a hash or a string");
        return None;
    };
    let fields = Fields::read(problems, at, entries, &INCLUDE);
    let sources: Vec<&str> = SOURCES.into_iter().filter(|key| fields.get(key).is_some()).collect();
    match sources.as_slice() {
        ["artifact"] => artifact(problems, at, node, &fields, producers),
        [_] => complete(problems, at, node, &fields).then(|| ChildInclude::Include(to_json(node))),
        [] => {
            let message = format!("{at} config must specify the file where to fetch the config from");
            problems.error_with_hint(node.span, message, format!("one of: {}", SOURCES.join(", ")));
            None
        }
        several => {
            let message = format!("Each include must use only one of: {}", SOURCES.join(", "));
            problems.error_with_hint(node.span, message, format!("here are: {}", several.join(", ")));
            None
        }
    }
}

/// Compat: `Gitlab::Ci::Config::Entry::Include`, which wants `file` with `project` and `artifact` with `job`.
fn complete(problems: &mut Problems, at: &str, node: &Node, fields: &Fields<'_>) -> bool {
    let missing = [("project", "file"), ("file", "project"), ("job", "artifact")]
        .into_iter()
        .find(|(key, other)| fields.get(key).is_some() && fields.get(other).is_none());
    if let Some((key, other)) = missing {
        let message = format!("{at} config must specify the {other} where to fetch the config from");
        problems.error_with_hint(node.span, message, format!("`{key}` goes together with `{other}`"));
    }
    missing.is_none()
}

fn artifact(
    problems: &mut Problems,
    at: &str,
    node: &Node,
    fields: &Fields<'_>,
    producers: &mut Vec<Placed<String>>,
) -> Option<ChildInclude> {
    let path = fields.get("artifact")?;
    let path = string(problems, path, &of(at, "artifact"))?;
    let Some(job) = fields.get("job").filter(|job| !job.is_null()) else {
        let message = format!("{at} config must specify the job where to fetch the artifact from");
        problems.error_with_hint(node.span, message, "add `job: NAME`");
        return None;
    };
    let value = string(problems, job, &of(at, "job"))?;
    producers.push(Placed {
        value: value.clone(),
        span: job.span,
    });
    let inputs = fields.get("inputs").map(|node| inputs(problems, at, node));
    Some(ChildInclude::Artifact {
        job: value,
        path,
        inputs: inputs.unwrap_or_default(),
    })
}
