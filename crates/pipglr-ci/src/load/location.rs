//! The entries of `include`: what each of them asks for.
//!
//! Compat: GitLab lib/gitlab/ci/config/external/mapper/: normalizer, filter, location_expander, variables_expander and
//! matcher, in this order.

use super::value::Value;
use super::{File, Given, GivenValue, Loader, is_present};
use crate::diagnostics::{Placed, Span};
use crate::keywords::{closest, did_you_mean, wrong_type};
use crate::variables::Undefined;
use crate::yaml::{Entry, Kind, Node};
use std::rc::Rc;

const KEYS: [&str; 11] = [
    "local",
    "file",
    "remote",
    "project",
    "ref",
    "integrity",
    "template",
    "artifact",
    "inputs",
    "job",
    "rules",
];
/// The keys that name a file, in the order in which messages list them.
const KINDS: [&str; 6] = ["local", "project", "component", "remote", "template", "artifact"];
/// The same in a header.
const HEADER_KINDS: [&str; 3] = ["local", "project", "remote"];

/// One file to include.
pub(super) struct Location {
    pub(super) span: Span,
    pub(super) target: Target,
    pub(super) inputs: Vec<GivenValue>,
}

impl Location {
    pub(super) fn copied_inputs(&self) -> Vec<GivenValue> {
        copied(&self.inputs)
    }

    pub(super) fn given(&mut self) -> Given {
        Given {
            by: Some(self.span),
            values: std::mem::take(&mut self.inputs),
        }
    }
}

/// Where a file is to be found. Variables are expanded.
pub(super) enum Target {
    Local(String),
    /// A pattern of local paths.
    Wildcard(String),
    Project {
        project: Placed<String>,
        file: String,
        reference: Option<Placed<String>>,
    },
    Remote {
        url: String,
        /// SHA-256 in Base64.
        integrity: Option<String>,
    },
    Template(String),
    Component(String),
}

/// Where an `include` stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Content,
    Header,
}

impl Place {
    fn kinds(self) -> &'static [&'static str] {
        match self {
            Place::Content => &KINDS,
            Place::Header => &HEADER_KINDS,
        }
    }

    fn keyword(self) -> &'static str {
        match self {
            Place::Content => "include",
            Place::Header => "header include",
        }
    }
}

impl Loader<'_, '_> {
    /// The files an `include` asks for, wildcards resolved, without those its rules keep out.
    pub(super) fn locations(&mut self, include: &Entry, file: &File, place: Place) -> Vec<Location> {
        let node = &include.value;
        let items = match &node.kind {
            Kind::Sequence(items) => items.as_slice(),
            _ if node.is_null() => &[],
            _ => std::slice::from_ref(node),
        };
        let mut locations = Vec::new();
        for item in items {
            match &item.kind {
                Kind::Mapping(_) => self.read_mapping(item, file, place, &mut locations),
                Kind::Reported => self.incomplete = true,
                _ if item.is_null() => {}
                _ => self.read_text(item, file, &mut locations),
            }
        }
        locations
    }

    /// Compat: variables are expanded before it is decided whether it is a URL, and before wildcards are.
    fn read_text(&mut self, item: &Node, file: &File, locations: &mut Vec<Location>) {
        let Some(text) = item.as_str() else {
            let hint = match item.kind {
                Kind::Reference(_) => "GitLab reads `include` before references; write it here".to_owned(),
                _ => "write a path, a URL, or a mapping with `local`, `project` or another kind".to_owned(),
            };
            self.failed(item.span, "Each include must be a hash or a string", Some(hint));
            return;
        };
        let text = self.variables.expand_once(text, Undefined::Blank);
        let target = if is_url(&text) {
            Target::Remote {
                url: text,
                integrity: None,
            }
        } else if text.contains('*') {
            Target::Wildcard(text)
        } else {
            Target::Local(text)
        };
        let location = Location {
            span: item.span,
            target,
            inputs: Vec::new(),
        };
        self.with_wildcards(location, file, locations);
    }

    fn read_mapping(&mut self, item: &Rc<Node>, file: &File, place: Place, locations: &mut Vec<Location>) {
        self.warn_about_keys(item);
        if let Some(rules) = item.entry("rules").filter(|rules| !rules.value.is_null())
            && !self.passes(&rules.value, file)
        {
            return;
        }
        let Some(kind) = self.kind(item, place) else {
            self.incomplete = true;
            return;
        };
        let Some(inputs) = self.given_inputs(item) else {
            return;
        };
        let node = match kind.key.as_str() {
            "project" => item.entry("file").map_or(&kind.value, |file| &file.value),
            _ => &kind.value,
        };
        let files: &[Rc<Node>] = match (kind.key.as_str(), node.as_sequence()) {
            ("project", Some(files)) => files,
            _ => std::slice::from_ref(node),
        };
        for node in files {
            let Some(target) = self.target(item, &kind, node) else {
                continue;
            };
            let location = Location {
                span: node.span,
                target,
                inputs: copied(&inputs),
            };
            self.with_wildcards(location, file, locations);
        }
    }

    /// Compat: GitLab passes over keys it does not know here.
    fn warn_about_keys(&mut self, item: &Node) {
        let known = || KEYS.iter().chain(&["component"]);
        for entry in item.as_mapping().unwrap_or_default() {
            if !known().any(|key| *key == entry.key) {
                let message = format!("include config contains unknown keys: {}", entry.key);
                let hint = match closest(&entry.key, known()) {
                    Some(close) => did_you_mean(close),
                    None => "GitLab passes over it".to_owned(),
                };
                self.problems.warning(entry.key_span, message, hint);
            }
        }
    }

    /// The one key that says what kind of file it is.
    fn kind(&mut self, item: &Node, place: Place) -> Option<Entry> {
        let is_kind = |kind: &&&str| {
            let present = |key: &str| item.entry(key).is_some_and(|entry| is_present(&entry.value));
            present(kind) && (**kind != "project" || present("file"))
        };
        let found: Vec<&&str> = place.kinds().iter().filter(is_kind).collect();
        let list = place.kinds().join("`, `");
        match found.as_slice() {
            [kind] => item.entry(kind).cloned(),
            [] => {
                let shown = Value::of(item).to_json(",");
                let message = format!(
                    "`{shown}` does not have a valid subkey for {}. Valid subkeys are: `{list}`",
                    place.keyword()
                );
                let hint = match item.entry("project") {
                    Some(_) => "`project` needs `file`, the path of a file in it".to_owned(),
                    None => "write the path after `local:`, or after another of these".to_owned(),
                };
                self.failed(item.span, &message, Some(hint));
                None
            }
            [_, second, ..] => {
                let span = item.entry(second).map_or(item.span, |entry| entry.key_span);
                let message = format!("Each {} must use only one of: `{list}`", place.keyword());
                let hint = "write an entry for each file".to_owned();
                self.failed(span, &message, Some(hint));
                None
            }
        }
    }

    fn given_inputs(&mut self, item: &Node) -> Option<Vec<GivenValue>> {
        let Some(inputs) = item.entry("inputs").filter(|inputs| !inputs.value.is_null()) else {
            return Some(Vec::new());
        };
        let Some(entries) = inputs.value.as_mapping() else {
            wrong_type(self.problems, &inputs.value, "include inputs", "a hash");
            self.incomplete = true;
            return None;
        };
        let values = entries.iter().map(|entry| GivenValue {
            name: entry.key.clone(),
            value: Value::of(&entry.value),
            place: Some(entry.value.span),
        });
        Some(values.collect())
    }

    fn target(&mut self, item: &Node, kind: &Entry, node: &Node) -> Option<Target> {
        if kind.key == "artifact" {
            let message = "Including configs from artifacts is only allowed when triggering child pipelines";
            let hint = "it may stand in `trigger:include` of a job".to_owned();
            self.failed(kind.key_span, message, Some(hint));
            return None;
        }
        // Compat: in a mapping wildcards come before variables, which are then names like others.
        if let ("local", Some(pattern)) = (kind.key.as_str(), node.as_str().filter(|text| text.contains('*'))) {
            return Some(Target::Wildcard(pattern.to_owned()));
        }
        let path = self.text(node)?;
        let target = match kind.key.as_str() {
            "local" => Target::Local(path),
            "project" => Target::Project {
                project: self.placed(&kind.value)?,
                file: path,
                reference: match item.entry("ref").filter(|entry| !entry.value.is_null()) {
                    Some(reference) => Some(self.placed(&reference.value)?),
                    None => None,
                },
            },
            "remote" => Target::Remote {
                url: path,
                integrity: match item.entry("integrity").filter(|entry| !entry.value.is_null()) {
                    Some(integrity) => Some(self.integrity(&integrity.value)?),
                    None => None,
                },
            },
            "template" => Target::Template(path),
            _ => Target::Component(path),
        };
        if let (Some(integrity), false) = (item.entry("integrity"), kind.key == "remote") {
            let message = "include config integrity can only be specified for remote includes";
            self.failed(integrity.key_span, message, None);
            return None;
        }
        Some(target)
    }

    fn placed(&mut self, node: &Node) -> Option<Placed<String>> {
        let text = self.text(node)?;
        Some(Placed {
            value: text,
            span: node.span,
        })
    }

    /// A string with its variables expanded.
    fn text(&mut self, node: &Node) -> Option<String> {
        if let Some(text) = node.as_str() {
            return Some(self.variables.expand_once(text, Undefined::Blank));
        }
        self.incomplete = true;
        if !node.is_reported() {
            let shown = Value::of(node).to_json(",");
            let message = format!("Included file `{shown}` needs to be a string");
            self.failed(node.span, &message, None);
        }
        None
    }

    /// Compat: `BaseInclude`, 32 bytes of SHA-256 in Base64.
    fn integrity(&mut self, node: &Node) -> Option<String> {
        let Some(digest) = node.as_str().and_then(|text| text.strip_prefix("sha256-")) else {
            let message = "include config integrity hash must start with 'sha256-'";
            self.failed(node.span, message, None);
            return None;
        };
        let (body, padding) = digest
            .split_at_checked(digest.len().saturating_sub(1))
            .unwrap_or((digest, ""));
        let is_digit = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
        if body.len() != 43 || !body.chars().all(is_digit) || padding != "=" {
            let message = "include config integrity hash must be base64 encoded";
            let hint = "32 bytes of SHA-256 are 44 characters of Base64".to_owned();
            self.failed(node.span, message, Some(hint));
            return None;
        }
        Some(digest.to_owned())
    }

    pub(super) fn failed(&mut self, span: Span, message: &str, hint: Option<String>) {
        self.incomplete = true;
        self.problem(Some(span), message, hint);
    }
}

fn copied(inputs: &[GivenValue]) -> Vec<GivenValue> {
    let inputs = inputs.iter();
    inputs
        .map(|given| GivenValue {
            name: given.name.clone(),
            value: given.value.clone(),
            place: given.place,
        })
        .collect()
}

/// Compat: `Gitlab::UrlSanitizer.valid?`.
pub(super) fn is_url(text: &str) -> bool {
    let schemes = ["http://", "https://", "ssh://", "git://"];
    let rest = schemes.iter().find_map(|scheme| text.trim().strip_prefix(scheme));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    host.is_some_and(|host| !host.is_empty() && !host.contains(char::is_whitespace))
}
