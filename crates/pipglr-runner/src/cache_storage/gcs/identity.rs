//! Whom requests to Google Cloud Storage are signed for: the key of a service account, or the one of this machine,
//! which Google signs with when asked.

use crate::cache_storage::context::ask;
use crate::config::GcsConfig;
use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use pipglr_protocol::Secret;
use reqsign_core::Context;
use reqsign_core::hash::{base64_decode, base64_encode};
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::sign::SigningKey;
use serde::Deserialize;
use std::sync::Arc;

/// Where Google's machines learn about themselves, unless `GCE_METADATA_HOST` says otherwise.
const METADATA_HOST: &str = "metadata.google.internal";

/// Who signs.
#[derive(Debug)]
pub(super) enum Identity {
    Key {
        email: String,
        key: Arc<dyn SigningKey>,
    },
    /// Google signs with a key we never see.
    Machine {
        email: String,
        token: Secret,
        iam_host: String,
    },
}

/// As much of a credentials file as there is to know.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct CredentialsFile {
    r#type: String,
    client_email: String,
    private_key: Secret,
    universe_domain: String,
}

#[derive(Deserialize)]
struct Token {
    access_token: Secret,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signed {
    signed_blob: String,
}

impl Identity {
    /// The identity, and the domain it belongs to, if it says so.
    ///
    /// Compat: gitlab-runner cache/gcsv2 (order); what it finds without any key are Google's application default
    /// credentials.
    pub(super) async fn find(config: &GcsConfig, context: &Context) -> anyhow::Result<(Self, String)> {
        if !config.credentials_file.is_empty() {
            return Self::read(&config.credentials_file, context).await;
        }
        match (config.access_id.is_empty(), config.private_key.is_empty()) {
            (false, false) => {
                let key = signing_key(&config.private_key).context("PrivateKey of [runners.cache.gcs]")?;
                let email = config.access_id.clone();
                return Ok((Self::Key { email, key }, String::new()));
            }
            (true, false) => bail!("[runners.cache.gcs] has a PrivateKey but no AccessID"),
            (_, true) => {}
        }
        match context.env_var("GOOGLE_APPLICATION_CREDENTIALS") {
            Some(path) if config.access_id.is_empty() && !path.is_empty() => Self::read(&path, context).await,
            _ => Ok((Self::of_machine(config, context).await?, String::new())),
        }
    }

    async fn read(path: &str, context: &Context) -> anyhow::Result<(Self, String)> {
        let text = context.file_read(path).await?;
        Self::of_file(&text).with_context(|| path.to_owned())
    }

    pub(super) fn of_file(text: &[u8]) -> anyhow::Result<(Self, String)> {
        // The parser's own words could show what is in the file.
        let Ok(file) = serde_json::from_slice::<CredentialsFile>(text) else {
            bail!("not a credentials file of Google: not the JSON it should be");
        };
        ensure!(
            file.r#type == "service_account",
            "credentials of type {:?} cannot sign URLs: use a key of a service account",
            file.r#type
        );
        ensure!(!file.client_email.is_empty(), "no client_email");
        let identity = Self::Key {
            email: file.client_email,
            key: signing_key(&file.private_key).context("private_key")?,
        };
        Ok((identity, file.universe_domain))
    }

    async fn of_machine(config: &GcsConfig, context: &Context) -> anyhow::Result<Self> {
        let host = context.env_var("GCE_METADATA_HOST");
        let host = host
            .filter(|host| !host.is_empty())
            .unwrap_or_else(|| METADATA_HOST.to_owned());
        let metadata = async |name: &str| {
            let url = format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/{name}");
            let request = http::Request::get(url)
                .header("metadata-flavor", "Google")
                .body(Bytes::new())?;
            ask(context, request, "the machine's service account").await
        };
        let hint = "[runners.cache.gcs] has neither CredentialsFile nor AccessID and PrivateKey";
        let email = if config.access_id.is_empty() {
            let email = metadata("email").await.context(hint)?;
            String::from_utf8(email.into()).context("the machine's service account")?
        } else {
            config.access_id.clone()
        };
        let token = metadata("token").await.context(hint)?;
        let token: Token = serde_json::from_slice(&token).context("the machine's token")?;
        let universe = Some(config.universe_domain.as_str()).filter(|domain| !domain.is_empty());
        Ok(Self::Machine {
            email: email.trim().to_owned(),
            token: token.access_token,
            iam_host: format!("iamcredentials.{}", universe.unwrap_or(super::GOOGLE)),
        })
    }

    pub(super) fn email(&self) -> &str {
        match self {
            Self::Key { email, .. } | Self::Machine { email, .. } => email,
        }
    }

    /// RSA with SHA-256, as PKCS #1 has it.
    pub(super) async fn sign(&self, context: &Context, text: &str) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Key { key, .. } => key
                .choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])
                .context("the key is not an RSA key")?
                .sign(text.as_bytes())
                .context("sign a request"),
            Self::Machine { email, token, iam_host } => {
                let url = format!("https://{iam_host}/v1/projects/-/serviceAccounts/{email}:signBlob");
                let payload = serde_json::json!({ "payload": base64_encode(text.as_bytes()) });
                let request = http::Request::post(url)
                    .header("authorization", format!("Bearer {}", token.expose()))
                    .header("content-type", "application/json")
                    .body(Bytes::from(payload.to_string()))?;
                let signed = ask(context, request, "a signature").await?;
                let signed: Signed = serde_json::from_slice(&signed).context("the signature")?;
                Ok(base64_decode(&signed.signed_blob)?)
            }
        }
    }
}

fn signing_key(pem: &Secret) -> anyhow::Result<Arc<dyn SigningKey>> {
    // The parsers' own words could show parts of the key.
    let Ok(der) = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes()) else {
        bail!("not a private key in PEM");
    };
    let Ok(key) = rustls::crypto::ring::sign::any_supported_type(&der) else {
        bail!("a private key that cannot be used");
    };
    ensure!(
        key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).is_some(),
        "a private key, but not one of RSA"
    );
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::Identity;
    use crate::cache_storage::context::fake::{Machine, answer};
    use crate::config::GcsConfig;
    use base64::Engine as _;

    const FILE: &str = include_str!("vectors/test_service_account.not-a-test.json");
    const EMAIL: &str = "test-iam-credentials@dummy-project-id.iam.gserviceaccount.com";

    fn file() -> serde_json::Value {
        serde_json::from_str(FILE).unwrap()
    }

    fn config(text: &str) -> GcsConfig {
        toml::from_str(text).unwrap()
    }

    /// A key of PKCS #8 without what is around the one of PKCS #1 in it.
    fn as_pkcs1(pem: &str) -> String {
        let lines: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let standard = base64::engine::general_purpose::STANDARD;
        let der = standard.decode(lines).unwrap();
        let body = standard.encode(&der[26..]);
        format!("-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----\n")
    }

    #[tokio::test]
    async fn keys_are_found_in_this_order() {
        let key = file()["private_key"].as_str().unwrap().to_owned();
        let mut machine = Machine::default();
        machine
            .files
            .insert("/file", FILE.replace(EMAIL, "of-file").into_bytes());
        machine
            .files
            .insert("/default", FILE.replace(EMAIL, "of-default").into_bytes());
        machine.environment.push(("GOOGLE_APPLICATION_CREDENTIALS", "/default"));
        let of_keys = format!("AccessID = 'of-keys'\nPrivateKey = '''{key}'''");
        let of_pkcs1 = format!("AccessID = 'of-pkcs1'\nPrivateKey = '''{}'''", as_pkcs1(&key));
        let mut signatures = Vec::new();
        for (name, text, email) in [
            (
                "CredentialsFile",
                format!("CredentialsFile = '/file'\n{of_keys}"),
                "of-file",
            ),
            ("AccessID and PrivateKey", of_keys, "of-keys"),
            ("PrivateKey of PKCS #1", of_pkcs1, "of-pkcs1"),
            ("GOOGLE_APPLICATION_CREDENTIALS", String::new(), "of-default"),
        ] {
            let (identity, _) = Identity::find(&config(&text), &machine.context()).await.unwrap();
            assert_eq!(identity.email(), email, "{name}");
            signatures.push(identity.sign(&machine.context(), "text").await.unwrap());
        }
        assert!(signatures.iter().all(|signature| *signature == signatures[0]));
        assert_eq!(machine.asked(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn google_signs_for_a_machine_without_a_key() {
        let machine = Machine::serving(vec![
            (
                "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/email",
                |_| answer(200, "machine@project\n"),
            ),
            (
                "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token",
                |request| {
                    assert_eq!(request.headers()["metadata-flavor"], "Google");
                    answer(
                        200,
                        r#"{"access_token": "a-token", "expires_in": 3599, "token_type": "Bearer"}"#,
                    )
                },
            ),
            (
                "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/",
                |request| {
                    assert_eq!(request.headers()["authorization"], "Bearer a-token");
                    assert_eq!(request.body(), r#"{"payload":"dGV4dA=="}"#);
                    answer(200, r#"{"keyId": "k", "signedBlob": "c2lnbmVk"}"#)
                },
            ),
        ]);
        for (text, email) in [("", "machine@project"), ("AccessID = 'other@project'", "other@project")] {
            let (identity, _) = Identity::find(&config(text), &machine.context()).await.unwrap();
            assert_eq!(identity.email(), email);
            assert_eq!(identity.sign(&machine.context(), "text").await.unwrap(), b"signed");
            let asked =
                format!("POST https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{email}:signBlob");
            assert_eq!(machine.asked().last().unwrap(), &asked);
        }
    }

    #[tokio::test]
    async fn what_cannot_sign_is_refused_by_name_and_without_the_key() {
        let mut machine = Machine::default();
        let with = |name: &str, value: &str| {
            let mut file = file();
            file[name] = value.into();
            file.to_string().into_bytes()
        };
        machine.files.insert("/user", with("type", "authorized_user"));
        machine.files.insert("/federated", with("type", "external_account"));
        machine.files.insert("/nobody", with("client_email", ""));
        machine.files.insert("/key", with("private_key", "SECRET"));
        machine.files.insert("/text", b"SECRET".to_vec());
        for (text, expected) in [
            ("CredentialsFile = '/gone'", "read /gone: not found"),
            (
                "CredentialsFile = '/user'",
                "/user: credentials of type \"authorized_user\" cannot sign URLs: use a key of a service account",
            ),
            (
                "CredentialsFile = '/federated'",
                "/federated: credentials of type \"external_account\" cannot sign URLs: use a key of a service account",
            ),
            ("CredentialsFile = '/nobody'", "/nobody: no client_email"),
            (
                "CredentialsFile = '/key'",
                "/key: private_key: not a private key in PEM",
            ),
            (
                "CredentialsFile = '/text'",
                "/text: not a credentials file of Google: not the JSON it should be",
            ),
            (
                "PrivateKey = 'SECRET'",
                "[runners.cache.gcs] has a PrivateKey but no AccessID",
            ),
            (
                "AccessID = 'a'\nPrivateKey = 'SECRET'",
                "PrivateKey of [runners.cache.gcs]: not a private key in PEM",
            ),
            (
                "",
                "[runners.cache.gcs] has neither CredentialsFile nor AccessID and PrivateKey: ask \
                 metadata.google.internal for the machine's service account: ",
            ),
        ] {
            let error = Identity::find(&config(text), &machine.context()).await.unwrap_err();
            let error = format!("{error:#}");
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("SECRET"), "{error}");
        }
    }
}
