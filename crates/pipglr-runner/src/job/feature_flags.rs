//! The feature flags gitlab-runner users know: names, defaults, and what a job gets to see of them.
//!
//! Compat: gitlab-runner helpers/featureflags/flags.go.

use super::variables::{Variable, Variables, parse_bool};
use crate::config::RunnerConfig;

/// What this runner makes of a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handling {
    Honoured,
    /// Without effect; says why.
    Ignored(&'static str),
}

use Handling::{Honoured, Ignored};

/// Name, default and handling of every flag; `docs/compatibility.md` has a row for each.
#[rustfmt::skip]
const FLAGS: [(&str, bool, Handling); 52] = [
    ("FF_TEST_FEATURE", false, Ignored("for gitlab-runner's own tests")),
    ("FF_NETWORK_PER_BUILD", false, Honoured),
    ("FF_USE_DIRECT_DOWNLOAD", true, Honoured),
    ("FF_USE_FASTZIP", true, Ignored("there is one archiver, and it is fast")),
    ("FF_DISABLE_UMASK_FOR_DOCKER_EXECUTOR", false, Ignored("sources are always writable for the image's user")),
    ("FF_ENABLE_BASH_EXIT_CODE_CHECK", false, Honoured),
    ("FF_USE_LEGACY_BASH_EVAL", false, Ignored("there is one way to evaluate scripts")),
    ("FF_POSIXLY_CORRECT_ESCAPES", false, Ignored("scripts are always quoted as POSIX has it")),
    ("FF_USE_DYNAMIC_TRACE_FORCE_SEND_INTERVAL", false, Honoured),
    ("FF_SCRIPT_SECTIONS", false, Honoured),
    ("FF_TIMESTAMPS", true, Honoured),
    ("FF_MASK_ALL_DEFAULT_TOKENS", true, Honoured),
    ("FF_ENABLE_JOB_CLEANUP", false, Honoured),
    ("FF_RESOLVE_FULL_TLS_CHAIN", false, Ignored("jobs get the certificates the operator configured, nothing is fetched")),
    ("FF_SECRET_RESOLVING_FAILS_IF_MISSING", true, Honoured),
    ("FF_USE_GIT_BUNDLE_URIS", true, Honoured),
    ("FF_USE_GIT_NATIVE_CLONE", false, Honoured),
    ("FF_GIT_URLS_WITHOUT_TOKENS", false, Honoured),
    ("FF_USE_GIT_PROACTIVE_AUTH", false, Honoured),
    ("FF_USE_GITALY_CORRELATION_ID", true, Honoured),
    ("FF_USE_INIT_WITH_DOCKER_EXECUTOR", false, Ignored("process 1 of a build container is always an init")),
    ("FF_USE_NATIVE_CONTAINER_STOP", false, Ignored("process 1 passes the signal on, nothing is executed in the container")),
    ("FF_LOG_IMAGES_CONFIGURED_FOR_JOB", false, Ignored("the debug log of the runner names the image of every job")),
    ("FF_CLEAN_UP_FAILED_CACHE_EXTRACT", false, Honoured),
    ("FF_HASH_CACHE_KEYS", false, Honoured),
    ("FF_USE_LEGACY_S3_CACHE_ADAPTER", false, Ignored("there is one client for S3")),
    ("FF_USE_LEGACY_GCS_CACHE_ADAPTER", false, Ignored("there is one client for GCS")),
    ("FF_USE_PARALLEL_CACHE_TRANSFER", false, Ignored("caches are transferred in one stream")),
    ("FF_USE_PARALLEL_ARTIFACT_TRANSFER", false, Ignored("artifacts are transferred in one stream")),
    ("FF_USE_EXPONENTIAL_BACKOFF_STAGE_RETRY", true, Honoured),
    ("FF_USE_ADAPTIVE_REQUEST_CONCURRENCY", true, Honoured),
    ("FF_DISABLE_AUTOMATIC_TOKEN_ROTATION", false, Honoured),
    ("FF_EXPORT_HIGH_CARDINALITY_METRICS", false, Honoured),
    ("FF_USE_JOB_ROUTER", false, Ignored("jobs come from the instance itself")),
    ("FF_ENABLE_JOB_INPUTS_INTERPOLATION", true, Ignored("jobs with inputs are refused")),
    ("FF_SCRIPT_TO_STEP_MIGRATION", false, Ignored("there is no step-runner")),
    ("FF_CONCRETE", false, Ignored("there is no step-runner")),
    ("FF_SUSPENDABLE_ENVIRONMENTS", false, Ignored("environments cannot be suspended")),
    ("FF_USE_POWERSHELL_PATH_RESOLVER", false, Ignored("for PowerShell")),
    ("FF_DISABLE_POWERSHELL_STDIN", false, Ignored("for PowerShell")),
    ("FF_USE_WINDOWS_LEGACY_PROCESS_STRATEGY", false, Ignored("for Windows")),
    ("FF_USE_WINDOWS_JOB_OBJECT", false, Ignored("for Windows")),
    ("FF_USE_DOCKER_AUTOSCALER_DIAL_STDIO", true, Ignored("for autoscalers")),
    ("FF_USE_FLEETING_ACQUIRE_HEARTBEATS", false, Ignored("for autoscalers")),
    ("FF_USE_LEGACY_KUBERNETES_EXECUTION_STRATEGY", false, Ignored("for Kubernetes")),
    ("FF_KUBERNETES_HONOR_ENTRYPOINT", false, Ignored("for Kubernetes")),
    ("FF_USE_POD_ACTIVE_DEADLINE_SECONDS", true, Ignored("for Kubernetes")),
    ("FF_USE_ADVANCED_POD_SPEC_CONFIGURATION", false, Ignored("for Kubernetes")),
    ("FF_PRINT_POD_EVENTS", false, Ignored("for Kubernetes")),
    ("FF_USE_DUMB_INIT_WITH_KUBERNETES_EXECUTOR", false, Ignored("for Kubernetes")),
    ("FF_DISABLE_UMASK_FOR_KUBERNETES_EXECUTOR", false, Ignored("for Kubernetes")),
    ("FF_WAIT_FOR_POD_TO_BE_REACHABLE", false, Ignored("for Kubernetes")),
];

/// The flags of one job, resolved: config.toml, then variables, then defaults.
#[derive(Debug, Clone)]
pub(super) struct FeatureFlags(Vec<(&'static str, bool)>);

impl FeatureFlags {
    /// Resolves all flags; unreadable values give a warning and the default.
    #[must_use]
    pub(super) fn resolve(runner: &RunnerConfig, variables: &Variables, warnings: &mut Vec<String>) -> Self {
        let resolve = |&(name, default, _): &(&'static str, bool, Handling)| {
            if let Some(&on) = runner.feature_flags.get(name) {
                return (name, on);
            }
            let on = match variables.get(name).filter(|v| !v.is_empty()) {
                None => default,
                Some(text) => parse_bool(&text).unwrap_or_else(|| {
                    warnings.push(format!(
                        "{name}: could not parse feature flag, expected bool, got {text}"
                    ));
                    default
                }),
            };
            (name, on)
        };
        Self(FLAGS.iter().map(resolve).collect())
    }

    /// Whether a flag is on; a name that is no flag is off.
    #[must_use]
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.0.iter().any(|(n, on)| *n == name && *on)
    }

    /// Whether `name` is a flag: such variables of the payload are replaced by the resolved value.
    #[must_use]
    pub(super) fn is_flag(name: &str) -> bool {
        FLAGS.iter().any(|(n, ..)| *n == name)
    }

    /// Flags that differ from their default, as the log's header names them.
    #[must_use]
    pub(super) fn changed(&self) -> Vec<String> {
        self.0
            .iter()
            .zip(FLAGS)
            .filter(|((_, on), (_, default, _))| on != default)
            .map(|((name, on), _)| format!("{name}:{on}"))
            .collect()
    }

    /// Tells the job's author of flags that were set and change nothing.
    pub(super) fn warn_of_ignored(&self, warnings: &mut Vec<String>) {
        let set = self
            .0
            .iter()
            .zip(FLAGS)
            .filter(|((_, on), (_, default, _))| on != default);
        warnings.extend(set.filter_map(|((name, _), (_, _, handling))| match handling {
            Honoured => None,
            Ignored(why) => Some(format!("{name} has no effect here: {why}")),
        }));
    }

    /// The flags as variables.
    pub(super) fn variables(&self) -> impl Iterator<Item = Variable> + '_ {
        self.0.iter().map(|(name, on)| Variable::internal(name, on.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::{FLAGS, FeatureFlags, Handling};
    use crate::config::RunnerConfig;
    use crate::job::variables::{Variable, Variables};

    fn resolve(configured: &[(&str, bool)], variables: &[(&str, &str)]) -> (FeatureFlags, Vec<String>) {
        let runner = RunnerConfig {
            feature_flags: configured.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect(),
            ..RunnerConfig::default()
        };
        let list = variables.iter().map(|(k, v)| Variable::internal(k, *v)).collect();
        let mut warnings = Vec::new();
        let flags = FeatureFlags::resolve(&runner, &Variables::new(list, ""), &mut warnings);
        flags.warn_of_ignored(&mut warnings);
        (flags, warnings)
    }

    #[test]
    fn config_wins_over_variables_and_variables_over_defaults() {
        let name = "FF_SCRIPT_SECTIONS";
        for (configured, variable, on) in [
            (None, None, false),
            (None, Some("1"), true),
            (None, Some("False"), false),
            (Some(false), Some("true"), false),
            (Some(true), Some("false"), true),
        ] {
            let configured: Vec<_> = configured.map(|on| (name, on)).into_iter().collect();
            let variables: Vec<_> = variable.map(|text| (name, text)).into_iter().collect();
            let (flags, warnings) = resolve(&configured, &variables);
            assert_eq!(
                (flags.is_on(name), warnings),
                (on, Vec::new()),
                "{configured:?} {variables:?}"
            );
        }
        let (flags, warnings) = resolve(&[], &[(name, "maybe")]);
        assert!(!flags.is_on(name));
        let text = "FF_SCRIPT_SECTIONS: could not parse feature flag, expected bool, got maybe";
        assert_eq!(warnings, [text]);
    }

    #[test]
    fn flags_without_effect_are_named() {
        let (flags, warnings) = resolve(&[("FF_CONCRETE", true)], &[("FF_PRINT_POD_EVENTS", "true")]);
        assert_eq!(flags.changed(), ["FF_CONCRETE:true", "FF_PRINT_POD_EVENTS:true"]);
        let texts = [
            "FF_CONCRETE has no effect here: there is no step-runner",
            "FF_PRINT_POD_EVENTS has no effect here: for Kubernetes",
        ];
        assert_eq!(warnings, texts);
    }

    #[test]
    fn every_flag_has_its_row_in_the_documents() {
        let documents = include_str!("../../../../docs/compatibility.md");
        for (name, _, handling) in FLAGS {
            let start = format!("| `{name}` |");
            let row = documents.lines().find(|line| line.starts_with(&start));
            let state = row.and_then(|row| row.split('|').nth(2)).map(str::trim);
            let expected: &[&str] = match handling {
                Handling::Honoured => &["honoured", "differs"],
                Handling::Ignored(_) => &["ignored"],
            };
            assert!(state.is_some_and(|s| expected.contains(&s)), "{name}: {row:?}");
        }
    }
}
