//! Variables that are set in GitLab and not in a file: of the instance, of groups and of the project.

use crate::given::Given;

/// Whose variable it is; later ones win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Instance,
    Group,
    Project,
}

/// A variable with its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leveled {
    pub(crate) level: Level,
    pub(crate) variable: Given,
}

/// Orders settings weakest first: by owner, then by how exactly the scope names an environment.
pub(crate) fn sort(settings: &mut [Leveled]) {
    settings.sort_by_key(|s| (s.level, specificity(&s.variable.environment_scope)));
}

/// An exact name beats a pattern, and a long pattern a short one.
///
/// Compat: GitLab app/models/concerns/has_environment_scope.rb `on_environment`.
fn specificity(scope: &str) -> (bool, usize) {
    (!scope.contains('*'), scope.len())
}

/// Whether a scope covers an environment; a job without one gets only what is for all.
pub(crate) fn covers(scope: &str, environment: Option<&str>) -> bool {
    match environment {
        _ if scope == "*" || scope.is_empty() => true,
        None => false,
        Some(name) => matches(scope, name),
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::{Level, Leveled, covers, sort};
    use crate::given::Given;

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
    fn the_owner_and_then_the_scope_decide() {
        let setting = |level, scope: &str| Leveled {
            level,
            variable: Given {
                environment_scope: scope.to_owned(),
                ..Given::new("A", "")
            },
        };
        let mut settings = vec![
            setting(Level::Project, "production"),
            setting(Level::Project, "prod*"),
            setting(Level::Project, "*"),
            setting(Level::Group, "production"),
            setting(Level::Instance, "production"),
        ];
        sort(&mut settings);
        let order: Vec<(Level, &str)> = settings
            .iter()
            .map(|s| (s.level, s.variable.environment_scope.as_str()))
            .collect();
        assert_eq!(
            order,
            [
                (Level::Instance, "production"),
                (Level::Group, "production"),
                (Level::Project, "*"),
                (Level::Project, "prod*"),
                (Level::Project, "production"),
            ]
        );
    }
}
