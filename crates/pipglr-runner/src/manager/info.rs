//! What this runner says about itself. Only what is implemented is reported as a feature.

use crate::config::RunnerConfig;
use pipglr_protocol::info::{ConfigInfo, Features, Info};

/// The `info` object of a runner's calls.
#[must_use]
pub fn runner_info(runner: Option<&RunnerConfig>) -> Info {
    let executor = runner.map_or("docker", |r| r.executor.as_str());
    Info {
        name: crate::NAME.to_owned(),
        version: crate::VERSION.to_owned(),
        revision: crate::REVISION.to_owned(),
        platform: "linux".to_owned(),
        architecture: crate::go_architecture().to_owned(),
        executor: if executor.is_empty() {
            "docker".to_owned()
        } else {
            executor.to_owned()
        },
        shell: "bash".to_owned(),
        features: Features {
            variables: true,
            image: true,
            services: true,
            artifacts: true,
            cache: true,
            fallback_cache_keys: true,
            upload_multiple_artifacts: true,
            upload_raw_artifacts: true,
            refspecs: true,
            masking: true,
            raw_variables: true,
            vault_secrets: true,
            artifacts_exclude: true,
            multi_build_steps: true,
            trace_reset: true,
            trace_checksum: true,
            trace_size: true,
            cancelable: true,
            return_exit_code: true,
            service_variables: true,
            service_multiple_aliases: true,
            image_executor_opts: true,
            service_executor_opts: true,
            cancel_gracefully: true,
            two_phase_job_commit: true,
            ..Features::default()
        },
        config: ConfigInfo::default(),
        labels: runner.map(|r| r.labels.clone()).unwrap_or_default(),
    }
}
