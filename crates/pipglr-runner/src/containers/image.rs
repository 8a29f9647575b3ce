//! Getting the job's image by its pull policies.
//!
//! Compat: gitlab-runner executors/docker/internal/pull/manager.go (order, messages, which failures are retried).

use super::Engine;
use super::outage::Outage as _;
use crate::gitlab::jitter;
use crate::job::plan::{ImagePlan, PullPolicy};
use crate::job::{JobError, classify_pull, is_rate_limit};
use crate::trace::turns::Turn;
use anyhow::Context as _;
use pipglr_podman::{Image, Platform, PullRequest, RegistryAuth};
use pipglr_protocol::update::FailureReason;
use std::time::Duration;

/// Tries of a pull that fails for a reason that may pass.
const TRIES: u32 = 3;
/// The same if the registry asks for patience: 30 seconds in all, beside what podman tries by itself.
const PATIENT_TRIES: u32 = 5;
/// Pause after the first of them.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// Makes the image available and says so in the log.
///
/// # Errors
/// [`JobError::Pull`] if no policy led to an image; [`JobError::System`] if podman fails otherwise.
pub async fn ensure_image(engine: &Engine, plan: &ImagePlan, log: &Turn) -> Result<Image, JobError> {
    log.line(&format!(
        "Using effective pull policy of [{}] for container {}",
        plan.policy_list(),
        plan.name
    ));
    let mut last = None;
    for (index, policy) in plan.policies.iter().enumerate() {
        if index > 0 {
            log.info(&format!("Attempt #{}: Trying \"{policy}\" pull policy", index + 1));
        }
        match by_policy(engine, plan, *policy, log).await {
            Ok(image) => {
                announce(plan, &image, log);
                return Ok(image);
            }
            Err(JobError::Pull { message, reason, .. }) => {
                log.warning(&format!("Failed to pull image with policy \"{policy}\": {message}"));
                last = Some((message, reason));
            }
            Err(error) => return Err(error),
        }
    }
    let (message, reason) =
        last.unwrap_or_else(|| ("no pull policy".to_owned(), FailureReason::RunnerConfigurationError));
    Err(pull_error(plan, message, reason))
}

/// The image a job that goes on has been using.
///
/// # Errors
/// [`JobError::System`] if it is gone.
pub async fn image_again(engine: &Engine, plan: &ImagePlan) -> Result<Image, JobError> {
    let image = local(engine, plan).await?;
    image
        .with_context(|| format!("image {:?} was removed while the job was running", plan.name))
        .map_err(JobError::System)
}

async fn by_policy(engine: &Engine, plan: &ImagePlan, policy: PullPolicy, log: &Turn) -> Result<Image, JobError> {
    if policy != PullPolicy::Always {
        match local(engine, plan).await? {
            Some(image) if policy == PullPolicy::IfNotPresent => {
                log.line("Using locally found image version due to \"if-not-present\" pull policy");
                return Ok(image);
            }
            Some(image) => return Ok(image),
            None if policy == PullPolicy::Never => {
                let message = "no such image on this runner, and the policy forbids to pull it".to_owned();
                return Err(pull_error(plan, message, FailureReason::RunnerConfigurationError));
            }
            None => {}
        }
    }
    if let Some(credentials) = &plan.credentials {
        log.line(&format!("Authenticating with credentials from {}", credentials.origin));
    }
    let platform = plan
        .platform
        .as_ref()
        .map(|p| format!(" for platform {p}"))
        .unwrap_or_default();
    log.line(&format!("Pulling docker image {}{platform} ...", plan.name));
    pull(engine, plan, log).await?;
    let image = local(engine, plan).await?;
    image
        .with_context(|| format!("image {:?} is not there after it was pulled", plan.name))
        .map_err(JobError::System)
}

async fn local(engine: &Engine, plan: &ImagePlan) -> Result<Option<Image>, JobError> {
    let image = loop {
        let image = engine.despite_outages(|_| engine.client.image(&plan.reference));
        match image.await.context("look for the image")? {
            Some(image) if !engine.leases_found(&image.id).await => {}
            found => break found,
        }
    };
    Ok(image.filter(|image| match plan.platform.as_deref() {
        None => true,
        Some(wanted) => {
            let wanted = Platform::parse(wanted);
            wanted.arch.as_deref().is_none_or(|arch| arch == image.architecture)
        }
    }))
}

async fn pull(engine: &Engine, plan: &ImagePlan, log: &Turn) -> Result<(), JobError> {
    let request = PullRequest {
        reference: plan.reference.clone(),
        policy: Some("always".to_owned()),
        platform: plan.platform.as_deref().map(Platform::parse),
        tls_verify: plan.insecure.then_some(false),
        auth: plan.credentials.as_ref().map(|c| RegistryAuth {
            username: c.username.clone(),
            password: c.password.expose().into(),
            // A mirror of the registry, or what it redirects to, is not to see them.
            server: plan.reference.split('/').next().map(str::to_owned),
        }),
    };
    let mut attempt = 1;
    loop {
        let pulled = engine.despite_outages(|_| engine.client.pull(&request, |_| {}));
        let message = match pulled.await {
            Ok(_) => return Ok(()),
            Err(pipglr_podman::Error::Pull { message, .. }) => message,
            Err(error) if error.is_outage() => return Err(JobError::System(anyhow::Error::new(error))),
            Err(error) => error.to_string(),
        };
        let reason = classify_pull(&message);
        if attempt >= tries(&message, &reason) {
            return Err(pull_error(plan, message, reason));
        }
        log.warning(&format!(
            "Failed to pull image {:?} (attempt #{attempt}), retrying: {message}",
            plan.name
        ));
        // Up to a second more, so that jobs that failed together do not come back together.
        tokio::time::sleep(pause(attempt) + Duration::from_secs_f64(jitter())).await;
        attempt += 1;
    }
}

fn tries(message: &str, reason: &FailureReason) -> u32 {
    if is_rate_limit(message) {
        PATIENT_TRIES
    } else if *reason == FailureReason::RunnerExternalDependencyFailure {
        TRIES
    } else {
        1
    }
}

/// 2 s, 4 s, 8 s, 16 s.
fn pause(attempt: u32) -> Duration {
    FIRST_PAUSE * 2u32.saturating_pow(attempt.saturating_sub(1))
}

fn announce(plan: &ImagePlan, image: &Image, log: &Turn) {
    let digest = image
        .repo_digests
        .first()
        .map(|d| format!(" with digest {d}"))
        .unwrap_or_default();
    log.line(&format!(
        "Using docker image sha256:{} for {}{digest} ...",
        image.id.trim_start_matches("sha256:"),
        plan.name
    ));
}

fn pull_error(plan: &ImagePlan, message: String, reason: FailureReason) -> JobError {
    JobError::Pull {
        image: plan.name.clone(),
        policies: plan.policy_list(),
        message,
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::{pause, tries};
    use crate::job::classify_pull;

    #[test]
    fn what_may_pass_is_tried_again_after_growing_pauses() {
        for (message, expected) in [
            ("manifest unknown", 1),
            ("something else", 1),
            ("dial tcp: connection refused", 3),
            ("toomanyrequests: You have reached your pull rate limit", 5),
            (
                "reading manifest: received unexpected HTTP status: 429 Too Many Requests",
                5,
            ),
        ] {
            assert_eq!(tries(message, &classify_pull(message)), expected, "{message}");
        }
        assert_eq!([1, 2, 3, 4].map(|n| pause(n).as_secs()), [2, 4, 8, 16]);
    }
}
