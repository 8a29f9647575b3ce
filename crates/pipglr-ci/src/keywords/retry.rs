//! `retry`.

use super::control::exit_codes;
use super::{Fields, Keywords, below, closest, did_you_mean, of, wrong_type};
use crate::diagnostics::Problems;
use crate::model::Retry;
use crate::yaml::{Node, Resolved};

const RETRY: Keywords = Keywords {
    supported: &["max", "when", "exit_codes"],
};

/// Compat: `Gitlab::Ci::Build::AutoRetry`, the limit of `max`.
const MAX: u32 = 2;

/// Compat: `Gitlab::Ci::Config::Entry::Retry::FullRetry.possible_retry_when_values`.
const WHEN: [&str; 22] = [
    "always",
    "unknown_failure",
    "script_failure",
    "api_failure",
    "stuck_or_timeout_failure",
    "stuck_pending_with_matching_runners",
    "stuck_pending_no_matching_runners",
    "no_updates_running",
    "no_updates_canceling",
    "runner_system_failure",
    "runner_configuration_error",
    "runner_external_dependency_failure",
    "runner_interrupted",
    "runner_unsupported",
    "stale_schedule",
    "job_execution_timeout",
    "server_timeout_running",
    "server_timeout_canceling",
    "archived_failure",
    "unmet_prerequisites",
    "scheduler_failure",
    "data_integrity_failure",
];

/// A number, or when and how often. Null is never.
pub(crate) fn retry(problems: &mut Problems, parent: &str, node: &Node) -> Retry {
    let at = below(parent, "retry");
    if node.is_null() {
        return Retry::default();
    }
    if let Some(Resolved::Integer(digits)) = node.resolve() {
        let max = times(problems, &format!("{at} config"), node, &digits);
        return with_default_reason(Retry {
            max,
            ..Retry::default()
        });
    }
    let Some(entries) = node.as_mapping() else {
        if !node.is_reported() {
            let message = format!("{at} config has to be either an integer or a hash");
            problems.error_with_hint(node.span, message, "write a number from 0 to 2");
        }
        return Retry::default();
    };
    let fields = Fields::read(problems, &at, entries, &RETRY);
    let mut retry = Retry::default();
    if let Some(max) = fields.get("max").filter(|max| !max.is_null()) {
        match max.resolve() {
            Some(Resolved::Integer(digits)) => retry.max = times(problems, &of(&at, "max"), max, &digits),
            _ => wrong_type(problems, max, &of(&at, "max"), "an integer"),
        }
    }
    if let Some(when) = fields.get("when").filter(|when| !when.is_null()) {
        retry.when = reasons(problems, &at, when);
    }
    if let Some(codes) = fields.get("exit_codes").filter(|codes| !codes.is_null()) {
        retry.exit_codes = exit_codes(problems, &of(&at, "exit_codes"), codes);
    }
    with_default_reason(retry)
}

/// Compat: without reasons every failure counts, unless there are exit codes.
fn with_default_reason(mut retry: Retry) -> Retry {
    if retry.max > 0 && retry.when.is_empty() && retry.exit_codes.is_empty() {
        retry.when.push("always".to_owned());
    }
    retry
}

fn times(problems: &mut Problems, subject: &str, node: &Node, digits: &str) -> u32 {
    match digits.parse::<i64>() {
        Ok(max @ 0..=2) => u32::try_from(max).unwrap_or(MAX),
        Ok(..0) => {
            problems.error(node.span, format!("{subject} must be greater than or equal to 0"));
            0
        }
        Ok(3..) | Err(_) => {
            let message = format!("{subject} must be less than or equal to {MAX}");
            problems.error_with_hint(
                node.span,
                message,
                "GitLab repeats a job twice at most; a script may repeat a command",
            );
            MAX
        }
    }
}

/// One reason or several.
fn reasons(problems: &mut Problems, at: &str, node: &Node) -> Vec<String> {
    let subject = of(at, "when");
    let items: Vec<&Node> = match node.as_sequence() {
        Some(items) => items.iter().map(|item| &**item).collect(),
        None => vec![node],
    };
    let mut reasons = Vec::new();
    for item in items {
        match item.as_str() {
            Some(reason) if WHEN.contains(&reason) => reasons.push(reason.to_owned()),
            Some(reason) => {
                let message = if node.as_sequence().is_some() {
                    format!("{subject} contains unknown values: {reason}")
                } else {
                    format!("{subject} is not included in the list")
                };
                let hint =
                    closest(reason, WHEN.iter()).map_or_else(|| format!("one of: {}", WHEN.join(", ")), did_you_mean);
                problems.error_with_hint(item.span, message, hint);
            }
            None => wrong_type(problems, item, &subject, "an array of strings or a string"),
        }
    }
    reasons
}
