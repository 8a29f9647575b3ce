//! The caches of a job as the runner gets them.

use pipglr_ci::model::{self, ArtifactsWhen, CacheKey, CachePolicy};
use pipglr_protocol::payload::Cache;

/// The caches that name files; their keys were found when the pipeline began.
pub(super) fn caches(job: &model::Job, protected: bool) -> Vec<Cache> {
    let wanted = |cache: &&model::Cache| cache.untracked || !cache.paths.is_empty();
    job.caches.iter().filter(wanted).map(|c| cache(c, protected)).collect()
}

fn cache(cache: &model::Cache, protected: bool) -> Cache {
    // Compat: GitLab app/models/ci/build.rb `cache`: jobs of unprotected refs cannot write what protected ones read.
    let suffix = match (cache.unprotect, protected) {
        (true, _) => "",
        (false, true) => "-protected",
        (false, false) => "-non_protected",
    };
    let key = match &cache.key {
        CacheKey::Text(text) => text,
        CacheKey::Files { prefix, .. } => prefix.as_deref().unwrap_or("default"),
    };
    Cache {
        key: format!("{key}{suffix}"),
        untracked: cache.untracked,
        policy: match &cache.policy {
            CachePolicy::PullPush => "pull-push".to_owned(),
            CachePolicy::Pull => "pull".to_owned(),
            CachePolicy::Push => "push".to_owned(),
            CachePolicy::Variable(text) => text.clone(),
        },
        paths: cache.paths.clone(),
        when: match cache.when {
            ArtifactsWhen::OnSuccess => "on_success",
            ArtifactsWhen::OnFailure => "on_failure",
            ArtifactsWhen::Always => "always",
        }
        .to_owned(),
        fallback_keys: cache.fallback_keys.iter().map(|key| format!("{key}{suffix}")).collect(),
    }
}
