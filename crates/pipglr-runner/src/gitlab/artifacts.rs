//! Upload and download of artifacts, as a helper container does them: with the job's token only.
//!
//! Compat: gitlab-runner network/gitlab.go `UploadRawArtifacts`, `DownloadArtifacts`; unlike there the token is never
//! sent on to another host.

use super::client::{GitLab, unreachable_error, without_credentials};
use super::{Error, retry};
use pipglr_protocol::payload::JobId;
use pipglr_protocol::{Secret, headers, paths};
use reqwest::header::{HeaderValue, LOCATION};
use reqwest::{Body, Response, Url, multipart};
use std::time::Duration;

/// What is sent besides the bytes.
#[derive(Debug, Clone)]
pub struct UploadDescription {
    pub file_name: String,
    /// Only non-empty ones are sent.
    pub expire_in: String,
    pub artifact_type: String,
    pub artifact_format: String,
    /// For the whole upload.
    pub timeout: Duration,
}

impl GitLab {
    /// Sends one archive; `body` is consumed, so a retry needs a new one. No retries happen here.
    ///
    /// # Errors
    /// The coordinator cannot be reached or the body broke off.
    pub async fn upload_artifact(
        &self,
        job: JobId,
        token: &Secret,
        description: &UploadDescription,
        body: Body,
    ) -> Result<Response, Error> {
        let url = self.url(&paths::job_artifacts(job));
        let query: Vec<(&str, &str)> = [
            ("expire_in", description.expire_in.as_str()),
            ("artifact_format", description.artifact_format.as_str()),
            ("artifact_type", description.artifact_type.as_str()),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect();
        let part = multipart::Part::stream(body)
            .file_name(description.file_name.clone())
            .mime_str("application/octet-stream")
            .map_err(|e| unreachable_error(&url, &e))?;
        self.http
            .post(&url)
            .query(&query)
            .header(headers::JOB_TOKEN, sensitive(token))
            .timeout(description.timeout)
            .multipart(multipart::Form::new().part("file", part))
            .send()
            .await
            .map_err(|e| unreachable_error(&url, &e))
    }

    /// Starts a download. A redirect to another host is followed without the job's token.
    ///
    /// # Errors
    /// The coordinator cannot be reached.
    pub async fn download_artifacts(&self, job: JobId, token: &Secret, direct: bool) -> Result<Response, Error> {
        let url = self.url(&paths::job_artifacts(job));
        let mut request = self.http.get(&url).header(headers::JOB_TOKEN, sensitive(token));
        if direct {
            request = request.query(&[("direct_download", "true")]);
        }
        let response = request.send().await.map_err(|e| unreachable_error(&url, &e))?;
        let Some(target) = redirect_target(&response) else {
            return Ok(response);
        };
        let shown = without_credentials(target.as_str());
        self.http
            .get(target)
            .send()
            .await
            .map_err(|e| unreachable_error(&shown, &e))
    }

    /// The pause before try number `attempt + 1` of a transfer.
    #[must_use]
    pub fn transfer_pause(attempt: u32) -> Duration {
        Duration::from_secs(2u64.saturating_pow(attempt - 1).min(5))
            + Duration::from_millis(100).mul_f64(retry::jitter())
    }
}

/// Where an answer wants us to go, if it is a redirect our client did not follow by itself.
fn redirect_target(response: &Response) -> Option<Url> {
    if !response.status().is_redirection() {
        return None;
    }
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    response.url().join(location).ok()
}

fn sensitive(token: &Secret) -> HeaderValue {
    let mut value = HeaderValue::from_str(token.expose()).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}
