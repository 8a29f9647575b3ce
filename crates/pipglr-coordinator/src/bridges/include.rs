//! The configuration of a child pipeline: a file that includes what the trigger names.

use crate::config::Subject;
use pipglr_ci::SourceFile;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A file of a child pipeline.
pub(super) enum Root {
    /// An entry as `include` takes it.
    Include(Value),
    /// In the archive of a job's artifacts.
    Artifact {
        job: String,
        path: String,
        inputs: Map<String, Value>,
        archive: PathBuf,
    },
    /// Read from there.
    Text {
        name: String,
        text: String,
        inputs: Map<String, Value>,
    },
}

/// The one file of this repository that is all of the child, if that is so. It is evaluated itself then, so that
/// messages tell of its own lines.
pub(super) fn only_local(roots: &[Root]) -> Option<(String, Map<String, Value>)> {
    let [Root::Include(entry)] = roots else { return None };
    let (path, inputs) = match entry {
        Value::String(path) if !is_address(path) => (path.as_str(), Map::new()),
        Value::Object(entry) if entry.keys().all(|key| key == "local" || key == "inputs") => {
            let inputs = entry.get("inputs").and_then(Value::as_object).cloned();
            (entry.get("local")?.as_str()?, inputs.unwrap_or_default())
        }
        _ => return None,
    };
    let plain = !path.contains(['*', '$', '%']);
    plain.then(|| (path.trim_start_matches('/').to_owned(), inputs))
}

/// Makes the file. Values of `trigger:inputs` are for the one file there is.
pub(super) fn root_of(bridge: &str, mut roots: Vec<Root>, inputs: &Map<String, Value>) -> Subject {
    if roots.len() == 1
        && let Some(Root::Text {
            name,
            text,
            inputs: own,
        }) = roots.pop_if(|root| matches!(root, Root::Text { .. }))
    {
        return Subject {
            file: SourceFile { path: name, text },
            inputs: beneath(own, inputs),
            overlay: BTreeMap::new(),
        };
    }
    let mut overlay = BTreeMap::new();
    let alone = roots.len() == 1;
    let mut entries = Vec::new();
    for (index, root) in roots.into_iter().enumerate() {
        let mut entry = match root {
            Root::Include(Value::String(path)) if is_address(&path) => json!({ "remote": path }),
            Root::Include(Value::String(path)) => json!({ "local": path }),
            Root::Include(entry) => entry,
            Root::Text { name, text, inputs } => {
                // A name that tells where it is from, and is a name of YAML.
                let path = format!(".pipglr/artifact {index}/{name}.yml");
                overlay.insert(path.clone(), text);
                json!({ "local": path, "inputs": inputs })
            }
            Root::Artifact { path, .. } => json!({ "local": path }),
        };
        if alone && let Some(entry) = entry.as_object_mut() {
            add_inputs(entry, inputs);
        }
        entries.push(entry);
    }
    Subject {
        file: SourceFile {
            path: format!("trigger of job {bridge}"),
            text: json!({ "include": entries }).to_string(),
        },
        inputs: Map::new(),
        overlay,
    }
}

fn is_address(path: &str) -> bool {
    path.starts_with("http://") || path.starts_with("https://")
}

/// Values of the trigger for what a file is not given itself.
fn beneath(own: Map<String, Value>, inputs: &Map<String, Value>) -> Map<String, Value> {
    let mut all = inputs.clone();
    all.extend(own);
    all
}

/// What the entry says itself counts.
fn add_inputs(entry: &mut Map<String, Value>, inputs: &Map<String, Value>) {
    let own = entry
        .get("inputs")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let all = beneath(own, inputs);
    if all.is_empty() {
        entry.remove("inputs");
    } else {
        entry.insert("inputs".to_owned(), all.into());
    }
}

#[cfg(test)]
mod tests {
    use super::{Root, only_local, root_of};
    use serde_json::{Map, json};

    #[test]
    fn triggers_become_includes() {
        let inputs = json!({ "a": 1 }).as_object().unwrap().clone();
        for (entry, expected) in [
            (
                json!("child.yml"),
                json!({ "local": "child.yml", "inputs": { "a": 1 } }),
            ),
            (
                json!("https://x.test/c.yml"),
                json!({ "remote": "https://x.test/c.yml", "inputs": { "a": 1 } }),
            ),
            (
                json!({ "local": "c.yml", "inputs": { "a": 2, "b": 3 } }),
                json!({ "local": "c.yml", "inputs": { "a": 2, "b": 3 } }),
            ),
        ] {
            let config = root_of("deploy", vec![Root::Include(entry)], &inputs);
            assert_eq!(config.file.text, json!({ "include": [expected] }).to_string());
        }
    }

    fn text(name: &str) -> Root {
        Root::Text {
            name: name.to_owned(),
            text: "a: b".to_owned(),
            inputs: Map::new(),
        }
    }

    #[test]
    fn a_file_that_is_all_of_the_child_is_evaluated_itself() {
        let inputs = json!({ "a": 1 }).as_object().unwrap().clone();
        let config = root_of("deploy", vec![text("child.yml")], &inputs);
        assert_eq!(
            (config.file.path.as_str(), config.file.text.as_str()),
            ("child.yml", "a: b")
        );
        assert_eq!(config.inputs, inputs);
        for (entry, expected) in [
            (json!("/ci/child.yml"), Some("ci/child.yml")),
            (json!({ "local": "child.yml", "inputs": {} }), Some("child.yml")),
            (json!({ "local": "ci/*.yml" }), None),
            (json!({ "local": "$FILE" }), None),
            (json!({ "local": "a.yml", "rules": [] }), None),
            (json!({ "remote": "https://x.test/c.yml" }), None),
            (json!("https://x.test/c.yml"), None),
        ] {
            let found = only_local(&[Root::Include(entry)]).map(|(path, _)| path);
            assert_eq!(found.as_deref(), expected);
        }
    }

    #[test]
    fn several_files_of_artifacts_are_where_the_repository_has_none() {
        let config = root_of(
            "deploy",
            vec![Root::Include(json!("x.yml")), text("c.yml of job generate")],
            &Map::new(),
        );
        let path = ".pipglr/artifact 1/c.yml of job generate.yml";
        let entries = json!([{ "local": "x.yml" }, { "local": path, "inputs": {} }]);
        assert_eq!(config.file.text, json!({ "include": entries }).to_string());
        assert_eq!(config.overlay[path], "a: b");
    }
}
