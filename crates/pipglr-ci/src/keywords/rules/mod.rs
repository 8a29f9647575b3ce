//! `rules` of jobs, of `workflow` and of `include`.

mod clauses;

pub(crate) use clauses::{Changes, Condition, Exists, Expressions, Patterns, condition};

use super::needs::{Holder, WrittenNeed, needs};
use super::{ARRAY, Fields, Keywords, below, boolean, control, of, word, wrong_type};
use crate::diagnostics::{Problems, Span};
use crate::model::{AutoCancel, Variable, When};
use crate::yaml::{Kind, Node};
use std::rc::Rc;
use std::time::Duration;

/// Whose rules they are, which decides what a rule may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Job,
    Workflow,
    Include,
}

const JOB_RULE: Keywords = Keywords {
    supported: &[
        "if",
        "changes",
        "exists",
        "when",
        "start_in",
        "allow_failure",
        "variables",
        "needs",
        "interruptible",
    ],
};

/// Compat: `Entry::Workflow`: `start_in`, `allow_failure` and `needs` are tolerated and have no effect.
const WORKFLOW_RULE: Keywords = Keywords {
    supported: &[
        "if",
        "changes",
        "exists",
        "when",
        "start_in",
        "allow_failure",
        "variables",
        "needs",
        "auto_cancel",
    ],
};

const INCLUDE_RULE: Keywords = Keywords {
    supported: &["if", "changes", "exists", "when"],
};

/// Compat: `Processable::MAX_NESTING_LEVEL`.
const MAX_NESTING: usize = 10;

/// One rule, as written.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) span: Span,
    pub(crate) condition: Option<Condition>,
    pub(crate) changes: Option<Changes>,
    pub(crate) exists: Option<Exists>,
    pub(crate) when: Option<When>,
    pub(crate) start_in: Option<Duration>,
    pub(crate) allow_failure: Option<bool>,
    pub(crate) variables: Vec<Variable>,
    /// Before `parallel` is expanded: `lower::parallel::Expansions::needs` does.
    pub(crate) needs: Option<Vec<WrittenNeed>>,
    pub(crate) interruptible: Option<bool>,
    pub(crate) auto_cancel: Option<PartialAutoCancel>,
    /// It says nothing but `when`.
    pub(crate) only_when: bool,
}

/// `auto_cancel` as far as it is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PartialAutoCancel {
    pub(crate) on_new_commit: Option<crate::model::OnNewCommit>,
    pub(crate) on_job_failure: Option<bool>,
}

impl Rule {
    pub(crate) fn is_never(&self) -> bool {
        self.when == Some(When::Never)
    }
}

impl PartialAutoCancel {
    /// What is said here, over what is said there.
    pub(crate) fn over(self, base: AutoCancel) -> AutoCancel {
        AutoCancel {
            on_new_commit: self.on_new_commit.unwrap_or(base.on_new_commit),
            on_job_failure: self.on_job_failure.unwrap_or(base.on_job_failure),
        }
    }
}

/// A list of rules, nested as references leave it. `None` for null and for what is reported as a whole.
pub(crate) fn rules(
    problems: &mut Problems,
    parent: &str,
    node: &Node,
    family: Family,
    expressions: &mut Expressions,
) -> Option<Vec<Rule>> {
    if node.is_null() {
        return None;
    }
    let at = below(parent, "rules");
    let Some(items) = node.as_sequence() else {
        wrong_type(problems, node, &format!("{at} config"), ARRAY);
        return None;
    };
    if items.is_empty() {
        problems.error_with_hint(
            node.span,
            format!("{at} config can't be blank"),
            "without rules, leave the keyword away",
        );
        return None;
    }
    let mut flat = Vec::new();
    flatten(problems, &at, items, 1, &mut flat);
    let at = below(&at, "rule");
    Some(
        flat.into_iter()
            .filter_map(|item| rule(problems, &at, item, family, expressions))
            .collect(),
    )
}

fn flatten<'n>(problems: &mut Problems, at: &str, items: &'n [Rc<Node>], level: usize, flat: &mut Vec<&'n Node>) {
    for item in items {
        match &item.kind {
            Kind::Sequence(inner) if level < MAX_NESTING => flatten(problems, at, inner, level + 1, flat),
            Kind::Sequence(_) => {
                let message = format!("{at} config should be nested at most {MAX_NESTING} levels deep");
                problems.error(item.span, message);
            }
            _ => flat.push(item),
        }
    }
}

fn rule(problems: &mut Problems, at: &str, node: &Node, family: Family, expressions: &mut Expressions) -> Option<Rule> {
    let Some(entries) = node.as_mapping() else {
        match node.as_str().filter(|text| text.contains('$')) {
            Some(_) => {
                let message = format!("{at} config should be a hash");
                problems.error_with_hint(node.span, message, "write `if: ` before an expression");
            }
            None => wrong_type(problems, node, &format!("{at} config"), "a hash"),
        }
        return None;
    };
    if entries.is_empty() {
        problems.error(node.span, format!("{at} config can't be blank"));
        return None;
    }
    let keywords = match family {
        Family::Job => &JOB_RULE,
        Family::Workflow => &WORKFLOW_RULE,
        Family::Include => &INCLUDE_RULE,
    };
    let fields = Fields::read(problems, at, entries, keywords);
    let field = |name: &str| fields.get(name).filter(|value| !value.is_null());
    let when = field("when").and_then(|node| when(problems, at, node, family));
    Some(Rule {
        span: node.span,
        condition: field("if").and_then(|node| condition(problems, &of(at, "if"), node, expressions)),
        changes: field("changes").and_then(|node| clauses::changes(problems, at, node)),
        exists: field("exists").and_then(|node| clauses::exists(problems, at, node)),
        start_in: start_in(problems, at, node, &fields, when),
        when,
        allow_failure: field("allow_failure").and_then(|node| boolean(problems, node, &of(at, "allow_failure"))),
        variables: field("variables")
            .map(|node| variables(problems, at, node))
            .unwrap_or_default(),
        needs: field("needs").and_then(|node| needs(problems, at, node, Holder::Job)),
        interruptible: field("interruptible").and_then(|node| boolean(problems, node, &of(at, "interruptible"))),
        auto_cancel: field("auto_cancel").map(|node| super::workflow::auto_cancel(problems, at, node)),
        only_when: entries.len() == 1 && when.is_some(),
    })
}

fn when(problems: &mut Problems, at: &str, node: &Node, family: Family) -> Option<When> {
    let allowed: &[&str] = match family {
        Family::Job => &["on_success", "on_failure", "always", "never", "manual", "delayed"],
        Family::Workflow | Family::Include => &["always", "never"],
    };
    let Some(known) = word(node, allowed) else {
        if !node.is_reported() {
            let shown = node.resolve().map(|value| value.to_text()).unwrap_or_default();
            let message = format!("{} unknown value: {shown}", of(at, "when"));
            problems.error_with_hint(node.span, message, format!("allowed here: {}", allowed.join(", ")));
        }
        return None;
    };
    Some(match known {
        "on_failure" => When::OnFailure,
        "always" => When::Always,
        "never" => When::Never,
        "manual" => When::Manual,
        "delayed" => When::Delayed,
        _ => When::OnSuccess,
    })
}

/// How long a delayed job waits; required with `when: delayed` and forbidden without.
fn start_in(
    problems: &mut Problems,
    at: &str,
    rule: &Node,
    fields: &Fields<'_>,
    when: Option<When>,
) -> Option<Duration> {
    let entry = fields.entry("start_in");
    let value = entry.map(|entry| &*entry.value).filter(|node| !node.is_null());
    match (when, entry) {
        (Some(When::Delayed), _) => control::start_in(problems, at, value, rule.span),
        (_, Some(entry)) => {
            let message = format!("{at} config contains disallowed keys: start_in");
            problems.error_with_hint(entry.key_span, message, "it belongs to `when: delayed`");
            None
        }
        (_, None) => None,
    }
}

/// Names to plain values; the long form is not taken here.
fn variables(problems: &mut Problems, at: &str, node: &Node) -> Vec<Variable> {
    let subject = below(at, "variables");
    let Some(entries) = node.as_mapping() else {
        wrong_type(
            problems,
            node,
            &format!("{subject} config"),
            "a hash of key value pairs",
        );
        return Vec::new();
    };
    let mut variables = Vec::with_capacity(entries.len());
    for entry in entries {
        match entry.value.resolve() {
            Some(value) => variables.push(Variable {
                key: entry.key.clone(),
                value: value.to_text(),
                expand: true,
            }),
            None if entry.value.is_reported() => {}
            None => problems.error_with_hint(
                entry.value.span,
                format!("{subject} config should be a hash of key value pairs"),
                "a rule sets values only: `NAME: value`",
            ),
        }
    }
    variables
}
