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
        config: ConfigInfo {
            gpus: runner.map(|r| r.docker.gpus.trim().to_owned()).unwrap_or_default(),
        },
        labels: runner.map(|r| r.labels.clone()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::runner_info;
    use crate::config::{DockerConfig, RunnerConfig};

    #[test]
    fn a_runner_describes_itself() {
        let runner = RunnerConfig {
            executor: "docker".to_owned(),
            labels: [("team".to_owned(), "infra".to_owned())].into(),
            docker: DockerConfig {
                gpus: " all ".to_owned(),
                ..DockerConfig::default()
            },
            ..RunnerConfig::default()
        };
        let json = serde_json::to_value(runner_info(Some(&runner))).unwrap();
        for (name, key, value) in [
            ("info.name", "name", serde_json::json!(crate::NAME)),
            ("info.version", "version", serde_json::json!(crate::VERSION)),
            ("info.revision", "revision", serde_json::json!(crate::REVISION)),
            ("info.platform", "platform", serde_json::json!("linux")),
            (
                "info.architecture",
                "architecture",
                serde_json::json!(crate::go_architecture()),
            ),
            ("info.executor", "executor", serde_json::json!("docker")),
            ("info.shell", "shell", serde_json::json!("bash")),
            ("info.config.gpus", "config", serde_json::json!({"gpus": "all"})),
            ("info.labels", "labels", serde_json::json!({"team": "infra"})),
        ] {
            assert_eq!(json[key], value, "{name}");
        }
        assert_eq!(json["features"].as_object().unwrap().len(), 31, "all of them, always");
        let nobody = serde_json::to_value(runner_info(None)).unwrap();
        assert!(nobody.get("labels").is_none() && nobody["config"]["gpus"] == "");
    }
}
