//! What an id token says about its job. Compat: GitLab lib/gitlab/ci/jwt_v2.rb.

use super::{PROJECT_ID, PayloadContext};
use crate::project::RefKind;
use serde_json::{Value, json};
use uuid::Uuid;

/// A token is good for the job's time, at least this many seconds.
const SHORTEST_LIFE: u64 = 300;

impl PayloadContext<'_> {
    /// All claims of a token for `audience`.
    pub(crate) fn claims(&self, audience: &[String]) -> Value {
        let (project, source) = (self.project, &self.pipeline.source);
        let is_tag = source.reference.kind == RefKind::Tag;
        let ref_type = if is_tag { "tag" } else { "branch" };
        let reference = &source.reference.name;
        let now = self.now.as_second();
        let life = i64::try_from(self.timeout_seconds().max(SHORTEST_LIFE)).unwrap_or(i64::MAX);
        let mut claims = json!({
            "iss": self.url.base,
            "sub": format!("project_path:{}:ref_type:{ref_type}:ref:{reference}", project.path),
            "aud": audience_claim(audience),
            "jti": Uuid::new_v4().to_string(),
            "iat": now,
            "nbf": now - 5,
            "exp": now.saturating_add(life),
            "namespace_id": "1",
            "namespace_path": project.namespace(),
            "project_id": PROJECT_ID.to_string(),
            "project_path": project.path,
            "project_visibility": "private",
            "user_id": "1",
            "user_login": project.user_login(),
            "user_email": project.user_email,
            "user_access_level": "owner",
            "pipeline_id": self.pipeline.id.to_string(),
            "pipeline_source": source.kind.as_str(),
            "job_id": self.job.id.to_string(),
            "ref": reference,
            "ref_type": ref_type,
            "ref_path": source.reference.full_name(),
            "ref_protected": self.options.protected_ref.to_string(),
            "runner_id": self.runner.id.0,
            "runner_environment": "self-hosted",
            "sha": source.commit.sha,
            "ci_config_ref_uri": self.facts().config_ref_uri(),
            "ci_config_sha": source.commit.sha,
        });
        if let (Some(environment), Some(map)) = (&self.job.definition.environment, claims.as_object_mut()) {
            map.insert("environment".to_owned(), environment.name.clone().into());
            map.insert("environment_protected".to_owned(), "false".into());
            map.insert("deployment_tier".to_owned(), environment.tier.clone().into());
            map.insert("environment_action".to_owned(), environment.action.as_str().into());
        }
        claims
    }
}

fn audience_claim(audience: &[String]) -> Value {
    match audience {
        [one] => one.clone().into(),
        several => several.to_vec().into(),
    }
}
