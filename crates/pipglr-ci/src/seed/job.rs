//! One job: whether it is in the pipeline, and what the rule that let it in makes of it.

use super::facts::facts;
use super::names::expand_names;
use super::{Account, Decided, Seeding, report};
use crate::diagnostics::Problems;
use crate::keywords::only::Decision;
use crate::keywords::rules::Rule;
use crate::keywords::secrets::payloads;
use crate::keywords::variables::overlay;
use crate::lower::Draft;
use crate::model::{AllowFailure, Variable};
use crate::rules::clauses::Scope;
use crate::rules::first_match;
use crate::rules::policy::let_in;
use crate::variables::outside::settings_layer;
use crate::variables::{Given, Layer, Source, Undefined, Variables};
use crate::world::Origin;
use std::rc::Rc;

/// The job as it is in the pipeline; `None` when it is not.
pub(super) fn seed(
    problems: &mut Problems,
    seeding: &Seeding<'_>,
    draft: Draft,
    watch: Option<&mut Account>,
) -> Option<Draft> {
    let yaml = yaml_layer(seeding, &draft);
    let layers = Layers::new(seeding, &draft, yaml);
    let mut decided = Decided::default();
    let rule = decide(problems, seeding, &draft, &layers.variables(seeding), &mut decided).cloned();
    let place = decided.matched;
    let included = decided.included;
    let before = layers;
    let after = before.with_rule(rule.as_ref(), place);
    if let Some(account) = watch {
        account.variables = after.variables(seeding).all().cloned().collect();
        account.job = Some(decided);
    }
    if !included {
        return None;
    }
    if let Some(circle) = before.variables(seeding).circle() {
        let message = format!("{}: circular variable reference detected: {circle:?}", draft.job.name);
        let hint = "a variable may not come back to itself; `expand: false` leaves a value as it is";
        problems.error_with_hint(draft.name_span, message, hint);
    }
    let mut draft = draft;
    draft.job.variables = yaml_variables(seeding, &draft, rule.as_ref());
    draft.matrix = Vec::new();
    // Compat: `evaluate_runner_tags` is done with the job's variables as its rules saw them, and not in turn.
    let seen = before.variables(seeding);
    for tag in &mut draft.job.tags {
        *tag = seen.expand_once(tag, Undefined::Kept);
    }
    if let Some(rule) = rule {
        lay_over(&mut draft, rule, place.unwrap_or_default());
    }
    let variables = after.variables(seeding);
    expand_names(problems, &mut draft, &variables);
    let known = |name: &str| variables.given(name).is_some();
    draft.job.secrets = payloads(&draft.secrets, &draft.job.id_tokens, &known);
    Some(draft)
}

fn rule_variables(rule: &Rule, place: Option<usize>) -> impl Iterator<Item = Given> {
    let number = place.unwrap_or_default() + 1;
    rule.variables
        .iter()
        .map(move |variable| Given::of(variable, Source::JobRule(number)))
}

/// The layers of a job's own.
struct Layers {
    facts: Rc<Layer>,
    yaml: Layer,
    /// `None` when the job has no environment: the settings of all.
    settings: Option<Rc<Layer>>,
}

impl Layers {
    fn new(seeding: &Seeding<'_>, draft: &Draft, yaml: Layer) -> Self {
        let mut layers = Layers {
            facts: Rc::new(facts(draft, None)),
            yaml,
            settings: None,
        };
        if let Some(environment) = &draft.job.environment {
            // Compat: `simple_variables`: the name decides which settings there are, so it cannot use those.
            let name = layers.variables(seeding).expand(&environment.name, Undefined::Blank);
            layers.facts = Rc::new(facts(draft, Some(&name)));
            layers.settings = Some(Rc::new(settings_layer(&seeding.context.variables, Some(&name))));
        }
        layers
    }

    /// With the variables of the rule that matched.
    fn with_rule(&self, rule: Option<&Rule>, place: Option<usize>) -> Self {
        let ruled = rule.into_iter().flat_map(|rule| rule_variables(rule, place));
        Layers {
            facts: Rc::clone(&self.facts),
            yaml: self.yaml.all().iter().cloned().chain(ruled).collect(),
            settings: self.settings.clone(),
        }
    }

    /// Compat: `Variables::Builder#scoped_variables_for_pipeline_seed`.
    fn variables<'l>(&'l self, seeding: &'l Seeding<'_>) -> Variables<'l> {
        let outside = seeding.outside;
        Variables::new(vec![
            &self.facts,
            &outside.predefined,
            &self.yaml,
            &outside.user,
            self.settings.as_deref().unwrap_or(&outside.settings),
            &outside.pipeline,
        ])
    }
}

/// The file's variables that a job has before its rules are decided.
fn yaml_layer(seeding: &Seeding<'_>, draft: &Draft) -> Layer {
    let inherited = seeding
        .root
        .iter()
        .filter(|given| draft.inherit_variables.takes(&given.key));
    let own = draft
        .job
        .variables
        .iter()
        .map(|variable| Given::of(variable, Source::Job));
    let matrix = draft.matrix.iter().map(|variable| Given::of(variable, Source::Matrix));
    inherited.cloned().chain(own).chain(matrix).collect()
}

/// The file's variables that the job gets.
fn yaml_variables(seeding: &Seeding<'_>, draft: &Draft, rule: Option<&Rule>) -> Vec<Variable> {
    let inherited = seeding
        .root
        .iter()
        .filter(|given| draft.inherit_variables.takes(&given.key));
    let inherited = inherited.map(|given| Variable {
        key: given.key.clone(),
        value: given.value.clone(),
        expand: !given.raw,
    });
    let own = draft.job.variables.iter().chain(&draft.matrix);
    let ruled = rule.into_iter().flat_map(|rule| &rule.variables);
    overlay(&[], inherited.chain(own.chain(ruled).cloned()).collect())
}

/// Whether the job is in, and the rule that says so.
fn decide<'d>(
    problems: &mut Problems,
    seeding: &Seeding<'_>,
    draft: &'d Draft,
    variables: &Variables<'_>,
    decided: &mut Decided,
) -> Option<&'d Rule> {
    let scope = Scope {
        world: seeding.world,
        origin: &Origin::Project,
        variables,
        memory: &seeding.memory,
    };
    let result = match &*draft.decision {
        Decision::Always => {
            decided.included = true;
            return None;
        }
        Decision::Rules(rules) => first_match(rules, &scope, &mut decided.trace),
        Decision::Policies { only, except } => {
            let policies = (only.as_ref(), except.as_ref());
            match let_in(policies, seeding.context, &scope, &mut decided.trace) {
                Ok(included) => {
                    decided.by_policy = true;
                    decided.included = included;
                    return None;
                }
                Err(error) => Err(error),
            }
        }
    };
    match result {
        Ok(Some((place, rule))) => {
            decided.matched = Some(place);
            decided.included = !rule.is_never();
            Some(rule)
        }
        Ok(None) => None,
        Err(error) => {
            let failed = decided.trace.len().checked_sub(1);
            let rule = failed.and_then(|place| draft.decision.rules().get(place));
            let span = rule.map_or(draft.name_span, |rule| rule.span);
            report(problems, span, &draft.job.name, error);
            None
        }
    }
}

/// What a rule says replaces what the job says; what it does not say stays.
///
/// Compat: `Rules::Result#build_attributes`. `when: manual` of a rule does not allow the job to fail, while what
/// `when: manual` of the job allowed stays whatever the rule makes of `when`.
fn lay_over(draft: &mut Draft, rule: Rule, place: usize) {
    let job = &mut draft.job;
    if let Some(when) = rule.when {
        job.when = when;
        job.start_in = rule.start_in;
    }
    if let Some(allowed) = rule.allow_failure {
        job.allow_failure = if allowed { AllowFailure::Yes } else { AllowFailure::No };
    }
    if let Some(interruptible) = rule.interruptible {
        job.interruptible = interruptible;
    }
    let needs = draft.rule_needs.get_mut(place).and_then(Option::take);
    if let Some(needs) = needs {
        // Compat: an empty list only makes a job of the stages' order into one without needs if it had some.
        draft.needs = (!needs.is_empty() || draft.needs.is_some()).then_some(needs);
    }
}
