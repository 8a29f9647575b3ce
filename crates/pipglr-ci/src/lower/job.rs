//! One job: its keywords over the defaults.

use super::defaults::Inheritable;
use super::draft::Draft;
use super::parallel::{Expansions, Instance};
use super::trigger_job::trigger_job;
use super::{ROOT, has_key, is_trigger, name};
use crate::diagnostics::Placed;
use crate::diagnostics::Problems;
use crate::keywords::environment;
use crate::keywords::inherit::{Inherit, inherit};
use crate::keywords::needs::{Holder, WrittenNeed, check_dependencies, dependencies, needs};
use crate::keywords::only::decision;
use crate::keywords::rules::Expressions;
use crate::keywords::secrets::secrets;
use crate::keywords::variables::variables;
use crate::keywords::{
    Fields, Keywords, below, closest, control, coverage, job_inputs, pages, release, run, script, string,
};
use crate::model::{AllowFailure, Job, When};
use crate::yaml::Entry;
use std::cell::RefCell;
use std::rc::Rc;

const JOB: Keywords = Keywords {
    supported: &[
        "after_script",
        "allow_failure",
        "artifacts",
        "before_script",
        "cache",
        "coverage",
        "dast_configuration",
        "dependencies",
        "environment",
        "except",
        "extends",
        "hooks",
        "id_tokens",
        "identity",
        "image",
        "inherit",
        "inputs",
        "interruptible",
        "manual_confirmation",
        "needs",
        "only",
        "pages",
        "parallel",
        "publish",
        "release",
        "resource_group",
        "retry",
        "rules",
        "run",
        "script",
        "secrets",
        "services",
        "stage",
        "start_in",
        "tags",
        "timeout",
        "trigger",
        "variables",
        "when",
    ],
};

/// What all jobs are read with.
pub(super) struct Surroundings<'s> {
    pub(super) defaults: &'s Inheritable,
    pub(super) expansions: &'s Expansions,
    pub(super) workflow_has_rules: bool,
    pub(super) expressions: &'s RefCell<Expressions>,
}

/// What is read of a job before `parallel` makes it many.
pub(super) struct Written {
    pub(super) draft: Draft,
    pub(super) needs: Option<Vec<WrittenNeed>>,
    pub(super) dependencies: Option<Vec<Placed<String>>>,
}

/// Reads a job and makes what `parallel` says of it; whatever is wrong is reported, and the rest is kept.
pub(super) fn drafts(problems: &mut Problems, entry: &Entry, around: &Surroundings<'_>) -> Vec<Draft> {
    name::check(problems, entry);
    let written = if is_trigger(entry) {
        trigger_job(problems, entry, around)
    } else {
        job(problems, entry, around)
    };
    let expansions = around.expansions;
    let mut draft = written.draft;
    draft.dependencies = written.dependencies.map(|names| expansions.names(&names));
    let instances = match expansions.instances(&entry.key) {
        Some(instances) if !affords(expansions, instances, &draft) => vec![draft],
        Some(instances) => instances.iter().map(|instance| draft.instance(instance)).collect(),
        None => vec![draft],
    };
    instances
        .into_iter()
        .map(|draft| {
            let mut expand = |needs: &[WrittenNeed]| expansions.needs(problems, &entry.key, needs, &draft.matrix);
            Draft {
                needs: written.needs.as_deref().map(&mut expand),
                rule_needs: draft
                    .decision
                    .rules()
                    .iter()
                    .map(|rule| rule.needs.as_deref().map(&mut expand))
                    .collect(),
                ..draft
            }
        })
        .collect()
}

/// Whether there may be so many copies of a job with its dependencies.
fn affords(expansions: &Expansions, instances: &[Instance], draft: &Draft) -> bool {
    let names = draft.dependencies.as_ref().map_or(0, Vec::len);
    expansions.affords(instances.len().saturating_mul(1 + names))
}

/// A job with a script or with steps.
fn job(problems: &mut Problems, entry: &Entry, around: &Surroundings<'_>) -> Written {
    let at = below("jobs", &entry.key);
    let fields = job_fields(problems, &at, entry);
    let inherit = read_inherit(problems, &at, &fields);
    let own = Inheritable::read(problems, &at, &fields).or(around.defaults, &inherit.default);
    let mut commands = own.before_script.unwrap_or_default();
    commands.extend(
        fields
            .get("script")
            .map(|node| script::script(problems, &at, node))
            .unwrap_or_default(),
    );
    let pages = pages::pages(problems, &at, entry, &fields);
    let mut artifacts = own.artifacts.flatten();
    if let Some(pages) = &pages {
        artifacts = Some(pages::keep_site(pages, artifacts));
    }
    let mut draft = draft(problems, &at, entry, &fields, inherit, around, Holder::Job);
    draft.job = Job {
        script: commands,
        after_script: own.after_script.unwrap_or_default(),
        pre_get_sources_script: own.hooks.unwrap_or_default(),
        run: fields.get("run").and_then(|node| run::run(problems, &at, node)),
        image: own.image.flatten(),
        services: own.services.unwrap_or_default(),
        artifacts,
        caches: own.cache.unwrap_or_default(),
        timeout: own.timeout.flatten(),
        tags: own.tags.unwrap_or_default(),
        retry: own.retry.unwrap_or_default(),
        interruptible: own.interruptible.unwrap_or_default(),
        id_tokens: own.id_tokens.unwrap_or_default(),
        pages,
        ..draft.job
    };
    job_only(problems, &at, &fields, &mut draft);
    let needs = fields
        .get("needs")
        .and_then(|node| needs(problems, &at, node, Holder::Job));
    let dependencies = fields
        .get("dependencies")
        .and_then(|node| dependencies(problems, &at, node));
    if let (Some(needs), Some(dependencies)) = (&needs, &dependencies) {
        check_dependencies(problems, &at, needs, dependencies);
    }
    Written {
        draft,
        needs,
        dependencies,
    }
}

/// What only jobs with a script have, and `default:` has not.
fn job_only(problems: &mut Problems, at: &str, fields: &Fields<'_>, draft: &mut Draft) {
    let job = &mut draft.job;
    if let Some(node) = fields.get("coverage") {
        job.coverage = coverage::coverage(problems, at, node);
    }
    if let Some(node) = fields.get("release") {
        job.release = release::release(problems, at, node);
    }
    if let Some(node) = fields.get("inputs") {
        job.inputs = job_inputs::inputs(problems, at, node);
    }
    if let Some(node) = fields.get("manual_confirmation") {
        job.manual_confirmation = string(problems, node, &format!("{at} manual confirmation"));
    }
    if let Some(node) = fields.get("secrets") {
        draft.secrets = secrets(problems, at, node).into();
    }
    if let (Some(secret), true) = (draft.secrets.first(), job.id_tokens.is_empty())
        && let Some(entry) = fields.entry("secrets")
        && !secret.has_token()
    {
        let message = format!("{at} secrets {} has no token to log in with", secret.name);
        problems.warning(entry.key_span, message, "add `id_tokens`, or `token` to the secret");
    }
    if let Some(entry) = fields
        .entry("dast_configuration")
        .filter(|entry| !entry.value.is_null())
    {
        problems.warning(
            entry.key_span,
            "`dast_configuration` has no effect in pipglr: its profiles are kept in GitLab",
            "give the scanner its settings as variables",
        );
    }
}

pub(super) fn read_inherit(problems: &mut Problems, at: &str, fields: &Fields<'_>) -> Inherit {
    fields
        .get("inherit")
        .map(|node| inherit(problems, at, node))
        .unwrap_or_default()
}

/// What jobs and triggers have in common.
pub(super) fn draft(
    problems: &mut Problems,
    at: &str,
    entry: &Entry,
    fields: &Fields<'_>,
    inherit: Inherit,
    around: &Surroundings<'_>,
    holder: Holder,
) -> Draft {
    let when = fields
        .get("when")
        .map_or(When::OnSuccess, |node| control::when(problems, at, node, holder));
    let allow_failure = fields
        .get("allow_failure")
        .and_then(|node| control::allow_failure(problems, at, node, holder));
    let own = fields
        .get("variables")
        .map(|node| variables(problems, at, node))
        .unwrap_or_default();
    let environment = fields
        .get("environment")
        .and_then(|node| environment::environment(problems, at, node));
    let (environment, on_stop) = match environment {
        Some(read) => (Some(read.environment), read.on_stop),
        None => (None, None),
    };
    let job = Job {
        name: entry.key.clone(),
        variables: own,
        when,
        start_in: start_in(problems, at, fields, when),
        // Compat: a manual job that says nothing about failing blocks nobody.
        allow_failure: allow_failure.unwrap_or(if when == When::Manual {
            AllowFailure::Yes
        } else {
            AllowFailure::No
        }),
        resource_group: fields
            .get("resource_group")
            .and_then(|node| control::resource_group(problems, at, node)),
        environment,
        ..Job::default()
    };
    let decision = decision(
        problems,
        at,
        fields,
        around.workflow_has_rules,
        &mut around.expressions.borrow_mut(),
    );
    Draft {
        name_span: entry.key_span,
        stage: stage(problems, at, entry, fields),
        needs: None,
        dependencies: None,
        on_stop,
        producers: Rc::from([]),
        matrix: Vec::new(),
        inherit_variables: inherit.variables,
        inherit_default: inherit.default,
        decision: Rc::new(decision),
        rule_needs: Vec::new(),
        secrets: Rc::from([]),
        job,
    }
}

/// `None` when it was reported.
fn stage(problems: &mut Problems, at: &str, entry: &Entry, fields: &Fields<'_>) -> Option<Placed<String>> {
    match fields.get("stage") {
        Some(node) => control::stage(problems, at, node).map(|value| Placed { value, span: node.span }),
        None => Some(Placed {
            value: "test".to_owned(),
            span: entry.key_span,
        }),
    }
}

/// Compat: `start_in` belongs to `when: delayed` and to nothing else. Where there are rules, they decide.
fn start_in(problems: &mut Problems, at: &str, fields: &Fields<'_>, when: When) -> Option<std::time::Duration> {
    let node = fields.get("start_in");
    if when == When::Delayed {
        let place = fields.get("when").map(|node| node.span)?;
        return control::start_in(problems, at, node, place);
    }
    let written = fields.entry("start_in").filter(|entry| !entry.value.is_null())?;
    if fields.entry("rules").is_none() {
        let message = format!("{at} start in must be blank");
        problems.error_with_hint(written.key_span, message, "it goes together with `when: delayed`");
    }
    None
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
        let (hint, is_job) = no_job_hint(entry);
        problems.error_with_hint(entry.key_span, message, hint);
        if !is_job {
            return Fields::default();
        }
    }
    let fields = Fields::read(problems, at, entries, &JOB);
    let together: Vec<&str> = ["script", "run", "trigger"]
        .into_iter()
        .filter(|key| fields.entry(key).is_some())
        .collect();
    if let ([_, second, ..], Some(entry)) = (together.as_slice(), together.last().and_then(|key| fields.entry(key))) {
        let message = format!(
            "{at} config these keys cannot be used together: {}",
            together.join(", ")
        );
        let hint = format!("a job is one of them; move `{second}` to a job of its own");
        problems.error_with_hint(entry.key_span, message, hint);
    }
    fields
}

/// What is at the top level where a job should be, and whether it is worth reading as one.
fn no_job_hint(entry: &Entry) -> (String, bool) {
    let key = entry.key.as_str();
    let entries = entry.value.as_mapping();
    if JOB.supported.contains(&key) && entries.is_none() && !(key == "stage" && entry.value.as_sequence().is_some()) {
        return (
            format!("`{key}` belongs to a job: indent it below the job's name"),
            false,
        );
    }
    if entry.value.is_null() {
        return (
            "there is nothing in it: indent what belongs to the job".to_owned(),
            true,
        );
    }
    if let Some(keyword) = closest(key, ROOT.supported.iter()) {
        return (format!("did you mean the keyword `{keyword}`?"), false);
    }
    let holds_mappings = entries.is_some_and(|entries| {
        let unknown =
            |entry: &Entry| !JOB.supported.contains(&entry.key.as_str()) && entry.value.as_mapping().is_some();
        !entries.is_empty() && entries.iter().all(unknown)
    });
    if holds_mappings {
        return (
            format!("write what is in `{key}` at the top level: jobs stand there by themselves"),
            false,
        );
    }
    let hint = "a job has a `script`; what only others extend has a name that starts with `.`";
    (hint.to_owned(), true)
}
