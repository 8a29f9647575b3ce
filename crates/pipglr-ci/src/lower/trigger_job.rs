//! A job with `trigger`: it runs on no runner and has few keywords.

use super::defaults::Inheritable;
use super::job::{Surroundings, Written, draft, read_inherit};
use crate::diagnostics::Problems;
use crate::keywords::needs::{Holder, needs};
use crate::keywords::{Fields, Keywords, below, trigger};
use crate::yaml::Entry;

/// Compat: `Gitlab::Ci::Config::Entry::Bridge`.
const TRIGGER_JOB: Keywords = Keywords {
    supported: &[
        "allow_failure",
        "environment",
        "except",
        "extends",
        "inherit",
        "interruptible",
        "needs",
        "only",
        "parallel",
        "resource_group",
        "rules",
        "stage",
        "trigger",
        "variables",
        "when",
    ],
};

pub(super) fn trigger_job(problems: &mut Problems, entry: &Entry, around: &Surroundings<'_>) -> Written {
    let at = below("jobs", &entry.key);
    let fields = Fields::read(
        problems,
        &at,
        entry.value.as_mapping().unwrap_or_default(),
        &TRIGGER_JOB,
    );
    let inherit = read_inherit(problems, &at, &fields);
    let own = Inheritable::read(problems, &at, &fields).or(around.defaults, &inherit.default);
    let mut draft = draft(problems, &at, entry, &fields, inherit, around, Holder::Trigger);
    draft.job.interruptible = own.interruptible.unwrap_or_default();
    let read = fields
        .get("trigger")
        .and_then(|node| trigger::trigger(problems, &at, node));
    if let Some(read) = read {
        draft.job.trigger = Some(read.trigger);
        draft.producers = read.producers.into();
    }
    Written {
        draft,
        needs: fields
            .get("needs")
            .and_then(|node| needs(problems, &at, node, Holder::Trigger)),
        dependencies: None,
    }
}
