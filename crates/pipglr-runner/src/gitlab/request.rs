//! `POST jobs/request`: is there a job?

use super::client::{Call, Error, GitLab, status_error};
use bytes::Bytes;
use pipglr_protocol::job_request::JobRequest;
use pipglr_protocol::payload::JobPayload;
use pipglr_protocol::{headers, paths};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response};

/// What a request for a job came to.
#[derive(Debug)]
pub struct JobRequestOutcome {
    /// The job, if there was one.
    pub job: Option<Box<JobPayload>>,
    /// The value to send with the next request so that the coordinator can hold it.
    pub last_update: Option<String>,
    /// What the coordinator calls this request; may be empty.
    pub correlation_id: String,
}

impl GitLab {
    /// Asks for a job. May be held by the coordinator for about a minute.
    ///
    /// # Errors
    /// Any answer but 201 and 204; a 201 that cannot be read.
    pub async fn request_job(&self, request: &JobRequest) -> Result<JobRequestOutcome, Error> {
        let response = self
            .post_json(paths::JOBS_REQUEST, request, request.token.expose())
            .await?;
        let header = |name: &str| {
            let value = response.headers().get(name).and_then(|v| v.to_str().ok());
            value.filter(|v| !v.is_empty()).map(str::to_owned)
        };
        let last_update = header(headers::LAST_UPDATE);
        let correlation_id = header(headers::REQUEST_ID).unwrap_or_default();
        let job = match response.status().as_u16() {
            201 => Some(decode(response).await?),
            204 => None,
            _ => return Err(status_error(Method::POST, response).await),
        };
        Ok(JobRequestOutcome {
            job,
            last_update,
            correlation_id,
        })
    }

    pub(super) async fn post_json(
        &self,
        path: &str,
        body: &impl serde::Serialize,
        token: &str,
    ) -> Result<Response, Error> {
        self.json_call(Method::POST, path, body, token).await
    }

    pub(super) async fn json_call(
        &self,
        method: Method,
        path: &str,
        body: &impl serde::Serialize,
        token: &str,
    ) -> Result<Response, Error> {
        let mut map = HeaderMap::new();
        map.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        map.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Ok(mut value) = HeaderValue::from_str(token) {
            value.set_sensitive(true);
            map.insert(HeaderName::from_static(headers::RUNNER_TOKEN), value);
        }
        let body = serde_json::to_vec(body).expect("plain data serializes");
        self.send(Call {
            method,
            path,
            headers: map,
            body: Some(Bytes::from(body)),
            timeout: None,
        })
        .await
    }
}

/// Reads a JSON answer; the error names where it goes wrong, never the content.
pub(super) async fn decode<T: serde::de::DeserializeOwned>(response: Response) -> Result<T, Error> {
    let url = super::client::without_credentials(response.url().as_str());
    let is_json = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| {
            v.split(';')
                .next()
                .is_some_and(|mime| mime.trim().eq_ignore_ascii_case("application/json"))
        });
    if !is_json {
        return Err(Error::Decode {
            url,
            reason: "the answer is not application/json".to_owned(),
        });
    }
    let body = response
        .bytes()
        .await
        .map_err(|e| super::client::unreachable_error(&url, &e))?;
    serde_json::from_slice(&body).map_err(|e| Error::Decode {
        url,
        reason: format!("cannot read the answer (line {} column {})", e.line(), e.column()),
    })
}
