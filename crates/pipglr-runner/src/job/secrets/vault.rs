//! HashiCorp Vault, and what speaks its protocol: log in with the job's JWT, read one field.
//!
//! Compat: gitlab-runner helpers/vault/**: method `jwt`; engines `kv-v1`, `kv-v2`, `generic`.

use super::{Failure, text_of};
use pipglr_protocol::Secret;
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::time::Duration;

/// Longest time one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// `vault` of the payload's secret.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct VaultSecret {
    server: Server,
    engine: Engine,
    path: String,
    field: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Server {
    url: String,
    namespace: Option<String>,
    auth: Auth,
}

/// How to log in: the method's name, where it is mounted, and what it is sent.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    name: String,
    path: String,
    data: Map<String, Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Engine {
    name: String,
    path: String,
}

/// Reads the secret's field.
pub(super) async fn read(http: &Client, secret: &VaultSecret) -> Result<Secret, Failure> {
    let server = Url::parse(&secret.server.url)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| {
            let url = &secret.server.url;
            Failure::Configuration(format!("{url:?} is no address of a Vault server: set VAULT_SERVER_URL"))
        })?;
    if secret.server.auth.name != "jwt" {
        let name = &secret.server.auth.name;
        return Err(Failure::Configuration(format!(
            "authentication method {name:?} is not supported: use jwt"
        )));
    }
    let parts = match secret.engine.name.as_str() {
        "kv-v2" => [secret.engine.path.as_str(), "data", &secret.path],
        "kv-v1" | "generic" => [secret.engine.path.as_str(), "", &secret.path],
        name => {
            return Err(Failure::Configuration(format!(
                "secrets engine {name:?} is not supported: use kv-v1, kv-v2 or generic"
            )));
        }
    };
    let vault = Vault {
        http,
        server: &server,
        namespace: secret.server.namespace.as_deref().unwrap_or_default(),
    };
    let token = vault.log_in(&secret.server.auth).await?;
    let answer = vault
        .call(Method::GET, &parts, |r| r.header("X-Vault-Token", token.expose()))
        .await?;
    let data = match secret.engine.name.as_str() {
        "kv-v2" => &answer["data"]["data"],
        _ => &answer["data"],
    };
    match data.get(&secret.field) {
        Some(value) => Ok(text_of(value)),
        None => Err(Failure::Missing(format!(
            "{} has no field {:?}",
            secret.path, secret.field
        ))),
    }
}

struct Vault<'a> {
    http: &'a Client,
    server: &'a Url,
    namespace: &'a str,
}

impl Vault<'_> {
    async fn log_in(&self, auth: &Auth) -> Result<Secret, Failure> {
        let mount = if auth.path.is_empty() { &auth.name } else { &auth.path };
        let answer = self
            .call(Method::POST, &["auth", mount, "login"], |r| r.json(&auth.data))
            .await
            .map_err(|failure| match failure {
                // That the login is not there says nothing about the secret.
                Failure::Missing(why) => Failure::Refused(why),
                other => other,
            })?;
        match answer["auth"]["client_token"].as_str() {
            Some(token) => Ok(Secret::new(token)),
            None => Err(Failure::Refused("the answer to the login has no token".to_owned())),
        }
    }

    /// Calls the API below `/v1/`; each part is one or more steps of the path.
    async fn call(
        &self,
        method: Method,
        parts: &[&str],
        fill: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Value, Failure> {
        let mut url = self.server.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            let steps = parts.iter().flat_map(|part| part.split('/'));
            path.pop_if_empty()
                .push("v1")
                .extend(steps.filter(|step| !step.is_empty()));
        }
        let what = format!("{method} {}", crate::gitlab::without_credentials(url.as_str()));
        let mut request = self
            .http
            .request(method, url)
            .timeout(CALL_TIMEOUT)
            .header("X-Vault-Request", "true");
        if !self.namespace.is_empty() {
            request = request.header("X-Vault-Namespace", self.namespace);
        }
        let answered = fill(request).send().await;
        let response = answered.map_err(|e| Failure::Unreachable(format!("{what}: {}", innermost(&e))))?;
        let status = response.status();
        let body = response
            .bytes()
            .await
            .map_err(|e| Failure::Unreachable(format!("{what}: the answer broke off: {}", innermost(&e))))?;
        let json: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status.is_success() {
            return Ok(json);
        }
        let words = json["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        let words: Vec<&str> = words.collect();
        let told = if words.is_empty() {
            String::new()
        } else {
            format!(" ({})", words.join("; ").trim())
        };
        let message = format!("{what}: {status}{told}");
        Err(match status {
            StatusCode::NOT_FOUND => Failure::Missing(message),
            status if status.is_server_error() => Failure::Unreachable(message),
            _ => Failure::Refused(message),
        })
    }
}

/// The error at the bottom: what actually went wrong. It names no URL, and so no secret in one.
fn innermost(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "timed out".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
