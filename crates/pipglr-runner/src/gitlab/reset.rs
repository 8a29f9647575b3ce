//! Exchanging a runner's token for a new one.

use super::client::{Call, Error, GitLab, status_error};
use super::request::decode;
use bytes::Bytes;
use pipglr_protocol::registration::{RegisterResponse, TokenRequest};
use pipglr_protocol::{Secret, headers, paths};
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

impl GitLab {
    /// Exchanges `token`, which is worth nothing afterwards.
    ///
    /// # Errors
    /// Every answer but 201.
    pub async fn reset_token(&self, token: &Secret) -> Result<RegisterResponse, Error> {
        let body = TokenRequest {
            token: token.clone(),
            system_id: None,
        };
        let body = serde_json::to_vec(&body).expect("plain data serializes");
        self.reset(paths::RESET_TOKEN, HeaderMap::new(), body).await
    }

    /// Gives the runner of this number a new token, by the right of a person.
    ///
    /// # Errors
    /// Every answer but 201.
    pub async fn reset_token_of(&self, runner: u64, personal: &Secret) -> Result<RegisterResponse, Error> {
        let mut map = HeaderMap::new();
        if let Ok(mut value) = HeaderValue::from_str(personal.expose()) {
            value.set_sensitive(true);
            map.insert(HeaderName::from_static(headers::PRIVATE_TOKEN), value);
        }
        self.reset(&paths::reset_token_of(runner), map, b"{}".to_vec()).await
    }

    async fn reset(&self, path: &str, mut headers: HeaderMap, body: Vec<u8>) -> Result<RegisterResponse, Error> {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let call = Call {
            method: Method::POST,
            path,
            headers,
            body: Some(Bytes::from(body)),
            timeout: None,
        };
        let response = self.send(call).await?;
        match response.status().as_u16() {
            201 => decode(response).await,
            _ => Err(status_error(Method::POST, response).await),
        }
    }
}
