//! The variables of the context, in layers.

use super::{Given, Layer, Source, Variables};
use crate::world::{Context, ContextVariables, Setting};

/// What comes from outside the files, without what belongs to an environment.
#[derive(Debug)]
pub(crate) struct Outside {
    /// Weaker than the file's variables.
    pub(crate) predefined: Layer,
    /// Compat: `user_variables`, the predefined ones that beat the file's.
    pub(crate) user: Layer,
    pub(crate) settings: Layer,
    pub(crate) pipeline: Layer,
}

impl Outside {
    pub(crate) fn new(context: &Context) -> Self {
        let variables = &context.variables;
        let predefined = |user: bool| {
            variables
                .predefined
                .iter()
                .filter(move |variable| variable.key.starts_with("GITLAB_USER_") == user)
                .map(|variable| Given::of(variable, Source::Predefined))
                .collect()
        };
        Self {
            predefined: predefined(false),
            user: predefined(true),
            settings: settings_layer(variables, None),
            pipeline: variables
                .pipeline
                .iter()
                .map(|variable| Given::of(variable, Source::Pipeline))
                .collect(),
        }
    }

    /// What is known before the file is read: for `include`.
    pub(crate) fn variables(&self) -> Variables<'_> {
        Variables::new(vec![&self.predefined, &self.user, &self.settings, &self.pipeline])
    }
}

/// The settings that apply to an environment, or to jobs without one.
pub(crate) fn settings_layer(variables: &ContextVariables, environment: Option<&str>) -> Layer {
    let covering = |setting: &&Setting| covers(&setting.environment_scope, environment);
    variables.settings.iter().filter(covering).map(Given::setting).collect()
}

/// Whether a scope covers an environment; a job without one gets only what is for all.
#[must_use]
pub fn covers(scope: &str, environment: Option<&str>) -> bool {
    match environment {
        _ if scope == "*" || scope.is_empty() => true,
        None => false,
        Some(name) => wildcard(scope.as_bytes(), name.as_bytes()),
    }
}

/// `*` is any text.
fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p + 1, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            p += 1;
            t += 1;
        } else if let Some((after, from)) = star {
            star = Some((after, from + 1));
            (p, t) = (after, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Variable;

    #[test]
    fn scopes_cover_environments() {
        for (scope, environment, expected) in [
            ("*", None, true),
            ("*", Some("production"), true),
            ("production", None, false),
            ("production", Some("production"), true),
            ("production", Some("production2"), false),
            ("review/*", Some("review/a"), true),
            ("review/*", Some("review"), false),
            ("*prod*", Some("my-production"), true),
            ("a*b*c", Some("aXbYc"), true),
            ("a*b*c", Some("ac"), false),
            ("a*a", Some("a"), false),
        ] {
            assert_eq!(covers(scope, environment), expected, "{scope} {environment:?}");
        }
    }

    #[test]
    fn settings_are_of_their_environments() {
        let setting = |scope: &str| Setting {
            variable: Variable {
                key: "A".to_owned(),
                value: scope.to_owned(),
                expand: true,
            },
            file: false,
            masked: false,
            environment_scope: scope.to_owned(),
        };
        let variables = ContextVariables {
            settings: ["*", "review/*", "review/a*", "review/a", "production"]
                .map(setting)
                .to_vec(),
            ..ContextVariables::default()
        };
        for (environment, expected) in [
            (None, "*"),
            (Some("review/a"), "review/a"),
            (Some("review/ab"), "review/a*"),
            (Some("review/b"), "review/*"),
            (Some("staging"), "*"),
        ] {
            let layer = settings_layer(&variables, environment);
            assert_eq!(Variables::new(vec![&layer]).get("A"), Some(expected), "{environment:?}");
        }
    }
}
