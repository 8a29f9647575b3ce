//! `environment`: what a job deploys to.

use super::{
    DURATION, Fields, Keywords, below, boolean, closest, did_you_mean, duration, of, string, word, wrong_type,
};
use crate::diagnostics::Placed;
use crate::diagnostics::Problems;
use crate::model::{Environment, EnvironmentAction};
use crate::yaml::{Entry, Node};
use regex::RegexSet;
use std::sync::LazyLock;

const ENVIRONMENT: Keywords = Keywords {
    supported: &[
        "name",
        "url",
        "action",
        "on_stop",
        "auto_stop_in",
        "deployment_tier",
        "kubernetes",
    ],
};
const KUBERNETES: Keywords = Keywords {
    supported: &[
        "agent",
        "namespace",
        "flux_resource_path",
        "managed_resources",
        "dashboard",
    ],
};

const ACTIONS: [&str; 5] = ["start", "stop", "prepare", "verify", "access"];
const TIERS: [&str; 5] = ["production", "staging", "testing", "development", "other"];

/// Compat: `Environment`, the length of `external_url` and of `name`.
const MAX_LENGTH: usize = 255;

/// Compat: `Gitlab::Regex.environment_name_regex_message`.
const NAME_RULE: &str = "can contain only letters, digits, '-', '_', '/', '$', '{', '}', '.', and spaces, but it cannot \
                         start or end with '/'";

/// An environment with what can only be judged together with other jobs.
pub(crate) struct Read {
    /// Its tier is empty when it has to be guessed from the expanded name.
    pub(crate) environment: Environment,
    /// The job that stops it, where it is written.
    pub(crate) on_stop: Option<Placed<String>>,
}

/// A name or a mapping with a name. Null is none.
///
/// Compat: `Gitlab::Ci::Config::Entry::Environment`.
pub(crate) fn environment(problems: &mut Problems, parent: &str, node: &Node) -> Option<Read> {
    if node.is_null() {
        return None;
    }
    let at = below(parent, "environment");
    let mut environment = Environment::default();
    if node.as_str().is_some() {
        environment.name = name(problems, &at, node)?;
        return Some(Read {
            environment,
            on_stop: None,
        });
    }
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{at} config"), "a hash or a string");
        return None;
    };
    let fields = Fields::read(problems, &at, entries, &ENVIRONMENT);
    match fields.get("name").filter(|name| !name.is_null()) {
        Some(node) => environment.name = name(problems, &at, node).unwrap_or_default(),
        None => {
            let message = format!("{at} name can't be blank");
            problems.error_with_hint(node.span, message, "say which: `name: production`");
        }
    }
    if let Some(node) = fields.get("url") {
        environment.url = url(problems, &at, node);
    }
    if let Some(node) = fields.get("action") {
        environment.action = action(problems, &at, node);
    }
    if let Some(node) = fields.get("auto_stop_in") {
        environment.auto_stop_in = auto_stop_in(problems, &at, node);
    }
    if let Some(node) = fields.get("deployment_tier") {
        environment.tier = tier(problems, &at, node);
    }
    if let Some(entry) = fields.entry("kubernetes") {
        kubernetes(problems, &at, entry);
    }
    let on_stop = fields.get("on_stop").and_then(|node| {
        let value = string(problems, node, &of(&at, "on_stop"))?;
        Some(Placed { value, span: node.span })
    });
    environment.on_stop = on_stop.as_ref().map(|job| job.value.clone());
    Some(Read { environment, on_stop })
}

fn name(problems: &mut Problems, at: &str, node: &Node) -> Option<String> {
    let subject = of(at, "name");
    let Some(name) = node.as_str() else {
        if !node.is_reported() {
            problems.error_with_hint(node.span, format!("{subject} {NAME_RULE}"), "put it in quotes");
        }
        return None;
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_/${}. ".contains(c);
    if name.trim().is_empty() {
        problems.error(node.span, format!("{subject} can't be blank"));
        None
    } else if !name.chars().all(allowed) || name.starts_with('/') || name.ends_with('/') {
        problems.error(node.span, format!("{subject} {NAME_RULE}"));
        None
    } else {
        Some(name.to_owned())
    }
}

fn url(problems: &mut Problems, at: &str, node: &Node) -> Option<String> {
    let url = string(problems, node, &of(at, "url"))?;
    if url.chars().count() > MAX_LENGTH {
        let message = format!("{at} url is too long (maximum is {MAX_LENGTH} characters)");
        problems.error(node.span, message);
        return None;
    }
    Some(url)
}

fn action(problems: &mut Problems, at: &str, node: &Node) -> EnvironmentAction {
    match word(node, &ACTIONS) {
        Some("stop") => EnvironmentAction::Stop,
        Some("prepare") => EnvironmentAction::Prepare,
        Some("verify") => EnvironmentAction::Verify,
        Some("access") => EnvironmentAction::Access,
        Some(_) => EnvironmentAction::Start,
        None => {
            if let Some(text) = node.as_str() {
                let message = format!("{at} action should be start, stop, prepare, verify, or access");
                match closest(text, ACTIONS.iter()) {
                    Some(known) => problems.error_with_hint(node.span, message, did_you_mean(known)),
                    None => problems.error(node.span, message),
                }
            } else if !node.is_null() {
                wrong_type(problems, node, &of(at, "action"), "a string");
            }
            EnvironmentAction::Start
        }
    }
}

/// As written, for the coordinator counts from the deployment.
fn auto_stop_in(problems: &mut Problems, at: &str, node: &Node) -> Option<String> {
    let text = node.as_str();
    // Compat: variables are expanded later, so what they hold is not known here.
    if text.is_some_and(|text| text == "never" || text.contains('$') || duration::parse_seconds(text).is_some()) {
        return text.map(str::to_owned);
    }
    if !node.is_null() {
        wrong_type(problems, node, &of(at, "auto_stop_in"), DURATION);
    }
    None
}

fn tier(problems: &mut Problems, at: &str, node: &Node) -> String {
    let known = word(node, &TIERS);
    if known.is_none() && !node.is_null() && !node.is_reported() {
        let message = format!("{at} deployment tier must be one of {}", TIERS.join(", "));
        match node.as_str().and_then(|text| closest(text, TIERS.iter())) {
            Some(near) => problems.error_with_hint(node.span, message, did_you_mean(near)),
            None => problems.error(node.span, message),
        }
    }
    known.unwrap_or_default().to_owned()
}

/// The shape is checked; there is no agent here that would do anything with it.
fn kubernetes(problems: &mut Problems, parent: &str, entry: &Entry) {
    let node = &*entry.value;
    if node.is_null() {
        return;
    }
    let at = below(parent, "kubernetes");
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &of(parent, "kubernetes"), "a hash");
        return;
    };
    let fields = Fields::read(problems, &at, entries, &KUBERNETES);
    for key in ["agent", "namespace", "flux_resource_path"] {
        if let Some(node) = fields.get(key) {
            string(problems, node, &of(&at, key));
        }
    }
    if let Some(resources) = fields.get("managed_resources").filter(|node| !node.is_null()) {
        match resources.as_mapping() {
            Some(entries) => {
                for entry in entries.iter().filter(|entry| entry.key == "enabled") {
                    boolean(problems, &entry.value, &format!("{at}:managed_resources enabled"));
                }
            }
            None => wrong_type(problems, resources, &format!("{at}:managed_resources config"), "a hash"),
        }
    }
    problems.warning(
        entry.key_span,
        "`environment:kubernetes` has no effect in pipglr",
        "the job runs without an agent; GitLab uses it for dashboards and managed resources",
    );
}

/// The tier of an environment that names none.
///
/// Compat: `Environment#guess_tier`.
pub(crate) fn guess_tier(name: &str) -> &'static str {
    static PATTERNS: LazyLock<Option<RegexSet>> = LazyLock::new(|| {
        RegexSet::new([
            "(?i)(dev|review|trunk)",
            "(?i)(test|tst|int|ac(ce|)pt|qa|qc|control|quality)",
            "(?i)(st(a|)g|mod(e|)l|pre|demo|non)",
            "(?i)(pr(o|)d|live)",
        ])
        .ok()
    });
    let first = PATTERNS
        .as_ref()
        .and_then(|patterns| patterns.matches(name).into_iter().next());
    match first {
        Some(0) => "development",
        Some(1) => "testing",
        Some(2) => "staging",
        Some(3) => "production",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::guess_tier;

    #[test]
    fn tiers_are_guessed_as_gitlab_does() {
        for (name, expected) in [
            ("production", "production"),
            ("Prod/eu", "production"),
            ("prd", "production"),
            ("live", "production"),
            ("staging", "staging"),
            ("stg", "staging"),
            ("pre-production", "staging"),
            ("non-prod", "staging"),
            ("demo", "staging"),
            ("qa", "testing"),
            ("acceptance", "testing"),
            ("integration", "testing"),
            ("review/feature", "development"),
            ("dev", "development"),
            ("trunk", "development"),
            ("customer-portal", "other"),
        ] {
            assert_eq!(guess_tier(name), expected, "{name}");
        }
    }
}
