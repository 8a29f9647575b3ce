//! Upload and download of artifacts, as a helper container does them: with the job's token only.
//!
//! Compat: gitlab-runner network/gitlab.go `UploadRawArtifacts`, `DownloadArtifacts`; unlike there the token is never
//! sent on to another host.

use super::client::{GitLab, unreachable_error, without_credentials};
use super::{Error, retry};
use jiff::Timestamp;
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

/// Where an upload goes, and whether the job's token may go with it.
#[derive(Debug, Clone)]
pub struct UploadTarget {
    url: Url,
    trusted: bool,
}

impl UploadTarget {
    /// Where an answer sends the same upload instead.
    #[must_use]
    pub fn redirected(&self, response: &Response) -> Option<Self> {
        if !matches!(response.status().as_u16(), 307 | 308) {
            return None;
        }
        let url = redirect_target(response)?;
        // Once the token was left out, it is not brought back by a way that leads home again.
        let trusted = self.trusted && is_same_server(&self.url, &url);
        Some(Self { url, trusted })
    }

    /// For messages.
    #[must_use]
    pub fn shown(&self) -> String {
        without_credentials(self.url.as_str())
    }
}

/// The same host and port, without a step from https back to http.
fn is_same_server(from: &Url, to: &Url) -> bool {
    from.scheme() == to.scheme()
        && from.host() == to.host()
        && from.port_or_known_default() == to.port_or_known_default()
}

impl GitLab {
    /// Where a job's artifacts go.
    ///
    /// # Errors
    /// The address of the instance is none.
    pub fn upload_target(&self, job: JobId, description: &UploadDescription) -> Result<UploadTarget, Error> {
        let url = self.url(&paths::job_artifacts(job));
        let query = [
            ("expire_in", description.expire_in.as_str()),
            ("artifact_format", description.artifact_format.as_str()),
            ("artifact_type", description.artifact_type.as_str()),
        ];
        let query = query.into_iter().filter(|(_, value)| !value.is_empty());
        let url = Url::parse_with_params(&url, query).map_err(|e| Error::Configuration {
            what: format!("url {:?}", without_credentials(&url)),
            reason: e.to_string(),
        })?;
        Ok(UploadTarget { url, trusted: true })
    }

    /// Sends one archive; `body` is consumed, so a retry needs a new one. Neither retries nor redirects happen here.
    ///
    /// # Errors
    /// The server cannot be reached or the body broke off.
    pub async fn upload_artifact(
        &self,
        target: &UploadTarget,
        token: &Secret,
        description: &UploadDescription,
        body: Body,
    ) -> Result<Response, Error> {
        let failed = |e: reqwest::Error| unreachable_error(target.url.as_str(), &e);
        let part = multipart::Part::stream(body)
            .file_name(description.file_name.clone())
            .mime_str("application/octet-stream")
            .map_err(failed)?;
        let mut request = self
            .http
            .post(target.url.clone())
            .header(headers::REQUEST_ID, request_id())
            .timeout(description.timeout)
            .multipart(multipart::Form::new().part("file", part));
        if target.trusted {
            request = request.header(headers::JOB_TOKEN, sensitive(token));
        }
        request.send().await.map_err(failed)
    }

    /// Starts a download. A redirect to another host is followed without the job's token.
    ///
    /// # Errors
    /// The coordinator cannot be reached.
    pub async fn download_artifacts(&self, job: JobId, token: &Secret, direct: bool) -> Result<Response, Error> {
        let url = self.url(&paths::job_artifacts(job));
        let mut request = self
            .http
            .get(&url)
            .header(headers::REQUEST_ID, request_id())
            .header(headers::JOB_TOKEN, sensitive(token));
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
}

fn request_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// The pause an answer asks for before the next try, if it does.
pub(crate) fn asked_pause(response: &Response) -> Option<Duration> {
    retry::asked(response.headers(), Timestamp::now())
}

/// What the server calls this request; empty if it does not say.
pub(crate) fn correlation_id(response: &Response) -> String {
    let id = response
        .headers()
        .get(headers::REQUEST_ID)
        .and_then(|v| v.to_str().ok());
    id.unwrap_or_default().to_owned()
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

#[cfg(test)]
mod tests {
    use super::is_same_server;
    use reqwest::Url;

    #[test]
    fn the_token_stays_with_its_server() {
        for (to, same) in [
            ("https://gitlab.test/elsewhere?x=y", true),
            ("https://gitlab.test:443/", true),
            ("https://GITLAB.test/", true),
            ("http://gitlab.test/", false),
            ("https://gitlab.test:8443/", false),
            ("https://gitlab.test.evil/", false),
            ("https://storage.test/", false),
        ] {
            let from = Url::parse("https://gitlab.test/api/v4/jobs/1/artifacts").unwrap();
            assert_eq!(is_same_server(&from, &Url::parse(to).unwrap()), same, "{to}");
        }
    }
}
