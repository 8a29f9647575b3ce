//! Registering, verifying and unregistering runners.

use super::client::{Error, GitLab, status_error};
use super::request::decode;
use pipglr_protocol::info::Info;
use pipglr_protocol::registration::{RegisterRequest, RegisterResponse, TokenRequest, VerifyRequest};
use pipglr_protocol::{Secret, paths};
use reqwest::Method;

/// What verifying a token showed.
#[derive(Debug, Clone)]
pub enum Verified {
    /// The token is good; older servers say nothing more.
    Alive(Option<RegisterResponse>),
    /// The coordinator does not know it (403).
    Invalid,
}

impl GitLab {
    /// Exchanges a registration token for a runner of its own.
    ///
    /// # Errors
    /// Status 403 for a wrong token, 410 where registration tokens are switched off, and transport errors.
    pub async fn register(&self, request: &RegisterRequest) -> Result<RegisterResponse, Error> {
        let response = self.post_json(paths::RUNNERS, request, request.token.expose()).await?;
        match response.status().as_u16() {
            201 => decode(response).await,
            _ => Err(status_error(Method::POST, response).await),
        }
    }

    /// Checks an authentication token; tells the coordinator about this manager at the same time.
    ///
    /// # Errors
    /// Transport errors and every status but 200 and 403.
    pub async fn verify(&self, token: &Secret, system_id: &str, info: &Info) -> Result<Verified, Error> {
        let body = VerifyRequest {
            info: info.clone(),
            token: token.clone(),
            system_id: Some(system_id.to_owned()),
        };
        let response = self.post_json(paths::VERIFY, &body, token.expose()).await?;
        match response.status().as_u16() {
            200 => Ok(Verified::Alive(decode(response).await.ok())),
            403 => Ok(Verified::Invalid),
            _ => Err(status_error(Method::POST, response).await),
        }
    }

    /// Removes a runner, or with `system_id` only this manager of it.
    ///
    /// # Errors
    /// Every answer but 204.
    pub async fn unregister(&self, token: &Secret, system_id: Option<&str>) -> Result<(), Error> {
        let path = if system_id.is_some() {
            paths::MANAGERS
        } else {
            paths::RUNNERS
        };
        let body = TokenRequest {
            token: token.clone(),
            system_id: system_id.map(str::to_owned),
        };
        let response = self.json_call(Method::DELETE, path, &body, token.expose()).await?;
        match response.status().as_u16() {
            204 => Ok(()),
            _ => Err(status_error(Method::DELETE, response).await),
        }
    }
}
