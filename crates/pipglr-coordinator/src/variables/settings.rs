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

#[cfg(test)]
mod tests {
    use super::{Level, Leveled, sort};
    use crate::given::Given;

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
