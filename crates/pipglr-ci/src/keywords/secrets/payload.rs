//! Secrets as the runner's payload has them: with the server and how to log in there.
//!
//! The server is said in variables of the project, which the runner expands: their values are nobody's business here.

use super::Secret;
use super::providers::Provider;
use crate::model::IdToken;
use serde_json::{Map, Value, json};

/// All secrets of a job by name. `known` says which variables the job has.
///
/// Compat: EE `Ci::BuildRunnerPresenter#secrets_configuration`; runner-protocol.md 3.13.
pub(crate) fn payloads(secrets: &[Secret], tokens: &[IdToken], known: &dyn Fn(&str) -> bool) -> Map<String, Value> {
    let server = Server { tokens, known };
    secrets
        .iter()
        .map(|secret| (secret.name.clone(), server.payload(secret)))
        .collect()
}

struct Server<'s> {
    tokens: &'s [IdToken],
    known: &'s dyn Fn(&str) -> bool,
}

impl Server<'_> {
    fn payload(&self, secret: &Secret) -> Value {
        let jwt = self.jwt(secret);
        let (kind, value) = match &secret.provider {
            Provider::Vault {
                engine_name,
                engine_path,
                path,
                field,
            } => (
                "vault",
                json!({
                    "server": self.vault(&jwt),
                    "engine": {"name": engine_name, "path": engine_path},
                    "path": path,
                    "field": field,
                }),
            ),
            Provider::Gcp { name, version } => {
                let server = json!({
                    "project_number": "$GCP_PROJECT_NUMBER",
                    "workload_identity_federation_pool_id": "$GCP_WORKLOAD_IDENTITY_FEDERATION_POOL_ID",
                    "workload_identity_federation_provider_id": "$GCP_WORKLOAD_IDENTITY_FEDERATION_PROVIDER_ID",
                    "jwt": jwt,
                });
                let version = version.as_deref().unwrap_or("latest");
                (
                    "gcp_secret_manager",
                    json!({"name": name, "version": version, "server": server}),
                )
            }
            Provider::Azure { name, version } => {
                let server = json!({
                    "client_id": "$AZURE_CLIENT_ID",
                    "tenant_id": "$AZURE_TENANT_ID",
                    "url": "$AZURE_KEY_VAULT_SERVER_URL",
                    "jwt": jwt,
                });
                (
                    "azure_key_vault",
                    json!({"name": name, "version": version, "server": server}),
                )
            }
            Provider::Aws(values) => {
                let mut map: Map<String, Value> = values
                    .iter()
                    .map(|(key, text)| ((*key).to_owned(), json!(text)))
                    .collect();
                map.insert("server".to_owned(), self.aws(&jwt));
                ("aws_secrets_manager", Value::Object(map))
            }
        };
        let mut payload = Map::new();
        payload.insert(kind.to_owned(), value);
        if let Some(file) = secret.file {
            payload.insert("file".to_owned(), Value::Bool(file));
        }
        Value::Object(payload)
    }

    /// Compat: without `token` the first of the job's `id_tokens` is meant.
    fn jwt(&self, secret: &Secret) -> String {
        match (&secret.token, self.tokens.first()) {
            (Some(token), _) => token.clone(),
            (None, Some(first)) => format!("${{{}}}", first.name),
            (None, None) => String::new(),
        }
    }

    fn vault(&self, jwt: &str) -> Value {
        let mut data = json!({"jwt": jwt});
        if (self.known)("VAULT_AUTH_ROLE") {
            data["role"] = json!("$VAULT_AUTH_ROLE");
        }
        json!({
            "url": "$VAULT_SERVER_URL",
            "namespace": self.optional("VAULT_NAMESPACE", ""),
            "auth": {"name": "jwt", "path": self.optional("VAULT_AUTH_PATH", "jwt"), "data": data},
        })
    }

    fn aws(&self, jwt: &str) -> Value {
        json!({
            "region": self.optional("AWS_REGION", ""),
            "jwt": jwt,
            "role_arn": self.optional("AWS_ROLE_ARN", ""),
            "role_session_name": self.optional("AWS_ROLE_SESSION_NAME", ""),
        })
    }

    /// A reference to a variable, or what is meant without it.
    fn optional(&self, variable: &str, otherwise: &str) -> String {
        if (self.known)(variable) {
            format!("${variable}")
        } else {
            otherwise.to_owned()
        }
    }
}
