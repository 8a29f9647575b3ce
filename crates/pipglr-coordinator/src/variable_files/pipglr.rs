//! Our own format:
//!
//! ```yaml
//! project:                  # or group, or instance; the project's win
//!   NAME: value
//!   TOKEN: {value: secret, masked: true, raw: true, file: true, protected: true, environments: [production, review/*]}
//! ```

use super::text;
use crate::given::Given;
use crate::variables::settings::{Level, Leveled};
use serde_json::{Map, Value};

const LEVELS: [(&str, Level); 3] = [
    ("instance", Level::Instance),
    ("group", Level::Group),
    ("project", Level::Project),
];

pub(super) fn read(values: &Value) -> Result<Vec<Leveled>, String> {
    let mut all = Vec::new();
    for (name, variables) in table(values, "the file")? {
        let Some((_, level)) = LEVELS.iter().find(|(known, _)| known == name) else {
            return Err(format!(
                "unknown key `{name}`; there are `project`, `group` and `instance`"
            ));
        };
        for (key, value) in table(variables, name)? {
            for variable in variable(key, value).map_err(|problem| format!("{name}: {key}: {problem}"))? {
                all.push(Leveled {
                    level: *level,
                    variable,
                });
            }
        }
    }
    Ok(all)
}

fn table<'v>(value: &'v Value, what: &str) -> Result<impl Iterator<Item = (&'v String, &'v Value)>, String> {
    match value {
        Value::Object(map) => Ok(Some(map).into_iter().flatten()),
        Value::Null => Ok(None.into_iter().flatten()),
        _ => Err(format!("{what} should be a mapping of names to values")),
    }
}

fn variable(key: &str, value: &Value) -> Result<Vec<Given>, String> {
    if let Some(value) = text(value) {
        return Ok(vec![Given::new(key, value)]);
    }
    let Value::Object(map) = value else {
        return Err("should be a text, or a mapping with `value`".to_owned());
    };
    let known = ["value", "masked", "raw", "file", "protected", "environments"];
    if let Some(unknown) = map.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!("unknown key `{unknown}`; there are {}", known.join(", ")));
    }
    let value = map.get("value").and_then(text).ok_or("`value` should be a text")?;
    let given = Given {
        masked: switch(map, "masked")?,
        raw: switch(map, "raw")?,
        file: switch(map, "file")?,
        protected: switch(map, "protected")?,
        ..Given::new(key, value)
    };
    let scopes = scopes(map)?;
    Ok(scopes
        .into_iter()
        .map(|environment_scope| Given {
            environment_scope,
            ..given.clone()
        })
        .collect())
}

fn switch(map: &Map<String, Value>, key: &str) -> Result<bool, String> {
    match map.get(key).map(text) {
        None | Some(Some("false")) => Ok(false),
        Some(Some("true")) => Ok(true),
        Some(_) => Err(format!("`{key}` should be true or false")),
    }
}

fn scopes(map: &Map<String, Value>) -> Result<Vec<String>, String> {
    let wrong = || "`environments` should be a name, or a list of names".to_owned();
    match map.get("environments") {
        None => Ok(vec!["*".to_owned()]),
        Some(Value::Array(list)) => list
            .iter()
            .map(|scope| text(scope).map(str::to_owned).ok_or_else(wrong))
            .collect(),
        Some(one) => Ok(vec![text(one).ok_or_else(wrong)?.to_owned()]),
    }
}

#[cfg(test)]
mod tests {
    use super::read;
    use serde_json::{Value, json};

    #[test]
    fn variables_have_owners_switches_and_environments() {
        let read = read(&json!({
            "project": { "A": "1", "T": { "value": "s", "masked": "true", "environments": ["production", "review/*"] } },
            "group": { "G": { "value": "x", "file": "true", "raw": "true" } },
            "instance": null,
        }))
        .unwrap();
        let shown: Vec<String> = read
            .iter()
            .map(|s| {
                let v = &s.variable;
                let switches = [(v.masked, "masked"), (v.file, "file"), (v.raw, "raw")];
                let switches: Vec<&str> = switches.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
                let scope = &v.environment_scope;
                format!(
                    "{:?} {}={} {scope} {}",
                    s.level,
                    v.key,
                    v.value.expose(),
                    switches.join(" ")
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "Project A=1 * ",
                "Project T=s production masked",
                "Project T=s review/* masked",
                "Group G=x * file raw",
            ]
        );
    }

    #[test]
    fn what_is_no_variable_is_named() {
        for (values, problem) in [
            (json!([]), "the file should be a mapping of names to values"),
            (
                json!({ "projects": {} }),
                "unknown key `projects`; there are `project`, `group` and `instance`",
            ),
            (
                json!({ "project": { "A": [] } }),
                "project: A: should be a text, or a mapping with `value`",
            ),
            (
                json!({ "project": { "A": { "masked": "true" } } }),
                "project: A: `value` should be a text",
            ),
            (
                json!({ "project": { "A": { "value": "", "file": "1" } } }),
                "project: A: `file` should be true or false",
            ),
            (
                json!({ "group": { "A": { "value": "", "scope": "x" } } }),
                "group: A: unknown key `scope`; there are value, masked, raw, file, protected, environments",
            ),
        ] {
            assert_eq!(read(&values).unwrap_err(), problem);
        }
        assert!(read(&Value::Null).unwrap().is_empty());
    }
}
