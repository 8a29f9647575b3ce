//! Signing without a key of the account: this machine's or workload's identity gets a key for a while.

use super::{VERSION, encoded_value, in_zulu};
use crate::cache_storage::context::ask;
use crate::cache_storage::xml_element;
use anyhow::Context as _;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use pipglr_protocol::Secret;
use reqsign_core::Context;
use reqsign_core::hash::base64_decode;
use serde::Deserialize;
use std::time::Duration;

const RESOURCE: &str = "https://storage.azure.com/";
const METADATA: &str = "http://169.254.169.254/metadata/identity/oauth2/token";
const AUTHORITY: &str = "https://login.microsoftonline.com/";
/// Clocks do not agree to the second.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// A key that signs on behalf of whoever asked for it.
#[derive(Debug)]
pub(super) struct DelegationKey {
    pub(super) secret: Vec<u8>,
    pub(super) expiry: Timestamp,
    /// Names in the query, in the order in which their values are signed.
    pub(super) fields: [(&'static str, String); 6],
}

#[derive(Deserialize)]
struct Token {
    access_token: Secret,
}

impl DelegationKey {
    pub(super) async fn request(host: &str, lifetime: Duration, context: &Context) -> anyhow::Result<Self> {
        let token = token(context).await?;
        let now = Timestamp::now();
        let lifetime = SignedDuration::try_from(lifetime).unwrap_or(SignedDuration::MAX);
        let (start, expiry) = (now.saturating_sub(SKEW)?, now.saturating_add(lifetime)?);
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><KeyInfo><Start>{}</Start><Expiry>{}</Expiry></KeyInfo>",
            in_zulu(start),
            in_zulu(expiry)
        );
        let request = http::Request::post(format!("https://{host}/?restype=service&comp=userdelegationkey"))
            .header("authorization", format!("Bearer {}", token.expose()))
            .header("x-ms-version", VERSION)
            .header("content-type", "application/xml")
            .body(Bytes::from(body))?;
        let answer = ask(context, request, "a user delegation key").await?;
        Self::of_answer(&String::from_utf8_lossy(&answer))
    }

    pub(super) fn of_answer(answer: &str) -> anyhow::Result<Self> {
        let text = |name: &'static str| {
            xml_element(answer, name).with_context(|| format!("the user delegation key has no {name}"))
        };
        let fields = [
            ("skoid", "SignedOid"),
            ("sktid", "SignedTid"),
            ("skt", "SignedStart"),
            ("ske", "SignedExpiry"),
            ("sks", "SignedService"),
            ("skv", "SignedVersion"),
        ];
        let mut signed = fields.map(|(name, _)| (name, String::new()));
        for (field, (_, name)) in signed.iter_mut().zip(fields) {
            field.1 = text(name)?.to_owned();
        }
        // The decoder's own words could show parts of the key.
        let secret = base64_decode(text("Value")?).ok();
        Ok(Self {
            secret: secret.context("the user delegation key is not base64")?,
            expiry: text("SignedExpiry")?
                .parse()
                .context("SignedExpiry of the user delegation key")?,
            fields: signed,
        })
    }
}

/// A token for Azure's storage.
///
/// Compat: gitlab-runner's library looks in this order: environment, workload identity, managed identity.
async fn token(context: &Context) -> anyhow::Result<Secret> {
    let variable = |name: &str| context.env_var(name).filter(|value| !value.is_empty());
    let client = variable("AZURE_CLIENT_ID");
    let tenant = variable("AZURE_TENANT_ID");
    let proof = match (variable("AZURE_CLIENT_SECRET"), variable("AZURE_FEDERATED_TOKEN_FILE")) {
        (Some(secret), _) => Some(format!("client_secret={}", encoded_value(&secret))),
        (None, Some(path)) => {
            let assertion = context.file_read_as_string(&path).await?;
            Some(format!(
                "client_assertion_type={}&client_assertion={}",
                encoded_value("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                encoded_value(assertion.trim())
            ))
        }
        (None, None) => None,
    };
    let request = if let (Some(proof), Some(client), Some(tenant)) = (proof, &client, tenant) {
        let authority = variable("AZURE_AUTHORITY_HOST").unwrap_or_else(|| AUTHORITY.to_owned());
        let url = format!(
            "{}/{}/oauth2/v2.0/token",
            authority.trim_end_matches('/'),
            encoded_value(&tenant)
        );
        let scope = encoded_value(&format!("{RESOURCE}.default"));
        let client = encoded_value(client);
        let body = format!("grant_type=client_credentials&scope={scope}&client_id={client}&{proof}");
        http::Request::post(url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Bytes::from(body))?
    } else {
        let mut url = format!("{METADATA}?api-version=2018-02-01&resource={}", encoded_value(RESOURCE));
        if let Some(client) = client {
            url.push_str(&format!("&client_id={}", encoded_value(&client)));
        }
        http::Request::get(url).header("metadata", "true").body(Bytes::new())?
    };
    let answer = ask(context, request, "a token for storage").await?;
    let token: Token = serde_json::from_slice(&answer).context("the token for storage")?;
    Ok(token.access_token)
}

#[cfg(test)]
mod tests {
    use super::DelegationKey;
    use crate::cache_storage::azure::Signer;
    use crate::cache_storage::context::fake::{Machine, answer};
    use bytes::Bytes;
    use std::time::Duration;

    fn token(_: &http::Request<Bytes>) -> http::Response<Bytes> {
        answer(200, r#"{"access_token": "a-token", "expires_in": "3599"}"#)
    }

    fn key(request: &http::Request<Bytes>) -> http::Response<Bytes> {
        assert_eq!(request.headers()["authorization"], "Bearer a-token");
        assert_eq!(request.headers()["x-ms-version"], "2020-12-06");
        let body = str::from_utf8(request.body()).unwrap();
        assert!(body.contains("<KeyInfo><Start>2"), "{body}");
        answer(
            200,
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><UserDelegationKey><SignedOid>oid</SignedOid>\
             <SignedTid>tid</SignedTid><SignedStart>2020-01-01T00:00:00Z</SignedStart>\
             <SignedExpiry>2020-01-02T00:00:00Z</SignedExpiry><SignedService>b</SignedService>\
             <SignedVersion>2020-12-06</SignedVersion><Value>a2V5</Value></UserDelegationKey>",
        )
    }

    type Case = (&'static str, Vec<(&'static str, &'static str)>, String, String);

    /// Name, environment, what is asked first, and the start of what is sent.
    fn cases() -> [Case; 5] {
        const ENTRA: &str = "https://login.microsoftonline.com/tenant/oauth2/v2.0/token";
        const METADATA: &str = "http://169.254.169.254/metadata/identity/oauth2/token\
                                ?api-version=2018-02-01&resource=https%3A%2F%2Fstorage.azure.com%2F";
        const CLIENT: (&str, &str) = ("AZURE_CLIENT_ID", "client");
        const TENANT: (&str, &str) = ("AZURE_TENANT_ID", "tenant");
        let file = ("AZURE_FEDERATED_TOKEN_FILE", "/token");
        let scope = "grant_type=client_credentials&scope=https%3A%2F%2Fstorage.azure.com%2F.default&client_id=client";
        [
            ("managed identity", vec![], format!("GET {METADATA}"), String::new()),
            (
                "managed identity of a user",
                vec![CLIENT],
                format!("GET {METADATA}&client_id=client"),
                String::new(),
            ),
            (
                "secret of a service principal",
                vec![CLIENT, TENANT, ("AZURE_CLIENT_SECRET", "a secret"), file],
                format!("POST {ENTRA}"),
                format!("{scope}&client_secret=a%20secret"),
            ),
            (
                "workload identity",
                vec![CLIENT, TENANT, file],
                format!("POST {ENTRA}"),
                format!(
                    "{scope}&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer\
                     &client_assertion=a.b.c"
                ),
            ),
            (
                "another authority",
                vec![
                    CLIENT,
                    TENANT,
                    file,
                    ("AZURE_AUTHORITY_HOST", "https://login.chinacloudapi.cn"),
                ],
                "POST https://login.chinacloudapi.cn/tenant/oauth2/v2.0/token".to_owned(),
                String::new(),
            ),
        ]
    }

    #[tokio::test]
    async fn an_identity_gets_a_key_for_a_while() {
        for (name, environment, asked, sent) in cases() {
            let mut machine = Machine {
                environment,
                services: vec![
                    ("http://169.254.169.254/", token),
                    ("https://login.", token),
                    (
                        "https://account.blob.core.windows.net/?restype=service&comp=userdelegationkey",
                        key,
                    ),
                ],
                ..Machine::default()
            };
            machine.files.insert("/token", b"a.b.c\n".to_vec());
            let config = toml::from_str("AccountName = 'account'\nContainerName = 'c'").unwrap();
            let signer = Signer::new(&config, Duration::from_secs(60), &machine.context())
                .await
                .unwrap();
            let all = machine.asked();
            assert_eq!((all.len(), &all[0]), (2, &asked), "{name}");
            let first = machine.asked.lock().unwrap()[0].clone();
            if asked.starts_with("GET") {
                assert_eq!(first.headers()["metadata"], "true");
            } else {
                assert!(first.body().starts_with(sent.as_bytes()), "{name}: {:?}", first.body());
            }
            let request = signer.upload("o", "k");
            let url = request.url.expose();
            // No URL lasts longer than the key.
            assert!(
                url.contains("&se=2020-01-02T00%3A00%3A00Z&") && url.contains("&skoid=oid&"),
                "{url}"
            );
        }
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        let config = toml::from_str("AccountName = 'account'\nContainerName = 'c'").unwrap();
        let mut machine = Machine::default();
        let error = async |machine: &Machine| {
            let made = Signer::new(&config, Duration::from_secs(60), &machine.context()).await;
            format!("{:#}", made.err().unwrap())
        };
        let nobody = "[runners.cache.azure] has no AccountKey: ask 169.254.169.254 for a token for storage: ";
        assert!(error(&machine).await.starts_with(nobody));
        machine.services = vec![("http://169.254.169.254/", |_| answer(400, "a secret"))];
        assert_eq!(error(&machine).await, format!("{nobody}it answered 400 Bad Request"));
        let error = DelegationKey::of_answer("<SignedOid>x</SignedOid>").unwrap_err();
        assert_eq!(error.to_string(), "the user delegation key has no SignedTid");
    }
}
