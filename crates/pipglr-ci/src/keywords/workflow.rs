//! `workflow`: whether there is a pipeline, and how it is called.

use super::rules::{Expressions, Family, PartialAutoCancel, Rule, rules};
use super::{Fields, Keywords, below, of, string, word, wrong_type};
use crate::diagnostics::Problems;
use crate::model::OnNewCommit;
use crate::yaml::Node;

const WORKFLOW: Keywords = Keywords {
    supported: &["name", "rules", "auto_cancel"],
};

const AUTO_CANCEL: Keywords = Keywords {
    supported: &["on_new_commit", "on_job_failure"],
};

/// Compat: `Entry::Workflow`.
const MAX_NAME: usize = 255;

/// `workflow`, as written.
#[derive(Debug, Default)]
pub(crate) struct Workflow {
    pub(crate) name: Option<String>,
    /// `None` when the key is absent or says nothing.
    pub(crate) rules: Option<Vec<Rule>>,
    /// The key `rules` is there, whatever it says: jobs lose their implicit `only`.
    pub(crate) has_rules: bool,
    pub(crate) auto_cancel: PartialAutoCancel,
}

pub(crate) fn workflow(problems: &mut Problems, node: &Node, expressions: &mut Expressions) -> Workflow {
    if node.is_null() {
        return Workflow::default();
    }
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, "workflow config", "a hash");
        return Workflow::default();
    };
    let fields = Fields::read(problems, "workflow", entries, &WORKFLOW);
    let name = fields
        .get("name")
        .and_then(|node| string(problems, node, "workflow name"));
    if let (Some(node), Some(name)) = (fields.get("name"), &name)
        && name.chars().count() > MAX_NAME
    {
        let message = format!("workflow name is too long (maximum is {MAX_NAME} characters)");
        problems.error(node.span, message);
    }
    Workflow {
        name,
        rules: fields
            .get("rules")
            .and_then(|node| rules(problems, "workflow", node, Family::Workflow, expressions)),
        has_rules: fields.entry("rules").is_some(),
        auto_cancel: fields
            .get("auto_cancel")
            .filter(|node| !node.is_null())
            .map(|node| auto_cancel(problems, "workflow", node))
            .unwrap_or_default(),
    }
}

pub(super) fn auto_cancel(problems: &mut Problems, parent: &str, node: &Node) -> PartialAutoCancel {
    let at = below(parent, "auto_cancel");
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{at} config"), "a hash");
        return PartialAutoCancel::default();
    };
    let fields = Fields::read(problems, &at, entries, &AUTO_CANCEL);
    let mut one_of = |name: &str, words: &[&'static str]| {
        let node = fields.get(name).filter(|node| !node.is_null())?;
        let known = word(node, words);
        if known.is_none() && !node.is_reported() {
            let message = format!("{} must be one of: {}", of(&at, name), words.join(", "));
            problems.error(node.span, message);
        }
        known
    };
    let on_new_commit = one_of("on_new_commit", &["conservative", "interruptible", "none"]);
    let on_job_failure = one_of("on_job_failure", &["none", "all"]);
    PartialAutoCancel {
        on_new_commit: on_new_commit.map(|word| match word {
            "interruptible" => OnNewCommit::Interruptible,
            "none" => OnNewCommit::None,
            _ => OnNewCommit::Conservative,
        }),
        on_job_failure: on_job_failure.map(|word| word == "all"),
    }
}
