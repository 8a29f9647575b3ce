//! One job: its keywords over the defaults, and what its name may be.

use super::defaults::Inheritable;
use super::{ROOT, has_key};
use crate::diagnostics::{Problems, Span};
use crate::keywords::needs::{Placed, dependencies, needs};
use crate::keywords::variables::{overlay, variables};
use crate::keywords::{Fields, Keywords, below, closest, control, script};
use crate::model::{AllowFailure, Job, Need, Variable, When};
use crate::yaml::Entry;

const JOB: Keywords = Keywords {
    family: "",
    supported: &[
        "after_script",
        "allow_failure",
        "artifacts",
        "before_script",
        "cache",
        "dependencies",
        "extends",
        "image",
        "needs",
        "script",
        "services",
        "stage",
        "tags",
        "timeout",
        "variables",
        "when",
    ],
    unsupported: &[
        "coverage",
        "dast_configuration",
        "environment",
        "except",
        "hooks",
        "id_tokens",
        "identity",
        "inherit",
        "inputs",
        "interruptible",
        "manual_confirmation",
        "only",
        "pages",
        "parallel",
        "publish",
        "release",
        "resource_group",
        "retry",
        "rules",
        "run",
        "secrets",
        "start_in",
        "trigger",
    ],
};

/// Words that GitLab's documentation forbids as names of jobs, beside the keywords of the top level.
const RESERVED: [&str; 4] = ["nil", "true", "false", "pages:deploy"];

/// Compat: `Gitlab::Ci::Config::Entry::Processable`, the length of `ci_builds.name`.
const MAX_JOB_NAME: usize = 255;

/// A job with what can only be judged together with the others.
pub(crate) struct Draft {
    pub(crate) name_span: Span,
    /// `None` when it was reported.
    pub(crate) stage: Option<Placed<String>>,
    pub(crate) needs: Option<Vec<Placed<Need>>>,
    pub(crate) dependencies: Option<Vec<Placed<String>>>,
    pub(crate) job: Job,
}

impl Draft {
    pub(super) fn into_job(self) -> Job {
        Job {
            stage: self.stage.map(|stage| stage.value).unwrap_or_default(),
            needs: self
                .needs
                .map(|needs| needs.into_iter().map(|need| need.value).collect()),
            dependencies: self
                .dependencies
                .map(|names| names.into_iter().map(|name| name.value).collect()),
            ..self.job
        }
    }
}

/// Reads a job; whatever is wrong with it is reported, and the rest is kept.
pub(super) fn draft(problems: &mut Problems, entry: &Entry, defaults: &Inheritable, global: &[Variable]) -> Draft {
    check_name(problems, entry);
    let at = below("jobs", &entry.key);
    let fields = job_fields(problems, &at, entry);
    let own = Inheritable::read(problems, &at, &fields).or(defaults);
    let mut commands = own.before_script.unwrap_or_default();
    commands.extend(
        fields
            .get("script")
            .map(|node| script::script(problems, &at, node))
            .unwrap_or_default(),
    );
    let when = fields
        .get("when")
        .map_or(When::OnSuccess, |node| control::when(problems, &at, node));
    let allow_failure = fields
        .get("allow_failure")
        .and_then(|node| control::allow_failure(problems, &at, node));
    let variables = fields
        .get("variables")
        .map(|node| variables(problems, &at, node))
        .unwrap_or_default();
    let job = Job {
        name: entry.key.clone(),
        script: commands,
        after_script: own.after_script.unwrap_or_default(),
        image: own.image.flatten(),
        services: own.services.unwrap_or_default(),
        variables: overlay(global, variables),
        when,
        // Compat: a manual job that says nothing about failing blocks nobody.
        allow_failure: allow_failure.unwrap_or(if when == When::Manual {
            AllowFailure::Yes
        } else {
            AllowFailure::No
        }),
        artifacts: own.artifacts.flatten(),
        caches: own.caches.unwrap_or_default(),
        timeout: own.timeout.flatten(),
        tags: own.tags.unwrap_or_default(),
        ..Job::default()
    };
    let stage = match fields.get("stage") {
        Some(node) => control::stage(problems, &at, node).map(|value| Placed { value, span: node.span }),
        None => Some(Placed {
            value: "test".to_owned(),
            span: entry.key_span,
        }),
    };
    Draft {
        name_span: entry.key_span,
        stage,
        needs: fields.get("needs").and_then(|node| needs(problems, &at, node)),
        dependencies: fields
            .get("dependencies")
            .and_then(|node| dependencies(problems, &at, node)),
        job,
    }
}

/// The keywords of a job, reporting what is no job at all.
fn job_fields<'n>(problems: &mut Problems, at: &str, entry: &'n Entry) -> Fields<'n> {
    let entries = entry.value.as_mapping().unwrap_or_default();
    let starts = ["script", "run", "trigger"].iter().any(|key| has_key(entry, key));
    if !starts && !entry.value.is_reported() {
        let message = format!(
            "jobs {} config should implement the script:, run:, or trigger: keyword",
            entry.key
        );
        match closest(&entry.key, ROOT.supported.iter().chain(ROOT.unsupported)) {
            Some(keyword) => {
                problems.error_with_hint(
                    entry.key_span,
                    message,
                    format!("did you mean the keyword `{keyword}`?"),
                );
                return Fields::default();
            }
            None => problems.error(entry.key_span, message),
        }
    }
    Fields::read(problems, at, entries, &JOB)
}

fn check_name(problems: &mut Problems, entry: &Entry) {
    let name = &entry.key;
    if !entry.key_is_string {
        let message = format!("jobs:{name} name should be a string");
        problems.error_with_hint(
            entry.key_span,
            message,
            format!("quote it to make it a string: \"{name}\""),
        );
    } else if name.trim().is_empty() {
        problems.error(entry.key_span, "job name can't be blank");
    } else if RESERVED.contains(&name.as_str()) {
        problems.error_with_hint(
            entry.key_span,
            format!("`{name}` is reserved and cannot be the name of a job"),
            "rename the job",
        );
    } else if name.chars().count() > MAX_JOB_NAME {
        let message = format!("jobs:{name} name is too long (maximum is {MAX_JOB_NAME} characters)");
        problems.error(entry.key_span, message);
    } else if name == "pages" {
        let message = "job `pages` publishes a site on GitLab; pipglr runs it as any other job";
        problems.warning(entry.key_span, message, "what it would publish is in its artifacts");
    }
}
