//! The files people have from gitlab-ci-local.
//!
//! Compat: gitlab-ci-local src/variables-from-files.ts: values by environment, texts that name a file, keys that are a
//! part of the project's address.

use super::{Reader, text};
use crate::given::Given;
use crate::variables::settings::{Level, Leveled};
use serde_json::{Map, Value};
use std::path::PathBuf;

impl Reader {
    /// `.gitlab-ci-local-variables.yml`: names and values, stronger than all others.
    pub(super) fn project(&self, values: &Value) -> Result<Vec<Leveled>, String> {
        self.variables(Level::Project, values, "the file")
    }

    /// `.gitlab-ci-local/variables.yml`: for everything, for groups, for projects.
    pub(super) fn home(&self, values: &Value) -> Result<Vec<Leveled>, String> {
        let empty = Map::new();
        let sections = match values {
            Value::Object(map) => map,
            Value::Null => &empty,
            _ => return Err("the file should be a mapping with `global`, `group` and `project`".to_owned()),
        };
        let mut all = self.variables(
            Level::Instance,
            sections.get("global").unwrap_or(&Value::Null),
            "global",
        )?;
        for (name, level) in [("group", Level::Group), ("project", Level::Project)] {
            let Some(Value::Object(owners)) = sections.get(name) else {
                continue;
            };
            let address = self.address_of(level);
            for (owner, variables) in owners {
                if address.contains(&owner.replace(':', "/")) {
                    all.extend(self.variables(level, variables, owner)?);
                }
            }
        }
        Ok(all)
    }

    /// What keys are compared to: of groups the address ends with the group.
    fn address_of(&self, level: Level) -> &str {
        match (level, self.address.rfind('/')) {
            (Level::Group, Some(end)) => &self.address[..=end],
            _ => &self.address,
        }
    }

    fn variables(&self, level: Level, values: &Value, what: &str) -> Result<Vec<Leveled>, String> {
        let map = match values {
            Value::Object(map) => map,
            Value::Null => return Ok(Vec::new()),
            _ => return Err(format!("{what} should be a mapping of names to values")),
        };
        let mut all = Vec::new();
        for (key, value) in map {
            for variable in self
                .variable(key, value)
                .map_err(|problem| format!("{what}: {key}: {problem}"))?
            {
                all.push(Leveled { level, variable });
            }
        }
        Ok(all)
    }

    fn variable(&self, key: &str, value: &Value) -> Result<Vec<Given>, String> {
        if let Some(content) = text(value) {
            return Ok(vec![self.plain(key, content)?]);
        }
        let wrong = || "should be a text, or a mapping with `values` by environment".to_owned();
        let map = value.as_object().ok_or_else(wrong)?;
        let file = match map.get("type").map(text) {
            None | Some(Some("variable")) => false,
            Some(Some("file")) => true,
            Some(_) => return Err("`type` should be `variable` or `file`".to_owned()),
        };
        let values = map.get("values").and_then(Value::as_object).ok_or_else(wrong)?;
        values
            .iter()
            .map(|(scope, content)| {
                let content = text(content).ok_or_else(|| format!("the value for `{scope}` should be a text"))?;
                Ok(Given {
                    file,
                    environment_scope: scope.clone(),
                    ..Given::new(key, content)
                })
            })
            .collect()
    }

    /// A text that begins like a path is the file there.
    fn plain(&self, key: &str, content: &str) -> Result<Given, String> {
        let path = match (content.strip_prefix("~/"), &self.home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ if content.starts_with('/') => PathBuf::from(content),
            _ => return Ok(Given::new(key, content)),
        };
        // Blocks shortly: these files are read once, before anything runs.
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Given {
                file: true,
                ..Given::new(key, text)
            }),
            // Much begins with a slash and is no file: a prefix of a URL, a path in a container.
            Err(_) if content.starts_with('/') => Ok(Given::new(key, content)),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Reader;
    use serde_json::json;

    fn reader() -> Reader {
        Reader {
            address: "gitlab.test/group/sub/app.git".to_owned(),
            home: Some("/nonexistent".into()),
        }
    }

    #[test]
    fn owners_are_found_by_a_part_of_the_address() {
        let read = reader()
            .home(&json!({
                "global": { "A": "1" },
                "group": { "gitlab.test/group/": { "B": "2" }, "gitlab.test/other/": { "B": "no" } },
                "project": {
                    "gitlab.test:group/sub/app.git": { "C": "3" },
                    "gitlab.test/group/sub/lib.git": { "C": "no" },
                },
            }))
            .unwrap();
        let shown: Vec<String> = read
            .iter()
            .map(|s| format!("{:?} {}={}", s.level, s.variable.key, s.variable.value.expose()))
            .collect();
        assert_eq!(shown, ["Instance A=1", "Group B=2", "Project C=3"]);
    }

    #[test]
    fn values_are_by_environment_and_files() {
        let read = reader()
            .project(&json!({
                "URL": { "values": { "*": "all", "prod*": "one" } },
                "KEY": { "type": "file", "values": { "*": "content" } },
                "PREFIX": "/nonexistent/api",
            }))
            .unwrap();
        let shown: Vec<String> = read
            .iter()
            .map(|s| {
                let v = &s.variable;
                format!("{} {} {} {}", v.key, v.environment_scope, v.value.expose(), v.file)
            })
            .collect();
        let mut shown = shown;
        shown.sort();
        assert_eq!(
            shown,
            [
                "KEY * content true",
                "PREFIX * /nonexistent/api false",
                "URL * all false",
                "URL prod* one false",
            ]
        );
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (values, problem) in [
            (
                json!({ "A": ["x"] }),
                "the file: A: should be a text, or a mapping with `values` by environment",
            ),
            (
                json!({ "A": { "type": "dir", "values": {} } }),
                "the file: A: `type` should be `variable` or `file`",
            ),
            (
                json!({ "A": "~/key" }),
                "the file: A: /nonexistent/key: No such file or directory (os error 2)",
            ),
        ] {
            assert_eq!(reader().project(&values).unwrap_err(), problem);
        }
    }
}
