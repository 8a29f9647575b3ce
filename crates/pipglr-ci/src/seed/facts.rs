//! `CI_JOB_…` and the like, as far as they are known before a job exists.

use crate::lower::Draft;
use crate::model::When;
use crate::variables::{Given, Layer, Source};

/// Compat: `Variables::Builder#predefined_variables_from_job_attr`.
pub(super) fn facts(draft: &Draft, environment: Option<&str>) -> Layer {
    let job = &draft.job;
    let given = |key: &str, value: &str| Given::new(key, value, Source::Predefined);
    let group = crate::lower::group(&job.name);
    let stage = draft.stage.as_ref().map_or("", |stage| stage.value.as_str());
    let mut facts = vec![
        given("CI_JOB_NAME", &job.name),
        given("CI_JOB_NAME_SLUG", &slugify(&job.name)),
        given("CI_JOB_GROUP_NAME", group.as_deref().unwrap_or(&job.name)),
        given("CI_JOB_STAGE", stage),
    ];
    if matches!(job.when, When::Manual | When::Delayed) {
        facts.push(given("CI_JOB_MANUAL", "true"));
    }
    if let Some(node) = job.node {
        facts.push(given("CI_NODE_INDEX", &node.index.to_string()));
    }
    let total = job.node.map_or(1, |node| node.total);
    facts.push(given("CI_NODE_TOTAL", &total.to_string()));
    if let (Some(name), Some(environment)) = (environment, &job.environment) {
        facts.push(given("CI_ENVIRONMENT_NAME", name));
        facts.push(given("CI_ENVIRONMENT_ACTION", environment.action.as_str()));
        if !environment.tier.is_empty() {
            facts.push(given("CI_ENVIRONMENT_TIER", &environment.tier));
        }
        if let Some(url) = &environment.url {
            facts.push(given("CI_ENVIRONMENT_URL", url));
        }
    }
    facts.into_iter().collect()
}

/// A name made fit for host names: lower case, everything but letters and digits replaced by `-`, at most 63 characters,
/// no `-` at the ends.
///
/// Compat: GitLab lib/gitlab/utils.rb `slugify`: cut first, then trimmed.
#[must_use]
pub fn slugify(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let slug: String = name.to_lowercase().chars().map(plain).take(63).collect();
    slug.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::slugify;

    #[test]
    fn slugs_are_cut_then_trimmed() {
        // Compat: ci-yaml.md 30.4.
        assert_eq!(slugify("feature/ABC_123.x"), "feature-abc-123-x");
        assert_eq!(slugify("a-b--c/D_é!"), "a-b--c-d");
        assert_eq!(slugify(&format!("{}-é", "x".repeat(62))), "x".repeat(62));
        let long = format!("{}-{}", "a".repeat(62), "b".repeat(10));
        assert_eq!(slugify(&long), "a".repeat(62));
        assert_eq!(slugify("-x-"), "x");
        assert_eq!(slugify(""), "");
    }
}
