//! `stage`, `stages`, `when`, `start_in`, `allow_failure`, `timeout`, `tags`, `interruptible`, `resource_group`.

use super::needs::Holder;
use super::{
    DURATION, Fields, Keywords, STRINGS, below, boolean, closest_of, did_you_mean, duration, filled, of, string,
    strings, word, wrong_type,
};
use crate::diagnostics::{Problems, Span};
use crate::model::{AllowFailure, When};
use crate::yaml::{Kind, Node, Resolved};
use std::rc::Rc;
use std::time::Duration;

const ALLOW_FAILURE: Keywords = Keywords {
    supported: &["exit_codes"],
};

/// Compat: `Project::MAX_BUILD_TIMEOUT`, one month, as its durations count months.
const MAX_TIMEOUT: Duration = Duration::from_secs(30 * 86_400);

/// Compat: `Gitlab::Ci::Config::Entry::Job`, the limit of `start_in`.
const MAX_START_IN: Duration = Duration::from_secs(7 * 86_400);

/// Compat: `Gitlab::Ci::Config::Entry::Tags::TAGS_LIMIT`.
const TAGS_LIMIT: usize = 50;

/// The stages of the file, flattened and each once. `None` when that was reported.
pub(crate) fn stages(problems: &mut Problems, node: &Node) -> Option<Vec<String>> {
    let mut stages = Vec::new();
    let complete = match node.as_sequence() {
        Some(items) => flatten_stages(problems, items, &mut stages),
        None => {
            wrong_type(problems, node, "stages config", STRINGS);
            false
        }
    };
    complete.then_some(stages)
}

/// Whether every item is a stage.
fn flatten_stages(problems: &mut Problems, items: &[Rc<Node>], stages: &mut Vec<String>) -> bool {
    let mut complete = true;
    for item in items {
        match (&item.kind, item.as_str()) {
            (_, Some(stage)) if stages.iter().any(|seen| seen == stage) => {}
            (_, Some(stage)) => stages.push(stage.to_owned()),
            (Kind::Sequence(inner), None) => complete &= flatten_stages(problems, inner, stages),
            (_, None) => {
                wrong_type(problems, item, "stages config", STRINGS);
                complete = false;
            }
        }
    }
    complete
}

/// The stage of a job; `None` when it was reported.
pub(crate) fn stage(problems: &mut Problems, at: &str, node: &Node) -> Option<String> {
    if node.is_null() {
        Some("test".to_owned())
    } else {
        string(problems, node, &of(at, "stage"))
    }
}

/// When a job runs.
pub(crate) fn when(problems: &mut Problems, at: &str, node: &Node, holder: Holder) -> When {
    let known = match holder {
        Holder::Job => &["on_success", "on_failure", "always", "manual", "delayed"][..],
        Holder::Trigger => &["on_success", "on_failure", "always", "manual"],
    };
    match word(node, known) {
        Some("on_failure") => When::OnFailure,
        Some("always") => When::Always,
        Some("manual") => When::Manual,
        Some("delayed") => When::Delayed,
        Some(_) => When::OnSuccess,
        None => {
            if !node.is_null() && !node.is_reported() {
                let message = format!("{at} when should be one of: {}", known.join(", "));
                match node.as_str() {
                    Some("never") => problems.error_with_hint(
                        node.span,
                        message,
                        "GitLab takes `never` only in `rules`; to switch a job off, put a `.` before its name",
                    ),
                    Some("delayed") => {
                        problems.error_with_hint(node.span, message, "only jobs with a script can be delayed");
                    }
                    text => match text.and_then(|text| closest_of(text, known.iter().copied())) {
                        Some(known) => problems.error_with_hint(node.span, message, did_you_mean(known)),
                        None => problems.error(node.span, message),
                    },
                }
            }
            When::OnSuccess
        }
    }
}

/// How long a delayed job waits. `place` is what is marked when nothing is said.
pub(crate) fn start_in(problems: &mut Problems, at: &str, node: Option<&Node>, place: Span) -> Option<Duration> {
    let subject = of(at, "start_in");
    let Some(node) = node.filter(|node| !node.is_null()) else {
        let hint = "`when: delayed` needs it: `start_in: 30 minutes`";
        problems.error_with_hint(place, format!("{subject} should be {DURATION}"), hint);
        return None;
    };
    limited(problems, &subject, node, (MAX_START_IN, "the limit is 1 week"))
}

/// A duration up to a limit, of which the hint tells.
fn limited(problems: &mut Problems, subject: &str, node: &Node, (max, hint): (Duration, &str)) -> Option<Duration> {
    let Some(seconds) = node.as_str().and_then(duration::parse_seconds) else {
        wrong_type(problems, node, subject, DURATION);
        return None;
    };
    if seconds > max.as_secs_f64() {
        problems.error_with_hint(node.span, format!("{subject} should not exceed the limit"), hint);
        return None;
    }
    duration::whole(seconds)
}

/// A boolean or exit codes; `None` for null and what was reported. Triggers take a boolean only.
pub(crate) fn allow_failure(
    problems: &mut Problems,
    parent: &str,
    node: &Node,
    holder: Holder,
) -> Option<AllowFailure> {
    if node.is_null() {
        return None;
    }
    if let Some(allowed) = node.as_bool() {
        return Some(if allowed { AllowFailure::Yes } else { AllowFailure::No });
    }
    if holder == Holder::Trigger {
        wrong_type(problems, node, &of(parent, "allow_failure"), "a boolean value");
        return None;
    }
    let at = below(parent, "allow_failure");
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{at} config"), "a hash or a boolean value");
        return None;
    };
    let fields = Fields::read(problems, &at, entries, &ALLOW_FAILURE);
    let codes = fields.get("exit_codes").filter(|codes| !codes.is_null());
    let Some(codes) = codes else {
        // Any other key is reported as such.
        if entries.is_empty() || fields.get("exit_codes").is_some() {
            problems.error(node.span, format!("{at} config can't be blank"));
        }
        return None;
    };
    Some(AllowFailure::ExitCodes(exit_codes(
        problems,
        &of(&at, "exit_codes"),
        codes,
    )))
}

/// One exit code or several.
pub(super) fn exit_codes(problems: &mut Problems, subject: &str, node: &Node) -> Vec<i32> {
    let items: Vec<&Node> = match node.as_sequence() {
        Some(items) => items.iter().map(|item| &**item).collect(),
        None => vec![node],
    };
    let mut codes = Vec::new();
    for item in items {
        match exit_code(item) {
            Some(code) => codes.push(code),
            None => wrong_type(problems, item, subject, "an array of integers or an integer"),
        }
    }
    codes
}

fn exit_code(node: &Node) -> Option<i32> {
    match node.resolve() {
        Some(Resolved::Integer(digits)) => digits.parse().ok(),
        _ => None,
    }
}

/// How long a job may run.
pub(crate) fn timeout(problems: &mut Problems, at: &str, node: &Node) -> Option<Duration> {
    if node.is_null() {
        return None;
    }
    let subject = format!("{} config", below(at, "timeout"));
    limited(problems, &subject, node, (MAX_TIMEOUT, "the limit is 1 month"))
}

/// The tags a runner must have.
pub(crate) fn tags(problems: &mut Problems, at: &str, node: &Node) -> Vec<String> {
    let subject = format!("{} config", below(at, "tags"));
    let tags = strings(problems, node, &subject).unwrap_or_default();
    if tags.len() >= TAGS_LIMIT {
        problems.error(
            node.span,
            format!("{subject} must be less than the limit of {TAGS_LIMIT} tags"),
        );
    }
    tags
}

/// Whether a newer pipeline may end the job.
pub(crate) fn interruptible(problems: &mut Problems, at: &str, node: &Node) -> bool {
    let subject = format!("{} config", below(at, "interruptible"));
    boolean(problems, node, &subject).unwrap_or(false)
}

/// The group of which one job runs at a time.
pub(crate) fn resource_group(problems: &mut Problems, at: &str, node: &Node) -> Option<String> {
    filled(problems, node, &of(at, "resource_group"))
}
