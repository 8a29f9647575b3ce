//! The feature flags gitlab-runner users know: names, defaults, and what a job gets to see of them.
//!
//! Compat: gitlab-runner helpers/featureflags/flags.go.

use super::variables::{Variable, Variables, parse_bool};
use crate::config::RunnerConfig;

/// Name and default of every flag.
const FLAGS: [(&str, bool); 52] = [
    ("FF_TEST_FEATURE", false),
    ("FF_NETWORK_PER_BUILD", false),
    ("FF_USE_DIRECT_DOWNLOAD", true),
    ("FF_USE_FASTZIP", true),
    ("FF_DISABLE_UMASK_FOR_DOCKER_EXECUTOR", false),
    ("FF_ENABLE_BASH_EXIT_CODE_CHECK", false),
    ("FF_USE_LEGACY_BASH_EVAL", false),
    ("FF_POSIXLY_CORRECT_ESCAPES", false),
    ("FF_USE_DYNAMIC_TRACE_FORCE_SEND_INTERVAL", false),
    ("FF_SCRIPT_SECTIONS", false),
    ("FF_TIMESTAMPS", true),
    ("FF_MASK_ALL_DEFAULT_TOKENS", true),
    ("FF_ENABLE_JOB_CLEANUP", false),
    ("FF_RESOLVE_FULL_TLS_CHAIN", false),
    ("FF_SECRET_RESOLVING_FAILS_IF_MISSING", true),
    ("FF_USE_GIT_BUNDLE_URIS", true),
    ("FF_USE_GIT_NATIVE_CLONE", false),
    ("FF_GIT_URLS_WITHOUT_TOKENS", false),
    ("FF_USE_GIT_PROACTIVE_AUTH", false),
    ("FF_USE_GITALY_CORRELATION_ID", true),
    ("FF_USE_INIT_WITH_DOCKER_EXECUTOR", false),
    ("FF_USE_NATIVE_CONTAINER_STOP", false),
    ("FF_LOG_IMAGES_CONFIGURED_FOR_JOB", false),
    ("FF_CLEAN_UP_FAILED_CACHE_EXTRACT", false),
    ("FF_HASH_CACHE_KEYS", false),
    ("FF_USE_LEGACY_S3_CACHE_ADAPTER", false),
    ("FF_USE_LEGACY_GCS_CACHE_ADAPTER", false),
    ("FF_USE_PARALLEL_CACHE_TRANSFER", false),
    ("FF_USE_PARALLEL_ARTIFACT_TRANSFER", false),
    ("FF_USE_EXPONENTIAL_BACKOFF_STAGE_RETRY", true),
    ("FF_USE_ADAPTIVE_REQUEST_CONCURRENCY", true),
    ("FF_DISABLE_AUTOMATIC_TOKEN_ROTATION", false),
    ("FF_EXPORT_HIGH_CARDINALITY_METRICS", false),
    ("FF_USE_JOB_ROUTER", false),
    ("FF_ENABLE_JOB_INPUTS_INTERPOLATION", true),
    ("FF_SCRIPT_TO_STEP_MIGRATION", false),
    ("FF_CONCRETE", false),
    ("FF_SUSPENDABLE_ENVIRONMENTS", false),
    ("FF_USE_POWERSHELL_PATH_RESOLVER", false),
    ("FF_DISABLE_POWERSHELL_STDIN", false),
    ("FF_USE_WINDOWS_LEGACY_PROCESS_STRATEGY", false),
    ("FF_USE_WINDOWS_JOB_OBJECT", false),
    ("FF_USE_DOCKER_AUTOSCALER_DIAL_STDIO", true),
    ("FF_USE_FLEETING_ACQUIRE_HEARTBEATS", false),
    ("FF_USE_LEGACY_KUBERNETES_EXECUTION_STRATEGY", false),
    ("FF_KUBERNETES_HONOR_ENTRYPOINT", false),
    ("FF_USE_POD_ACTIVE_DEADLINE_SECONDS", true),
    ("FF_USE_ADVANCED_POD_SPEC_CONFIGURATION", false),
    ("FF_PRINT_POD_EVENTS", false),
    ("FF_USE_DUMB_INIT_WITH_KUBERNETES_EXECUTOR", false),
    ("FF_DISABLE_UMASK_FOR_KUBERNETES_EXECUTOR", false),
    ("FF_WAIT_FOR_POD_TO_BE_REACHABLE", false),
];

/// The flags of one job, resolved: config.toml, then variables, then defaults.
#[derive(Debug, Clone)]
pub(super) struct FeatureFlags(Vec<(&'static str, bool)>);

impl FeatureFlags {
    /// Resolves all flags; unreadable values give a warning and the default.
    #[must_use]
    pub(super) fn resolve(runner: &RunnerConfig, variables: &Variables, warnings: &mut Vec<String>) -> Self {
        let resolve = |&(name, default): &(&'static str, bool)| {
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
        FLAGS.iter().any(|(n, _)| *n == name)
    }

    /// Flags that differ from their default, as the log's header names them.
    #[must_use]
    pub(super) fn changed(&self) -> Vec<String> {
        self.0
            .iter()
            .zip(FLAGS)
            .filter(|((_, on), (_, default))| on != default)
            .map(|((name, on), _)| format!("{name}:{on}"))
            .collect()
    }

    /// The flags as variables.
    pub(super) fn variables(&self) -> impl Iterator<Item = Variable> + '_ {
        self.0.iter().map(|(name, on)| Variable::internal(name, on.to_string()))
    }
}
