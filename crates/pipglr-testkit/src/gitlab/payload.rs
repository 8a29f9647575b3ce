//! Job payloads with sensible defaults.

use serde_json::{Value, json};

/// Writes the payload of one job: image `alpine:3.20`, project 1 `group/project`, sources fetched.
#[derive(Debug, Clone)]
pub struct JobBuilder(Value);

impl JobBuilder {
    /// A job whose token is `glcbt-64_job<id>token`.
    #[must_use]
    pub fn new(id: u64) -> Self {
        let token = Self::token_of(id);
        Self(json!({
            "id": id,
            "token": token,
            "allow_git_fetch": true,
            "job_info": {
                "id": id, "name": format!("job-{id}"), "stage": "test", "pipeline_id": 5, "project_id": 1,
                "project_name": "project", "project_full_path": "group/project", "namespace_id": 1,
                "root_namespace_id": 1, "organization_id": 1, "user_id": 1, "scoped_user_id": null,
                "time_in_queue_seconds": 0.5, "project_jobs_running_on_instance_runners_count": "0",
            },
            "git_info": {
                "repo_url": format!("http://gitlab-ci-token:{token}@gitlab.test/group/project.git"),
                "ref": "main", "sha": "1ecfd275763eff1d6b4844ea3168962458c9f27a",
                "before_sha": "0000000000000000000000000000000000000000", "ref_type": "branch",
                "refspecs": ["+refs/heads/main:refs/remotes/origin/main"], "depth": 20,
                "repo_object_format": "sha1", "protected": false,
            },
            "runner_info": {"timeout": 3600, "runner_session_url": null},
            "inputs": [],
            "variables": [
                {"key": "CI_JOB_ID", "value": id.to_string(), "public": true, "masked": false},
                {"key": "CI_JOB_TOKEN", "value": token, "public": false, "masked": true},
            ],
            "steps": [],
            "hooks": [],
            "image": {"name": "alpine:3.20", "entrypoint": null, "pull_policy": null, "ports": []},
            "services": [], "artifacts": [], "cache": [], "credentials": [], "dependencies": [],
            "features": {"trace_sections": false, "token_mask_prefixes": ["glpat-"], "failure_reasons": [
                "unknown_failure", "script_failure", "runner_system_failure", "job_execution_timeout",
                "image_pull_failure", "runner_external_dependency_failure", "runner_configuration_error",
                "runner_interrupted", "job_canceled",
            ]},
        }))
    }

    /// The token of job `id`.
    #[must_use]
    pub fn token_of(id: u64) -> String {
        format!("glcbt-64_job{id}token")
    }

    /// The commands of `script`.
    #[must_use]
    pub fn script(self, commands: &[&str]) -> Self {
        self.step("script", commands, "on_success", false)
    }

    /// The commands of `after_script`.
    #[must_use]
    pub fn after_script(self, commands: &[&str]) -> Self {
        self.step("after_script", commands, "always", true)
    }

    /// A step of any name.
    #[must_use]
    pub fn step(self, name: &str, commands: &[&str], when: &str, allow_failure: bool) -> Self {
        let step =
            json!({"name": name, "script": commands, "timeout": 3600, "when": when, "allow_failure": allow_failure});
        self.push("steps", step)
    }

    /// A plain variable.
    #[must_use]
    pub fn variable(self, key: &str, value: &str) -> Self {
        self.push(
            "variables",
            json!({"key": key, "value": value, "public": true, "masked": false}),
        )
    }

    /// A variable that must not show up in the log.
    #[must_use]
    pub fn masked_variable(self, key: &str, value: &str) -> Self {
        self.push(
            "variables",
            json!({"key": key, "value": value, "public": false, "masked": true}),
        )
    }

    /// A variable whose value is put into a file.
    #[must_use]
    pub fn file_variable(self, key: &str, content: &str) -> Self {
        self.push(
            "variables",
            json!({"key": key, "value": content, "public": false, "masked": false, "file": true}),
        )
    }

    /// No sources are fetched, so that the job needs no helper.
    #[must_use]
    pub fn without_sources(self) -> Self {
        self.variable("GIT_STRATEGY", "none")
    }

    /// The image's name; empty for none.
    #[must_use]
    pub fn image(self, name: &str) -> Self {
        self.with("/image/name", json!(name))
    }

    /// `image:pull_policy`.
    #[must_use]
    pub fn pull_policy(self, policies: &[&str]) -> Self {
        self.with("/image/pull_policy", json!(policies))
    }

    /// Seconds the job may take.
    #[must_use]
    pub fn timeout(self, seconds: u64) -> Self {
        self.with("/runner_info/timeout", json!(seconds))
    }

    /// The log gets section markers.
    #[must_use]
    pub fn sections(self) -> Self {
        self.with("/features/trace_sections", json!(true))
    }

    /// Failure reasons this GitLab knows.
    #[must_use]
    pub fn failure_reasons(self, reasons: &[&str]) -> Self {
        self.with("/features/failure_reasons", json!(reasons))
    }

    /// The project's number.
    #[must_use]
    pub fn project(self, id: u64) -> Self {
        self.with("/job_info/project_id", json!(id))
    }

    /// Files to keep.
    #[must_use]
    pub fn artifacts(self, paths: &[&str], when: &str) -> Self {
        let artifact = json!({
            "name": null, "untracked": false, "paths": paths, "exclude": null, "when": when,
            "expire_in": null, "artifact_type": "archive", "artifact_format": "zip",
        });
        self.push("artifacts", artifact)
    }

    /// Credentials of a registry.
    #[must_use]
    pub fn registry(self, url: &str, username: &str, password: &str) -> Self {
        self.push(
            "credentials",
            json!({"type": "registry", "url": url, "username": username, "password": password}),
        )
    }

    /// A service of this image, with further keys of its entry.
    ///
    /// # Panics
    /// `more` is no object.
    #[must_use]
    pub fn service(self, image: &str, more: Value) -> Self {
        let mut service = json!({"name": image});
        let more = more.as_object().expect("an object").clone();
        service.as_object_mut().expect("an object").extend(more);
        self.push("services", service)
    }

    /// Sets whatever a JSON pointer names.
    ///
    /// # Panics
    /// The default payload has nothing there.
    #[must_use]
    pub fn with(mut self, pointer: &str, value: Value) -> Self {
        *self
            .0
            .pointer_mut(pointer)
            .expect("a pointer to something that is there") = value;
        self
    }

    fn push(mut self, list: &str, item: Value) -> Self {
        self.0[list].as_array_mut().expect("a list of the payload").push(item);
        self
    }
}

impl From<JobBuilder> for Value {
    fn from(builder: JobBuilder) -> Self {
        builder.0
    }
}
