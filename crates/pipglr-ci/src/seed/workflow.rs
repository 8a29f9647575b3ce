//! `workflow`: whether there is a pipeline, and what its rule brings along.

use super::{Decided, Flow, report};
use crate::diagnostics::Problems;
use crate::lower::Lowered;
use crate::model::AutoCancel;
use crate::rules::clauses::{Memory, Scope};
use crate::rules::first_match;
use crate::variables::outside::Outside;
use crate::variables::{Given, Layer, Source, Undefined, Variables};
use crate::world::{Origin, World};

pub(super) fn decide(
    problems: &mut Problems,
    world: &dyn World,
    outside: &Outside,
    memory: &Memory,
    lowered: &Lowered,
) -> Flow {
    let workflow = &lowered.workflow;
    let mut root: Vec<Given> = lowered
        .variables
        .iter()
        .map(|variable| Given::of(variable, Source::Root))
        .collect();
    let mut decided = Decided {
        included: true,
        ..Decided::default()
    };
    let mut auto_cancel = workflow.auto_cancel.over(AutoCancel::default());
    if let Some(rules) = &workflow.rules {
        let layer: Layer = root.iter().cloned().collect();
        let variables = with_root(outside, &layer);
        let scope = Scope {
            world,
            origin: &Origin::Project,
            variables: &variables,
            memory,
        };
        match first_match(rules, &scope, &mut decided.trace) {
            Ok(Some((place, rule))) => {
                decided.matched = Some(place);
                decided.included = !rule.is_never();
                let brought = rule.variables.iter();
                root.extend(brought.map(|variable| Given::of(variable, Source::WorkflowRule(place + 1))));
                auto_cancel = rule.auto_cancel.unwrap_or_default().over(auto_cancel);
            }
            Ok(None) => decided.included = false,
            Err(error) => {
                decided.included = false;
                let span = rules.get(decided.trace.len().saturating_sub(1)).map(|rule| rule.span);
                report(problems, span.unwrap_or_default(), "workflow", error);
            }
        }
    }
    let name = workflow
        .name
        .as_ref()
        .map(|name| pipeline_name(outside, &root, name))
        .filter(|name| !name.is_empty());
    Flow {
        decided,
        root,
        auto_cancel,
        name,
    }
}

fn with_root<'l>(outside: &'l Outside, root: &'l Layer) -> Variables<'l> {
    Variables::new(vec![
        &outside.predefined,
        root,
        &outside.user,
        &outside.settings,
        &outside.pipeline,
    ])
}

/// Compat: `Chain::PopulateMetadata`: references to nothing vanish.
fn pipeline_name(outside: &Outside, root: &[Given], name: &str) -> String {
    let layer: Layer = root.iter().cloned().collect();
    let expanded = with_root(outside, &layer).expand(name, Undefined::Blank);
    expanded.trim().to_owned()
}
