//! One file per family of keywords: from a YAML value to a value of the model, reporting what does not fit.
//!
//! Every reader takes the place `at` of its mapping (`jobs:build`, `default`, or empty for the top level), which
//! starts its messages as it starts GitLab's. A reader that reports gives the default, so that reading goes on.

pub(crate) mod artifacts;
pub(crate) mod cache;
pub(crate) mod control;
pub(crate) mod coverage;
pub(crate) mod duration;
pub(crate) mod environment;
pub(crate) mod image;
pub(crate) mod inherit;
pub(crate) mod job_inputs;
pub(crate) mod json;
pub(crate) mod needs;
pub(crate) mod only;
pub(crate) mod pages;
pub(crate) mod parallel;
pub(crate) mod release;
mod reports;
pub(crate) mod retry;
pub(crate) mod rules;
pub(crate) mod run;
pub(crate) mod script;
pub(crate) mod secrets;
pub(crate) mod services;
pub(crate) mod tokens;
pub(crate) mod trigger;
pub(crate) mod variables;
pub(crate) mod workflow;

use crate::diagnostics::Problems;
use crate::yaml::{Entry, Kind, Node, Resolved};

/// The keywords a mapping may have.
pub(crate) struct Keywords {
    pub(crate) supported: &'static [&'static str],
}

/// The known entries of a mapping.
#[derive(Debug, Default)]
pub(crate) struct Fields<'n> {
    entries: Vec<&'n Entry>,
}

impl<'n> Fields<'n> {
    /// Sorts the entries of a mapping, reporting those that are unknown.
    pub(crate) fn read(problems: &mut Problems, at: &str, entries: &'n [Entry], keywords: &Keywords) -> Self {
        let mut fields = Fields::default();
        for entry in entries {
            let name = entry.key.as_str();
            if keywords.supported.contains(&name) {
                fields.entries.push(entry);
            } else {
                let message = format!("{at} config contains unknown keys: {name}");
                match hint_for_unknown(name, keywords) {
                    Some(hint) => problems.error_with_hint(entry.key_span, message, hint),
                    None => problems.error(entry.key_span, message),
                }
            }
        }
        fields
    }

    pub(crate) fn entry(&self, name: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|entry| entry.key == name).copied()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'n Node> {
        self.entry(name).map(|entry| &*entry.value)
    }
}

/// The place of a keyword below `at`.
pub(crate) fn below(at: &str, name: &str) -> String {
    if at.is_empty() {
        name.to_owned()
    } else {
        format!("{at}:{name}")
    }
}

/// The subject of a message about one keyword of `at`: `jobs:build stage`, or `stage` at the top level.
pub(crate) fn of(at: &str, name: &str) -> String {
    let words = name.replace('_', " ");
    if at.is_empty() { words } else { format!("{at} {words}") }
}

/// Reports a value of the wrong type, unless it was reported already.
pub(crate) fn wrong_type(problems: &mut Problems, node: &Node, subject: &str, should: &str) {
    if node.is_reported() {
        return;
    }
    let message = format!("{subject} should be {should}");
    match hint_for_type(node, should) {
        Some(hint) => problems.error_with_hint(node.span, message, hint),
        None => problems.error(node.span, message),
    }
}

/// What other systems call a keyword.
const ELSEWHERE: [(&str, &str); 13] = [
    ("commands", "script"),
    ("condition", "rules"),
    ("container", "image"),
    ("depends-on", "needs"),
    ("depends_on", "needs"),
    ("docker", "image"),
    ("env", "variables"),
    ("environment_variables", "variables"),
    ("if", "rules"),
    ("requires", "needs"),
    ("runs-on", "tags"),
    ("steps", "script"),
    ("timeout-minutes", "timeout"),
];

/// Keywords that only the top level has, and that people look for in jobs.
const TOP_LEVEL: [&str; 3] = ["default", "include", "workflow"];

/// What an unknown key was probably meant to be.
fn hint_for_unknown(name: &str, keywords: &Keywords) -> Option<String> {
    if let Some(known) = closest(name, keywords.supported.iter()) {
        return Some(did_you_mean(known));
    }
    let is_job = keywords.supported.contains(&"script");
    if is_job && TOP_LEVEL.contains(&name) {
        return Some(format!("`{name}` stands at the top level of the file"));
    }
    let (_, known) = ELSEWHERE
        .iter()
        .find(|(elsewhere, known)| *elsewhere == name && keywords.supported.contains(known))?;
    Some(did_you_mean(known))
}

/// What a value of the wrong type was probably meant to be.
fn hint_for_type(node: &Node, should: &str) -> Option<String> {
    let Kind::Scalar(scalar) = &node.kind else {
        return hint_for_collection(node, should).map(str::to_owned);
    };
    let text = scalar.text.escape_default();
    match node.resolve()? {
        Resolved::String("true" | "false") if should.contains("boolean") => {
            Some(format!("without quotes it is one: {text}"))
        }
        Resolved::String(_) if should == STRINGS || should == ARRAY || should == ARRAY_OR_HASH => {
            Some(format!("put it in a list: [\"{text}\"]"))
        }
        Resolved::String(_) if should == DURATION => Some("write it as in `1h 30m` or `90 minutes`".to_owned()),
        // `image: 3.10`, `timeout: 3600` and their like: the author meant the text.
        Resolved::Bool(_) | Resolved::Integer(_) | Resolved::Float(_)
            if should.contains("string") || should == DURATION =>
        {
            Some(format!("quote it to make it a string: \"{text}\""))
        }
        _ => None,
    }
}

fn hint_for_collection(node: &Node, should: &str) -> Option<&'static str> {
    match &node.kind {
        Kind::Sequence(_) if should == "a hash" => Some("write `key: value` lines without `-` before them"),
        Kind::Mapping(_) if should == ARRAY || should == "an array of hashes" => {
            Some("write `- ` before the first key of each item")
        }
        Kind::Mapping(_) if should == STRINGS => Some("write a list: a line with `- ` and a text for each item"),
        _ => None,
    }
}

/// The shapes that have hints of their own, as messages name them.
pub(crate) const STRINGS: &str = "an array of strings";
pub(crate) const ARRAY: &str = "an array";
pub(crate) const ARRAY_OR_HASH: &str = "an array or a hash";
pub(crate) const DURATION: &str = "a duration";

/// A string; null and wrong types give `None`.
pub(crate) fn string(problems: &mut Problems, node: &Node, subject: &str) -> Option<String> {
    match node.as_str() {
        Some(text) => Some(text.to_owned()),
        None if node.is_null() => None,
        None => {
            wrong_type(problems, node, subject, "a string");
            None
        }
    }
}

/// A string that says something; null gives `None`, as does what is reported.
pub(crate) fn filled(problems: &mut Problems, node: &Node, subject: &str) -> Option<String> {
    let text = string(problems, node, subject)?;
    if text.trim().is_empty() {
        problems.error(node.span, format!("{subject} can't be blank"));
        return None;
    }
    Some(text)
}

/// A boolean; null and wrong types give `None`.
pub(crate) fn boolean(problems: &mut Problems, node: &Node, subject: &str) -> Option<bool> {
    let value = node.as_bool();
    if value.is_none() && !node.is_null() {
        wrong_type(problems, node, subject, "a boolean value");
    }
    value
}

/// A list of strings; null and wrong types give `None`.
pub(crate) fn strings(problems: &mut Problems, node: &Node, subject: &str) -> Option<Vec<String>> {
    if node.is_null() {
        return None;
    }
    let Some(items) = node.as_sequence() else {
        wrong_type(problems, node, subject, STRINGS);
        return None;
    };
    let mut list = Vec::with_capacity(items.len());
    for item in items {
        match item.as_str() {
            Some(text) => list.push(text.to_owned()),
            None => wrong_type(problems, item, subject, STRINGS),
        }
    }
    Some(list)
}

/// One of a closed list of words.
pub(crate) fn word<'w>(node: &Node, words: &[&'w str]) -> Option<&'w str> {
    let text = node.as_str()?;
    words.iter().find(|word| **word == text).copied()
}

/// The keyword nearest to a misspelt one, if any is near enough to be meant.
pub(crate) fn closest<'k>(name: &str, known: impl Iterator<Item = &'k &'static str>) -> Option<&'static str> {
    closest_of(name, known.copied())
}

/// The hint that offers another name.
pub(crate) fn did_you_mean(name: &str) -> String {
    format!("did you mean `{name}`?")
}

/// The name nearest to a misspelt one, if any is near enough to be meant.
pub(crate) fn closest_of<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    // Comparing long texts would only cost time.
    let fits = |text: &str| text.len() <= 60;
    if !fits(name) {
        return None;
    }
    known
        .filter(|word| fits(word) && *word != name)
        .take(1000)
        .map(|word| (distance(&name.to_lowercase(), word), word))
        .filter(|(distance, word)| *distance <= 1 + word.len().min(name.len()) / 6 && *distance < name.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Edits that turn one word into the other: insertions, deletions, replacements, swaps of neighbours.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut rows = vec![(0..=right.len()).collect::<Vec<usize>>()];
    for (i, a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let mut cost = (rows[i][j] + usize::from(a != b))
                .min(rows[i][j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                cost = cost.min(rows[i - 1][j - 1] + 1);
            }
            row.push(cost);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_words_find_their_keyword() {
        let known = ["script", "stage", "stages", "image", "artifacts", "before_script"];
        for (name, expected) in [
            ("scripts", Some("script")),
            ("sript", Some("script")),
            ("satge", Some("stage")),
            ("artefacts", Some("artifacts")),
            ("Image", Some("image")),
            ("beforescript", Some("before_script")),
            ("x", None),
            ("deploy", None),
            ("stags", Some("stage")),
            ("satgge", None),
        ] {
            assert_eq!(closest(name, known.iter()), expected, "{name}");
        }
    }
}
