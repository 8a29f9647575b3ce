//! `include`: files merged under the one that includes them.

use super::header::{self, Spec};
use super::location::{Location, Place, Target};
use super::merge::Merged;
use super::{File, Loader};
use crate::diagnostics::Span;
use crate::yaml::{Entry, Node, Passage, compose};
use crate::{FetchError, Origin};
use std::rc::Rc;

/// Files in one evaluation, duplicates counted. Compat: `ci_max_includes`.
const MAX_INCLUDES: usize = 150;

impl Loader<'_, '_> {
    /// A content laid over all it includes. `None` when the limit of includes was met.
    pub(super) fn with_includes(&mut self, content: &Rc<Node>, file: &File) -> Option<Vec<Entry>> {
        let entries = content.as_mapping().unwrap_or_default();
        let Some(include) = content.entry("include") else {
            return Some(entries.to_vec());
        };
        let mut merged = Merged::default();
        let locations = self.locations(include, file, Place::Content);
        self.count(&locations)?;
        for mut location in locations {
            let included = self.include(&mut location, file);
            if self.stopped {
                return None;
            }
            merged.lay(&mut self.merger, &included.unwrap_or_default());
        }
        let own: Vec<Entry> = entries.iter().filter(|entry| entry.key != "include").cloned().collect();
        merged.lay(&mut self.merger, &own);
        Some(merged.into_entries())
    }

    /// Compat: `Verifier#verify_max_includes!`; all entries of a file are counted before the first is read.
    fn count(&mut self, locations: &[Location]) -> Option<()> {
        let left = MAX_INCLUDES - self.included.min(MAX_INCLUDES);
        if let Some(beyond) = locations.get(left) {
            let message = format!("Maximum of {MAX_INCLUDES} nested includes are allowed!");
            let hint = match &self.circle {
                Some(circle) => format!("these files include each other: {circle}"),
                None => "every file counts as often as it is included, at whatever depth".to_owned(),
            };
            self.failed(beyond.span, &message, Some(hint));
            self.stopped = true;
            return None;
        }
        self.included += locations.len();
        Some(())
    }

    fn include(&mut self, location: &mut Location, by: &File) -> Option<Vec<Entry>> {
        let file = self.fetched(location, by)?;
        self.enter(&file.label);
        let content = self.content(&file);
        let entries = content.and_then(|content| self.with_includes(&content, &file));
        self.trail.pop();
        entries
    }

    fn enter(&mut self, label: &str) {
        if self.circle.is_none()
            && let Some(start) = self.trail.iter().position(|open| open == label)
        {
            let circle: Vec<&str> = self.trail[start..].iter().map(String::as_str).chain([label]).collect();
            self.circle = Some(circle.join(" → "));
        }
        self.trail.push(label.to_owned());
    }

    /// Compat: `include` of a header brings inputs, each declared once in all of the files.
    pub(super) fn add_included_inputs(&mut self, spec: &mut Spec, file: &File) {
        let Some(include) = spec.include.clone() else {
            return;
        };
        let locations = self.locations(&include, file, Place::Header);
        if self.count(&locations).is_none() {
            return;
        }
        let own = std::mem::take(&mut spec.inputs);
        for mut location in locations {
            let span = location.span;
            let Some(included) = self.fetched(&mut location, file) else {
                continue;
            };
            spec.inputs
                .extend(self.inputs_only(&included, span).unwrap_or_default());
        }
        spec.inputs.extend(own);
        self.check_duplicates(spec, include.key_span);
    }

    fn inputs_only(&mut self, file: &File, span: Span) -> Option<Vec<header::Input>> {
        let passage = Passage::whole(self.problems, file.id);
        let documents = compose(self.problems, &passage)?;
        let content = documents.into_iter().find(|document| !document.is_null());
        let Some(entries) = content.as_ref().and_then(|content| content.as_mapping()) else {
            let message = format!("`{}`: Invalid configuration format", file.label);
            self.failed(
                span,
                &message,
                Some("the file has to be a mapping with `inputs`".to_owned()),
            );
            return None;
        };
        for entry in entries.iter().filter(|entry| entry.key != "inputs") {
            let message = format!(
                "`{}`: header include config contains unknown keys: {}",
                file.label, entry.key
            );
            let hint = "a file that a header includes has `inputs` and nothing else".to_owned();
            self.failed(entry.key_span, &message, Some(hint));
        }
        let inputs = entries.iter().find(|entry| entry.key == "inputs")?;
        Some(header::inputs(self.problems, "inputs", &inputs.value))
    }

    fn check_duplicates(&mut self, spec: &Spec, span: Span) {
        let mut names: Vec<&str> = Vec::new();
        let mut twice: Vec<&str> = Vec::new();
        for input in &spec.inputs {
            let list = if names.contains(&input.name.as_str()) {
                &mut twice
            } else {
                &mut names
            };
            list.push(&input.name);
        }
        if twice.is_empty() {
            return;
        }
        twice.dedup();
        let message = format!(
            "Duplicate input keys found: {}. Input keys must be unique across all included files and inline \
             specifications.",
            twice.join(", ")
        );
        self.failed(span, &message, None);
    }

    /// Adds a location, or one for each file its wildcards match.
    pub(super) fn with_wildcards(&mut self, location: Location, file: &File, locations: &mut Vec<Location>) {
        let Target::Wildcard(pattern) = &location.target else {
            locations.push(location);
            return;
        };
        let pattern = pattern.trim_start_matches('/').to_owned();
        let paths = match &file.origin {
            Origin::Nowhere => Err(FetchError::Missing),
            origin => self.request.world.paths(origin),
        };
        let paths = match paths {
            Ok(paths) => paths,
            Err(error) => {
                let message = format!("Local file `{pattern}` does not have project!");
                self.failed(location.span, &message, reason(&error));
                return;
            }
        };
        let before = locations.len();
        let matching = paths.iter().filter(|path| matches(&pattern, path));
        locations.extend(matching.map(|path| Location {
            span: location.span,
            target: Target::Local(path.clone()),
            inputs: location.copied_inputs(),
        }));
        if locations.len() == before {
            let message = self
                .variables
                .mask(&format!("no file matches `{pattern}`; nothing is included"));
            let hint = if pattern.contains('$') {
                "GitLab looks for files before it expands variables in a mapping; write `include: \"$DIR/*.yml\"`"
            } else {
                "`*` does not match `/`, `**` does; paths start at the top of the repository"
            };
            self.problems.warning(location.span, message, hint);
        }
    }
}

/// What is known of why a file is not there.
pub(super) fn reason(error: &FetchError) -> Option<String> {
    match error {
        FetchError::Unavailable(why) | FetchError::Refused(why) => Some(why.clone()),
        _ => None,
    }
}

/// Compat: `Repository#search_files_by_wildcard_path`: `**` is anything, `*` anything but `/`, the rest is literal.
fn matches(pattern: &str, path: &str) -> bool {
    // Places in the path that the pattern may have come to.
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("**") {
            let from = reached.iter().position(|reached| *reached).unwrap_or(path.len() + 1);
            reached.iter_mut().skip(from).for_each(|reached| *reached = true);
            rest = after;
        } else if first == '*' {
            for at in 1..reached.len() {
                reached[at] |= reached[at - 1] && path.as_bytes()[at - 1] != b'/';
            }
            rest = &rest[1..];
        } else {
            let byte = rest.as_bytes()[0];
            for at in (1..reached.len()).rev() {
                reached[at] = reached[at - 1] && path.as_bytes()[at - 1] == byte;
            }
            reached[0] = false;
            // Bytes of one character are compared one by one.
            let (character, after) = rest.split_at(first.len_utf8());
            for byte in character.bytes().skip(1) {
                for at in (1..reached.len()).rev() {
                    reached[at] = reached[at - 1] && path.as_bytes()[at - 1] == byte;
                }
            }
            rest = after;
        }
    }
    reached[path.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_are_a_language_of_their_own() {
        for (pattern, path, expected) in [
            ("configs/*.yml", "configs/a.yml", true),
            ("configs/*.yml", "configs/b/a.yml", false),
            ("configs/**.yml", "configs/a.yml", true),
            ("configs/**.yml", "configs/b/c/a.yml", true),
            ("configs/**/*.yml", "configs/b/a.yml", true),
            ("configs/**/*.yml", "configs/a.yml", false),
            ("*.yml", ".gitlab-ci.yml", true),
            ("**", "a/b", true),
            ("*", "a/b", false),
            ("a?.yml", "ab.yml", false),
            ("{a,b}*.yml", "a.yml", false),
            ("é*é.yml", "éxé.yml", true),
            ("a*b*c", "abbc", true),
            ("a.yml*", "xa.yml", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }
}
