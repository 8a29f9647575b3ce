//! `inherit`: what a job takes from `default` and from the variables of the top level.

use super::{Fields, Keywords, below, closest, did_you_mean, wrong_type};
use crate::diagnostics::Problems;
use crate::lower::INHERITABLE;
use crate::yaml::Node;

const INHERIT: Keywords = Keywords {
    supported: &["default", "variables"],
};

/// Which of several things by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Selection {
    #[default]
    All,
    Nothing,
    Only(Vec<String>),
}

impl Selection {
    pub(crate) fn takes(&self, name: &str) -> bool {
        match self {
            Selection::All => true,
            Selection::Nothing => false,
            Selection::Only(names) => names.iter().any(|known| known == name),
        }
    }
}

/// `inherit` of one job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Inherit {
    pub(crate) default: Selection,
    pub(crate) variables: Selection,
}

pub(crate) fn inherit(problems: &mut Problems, parent: &str, node: &Node) -> Inherit {
    let mut inherit = Inherit::default();
    if node.is_null() {
        return inherit;
    }
    let at = below(parent, "inherit");
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{at} config"), "a hash");
        return inherit;
    };
    let fields = Fields::read(problems, &at, entries, &INHERIT);
    if let Some(node) = fields.get("default") {
        inherit.default = selection(problems, &below(&at, "default"), node, Some(&INHERITABLE));
    }
    if let Some(node) = fields.get("variables") {
        inherit.variables = selection(problems, &below(&at, "variables"), node, None);
    }
    inherit
}

/// All, nothing, or some names, which may have to be of a list.
///
/// Compat: `Gitlab::Ci::Config::Entry::Inherit`.
fn selection(problems: &mut Problems, at: &str, node: &Node, known: Option<&[&'static str]>) -> Selection {
    if node.is_null() {
        return Selection::All;
    }
    if let Some(all) = node.as_bool() {
        return if all { Selection::All } else { Selection::Nothing };
    }
    let subject = format!("{at} config");
    let Some(items) = node.as_sequence() else {
        wrong_type(problems, node, &subject, "a bool or array of strings");
        return Selection::All;
    };
    let mut names = Vec::new();
    for item in items {
        let Some(name) = item.as_str() else {
            wrong_type(problems, item, &subject, "an array of strings");
            continue;
        };
        if let Some(known) = known.filter(|known| !known.contains(&name)) {
            let hint =
                closest(name, known.iter()).map_or_else(|| format!("one of: {}", known.join(", ")), did_you_mean);
            problems.error_with_hint(item.span, format!("{subject} contains unknown values: {name}"), hint);
        }
        names.push(name.to_owned());
    }
    Selection::Only(names)
}
