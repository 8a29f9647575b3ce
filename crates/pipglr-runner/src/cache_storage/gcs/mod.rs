//! Google Cloud Storage: URLs signed with version 4 of its signatures.
//!
//! The algorithm is done here, with the TLS library's RSA: it is short, and Google publishes cases for it, which no
//! signing library at hand lets itself be measured by.

mod identity;

use super::{encoded_path, encoded_value, key_header};
use crate::config::CacheConfig;
use crate::container_side::helper::SignedRequest;
use anyhow::ensure;
use identity::Identity;
use jiff::Timestamp;
use pipglr_protocol::Secret;
use reqsign_core::Context;
use reqsign_core::hash::hex_sha256;
use reqwest::Method;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

const GOOGLE: &str = "googleapis.com";

/// Signs requests for objects of one bucket.
pub(super) struct Signer {
    host: String,
    bucket: String,
    /// Bytes; 0 is no limit.
    max_bytes: i64,
    identity: Identity,
    lifetime: Duration,
    context: Context,
}

impl Signer {
    pub(super) async fn new(config: &CacheConfig, lifetime: Duration, context: &Context) -> anyhow::Result<Self> {
        let gcs = &config.gcs;
        ensure!(!gcs.bucket_name.is_empty(), "[runners.cache.gcs] has no BucketName");
        let (identity, of_identity) = Identity::find(gcs, context).await?;
        let universe = [&gcs.universe_domain, &of_identity];
        let universe = universe.into_iter().find(|domain| !domain.is_empty());
        Ok(Self {
            host: format!("storage.{}", universe.map_or(GOOGLE, String::as_str)),
            bucket: gcs.bucket_name.clone(),
            max_bytes: config.max_uploaded_archive_size,
            identity,
            lifetime,
            context: context.clone(),
        })
    }

    pub(super) async fn download(&self, object: &str) -> anyhow::Result<SignedRequest> {
        self.sign(Method::GET, object, Vec::new()).await
    }

    pub(super) async fn exists(&self, object: &str) -> anyhow::Result<SignedRequest> {
        self.sign(Method::HEAD, object, Vec::new()).await
    }

    /// Compat: gitlab-runner cache/gcsv2/adapter.go (headers).
    pub(super) async fn upload(&self, object: &str, key: &str) -> anyhow::Result<SignedRequest> {
        let mut headers = vec![("content-type".to_owned(), "application/octet-stream".to_owned())];
        if self.max_bytes > 0 {
            let range = format!("0,{}", self.max_bytes);
            headers.push(("x-goog-content-length-range".to_owned(), range));
        }
        headers.extend(key_header("x-goog-meta-cachekey", key));
        self.sign(Method::PUT, object, headers).await
    }

    async fn sign(
        &self,
        method: Method,
        object: &str,
        headers: Vec<(String, String)>,
    ) -> anyhow::Result<SignedRequest> {
        let request = Request {
            method,
            host: &self.host,
            path: format!("/{}/{}", encoded_path(&self.bucket), encoded_path(object)),
            headers: &headers,
        };
        let unsigned = request.unsigned(Timestamp::now(), self.identity.email(), self.lifetime);
        let signature = self.identity.sign(&self.context, &unsigned.to_sign).await?;
        Ok(SignedRequest {
            url: Secret::new(unsigned.with(&signature)),
            headers,
            limit: None,
        })
    }
}

/// What is signed.
struct Request<'a> {
    method: Method,
    host: &'a str,
    /// Encoded.
    path: String,
    headers: &'a [(String, String)],
}

/// A URL that lacks its signature, and what that is made of.
struct Unsigned {
    url: String,
    to_sign: String,
}

impl Request<'_> {
    fn unsigned(&self, at: Timestamp, email: &str, lifetime: Duration) -> Unsigned {
        let time = at.strftime("%Y%m%dT%H%M%SZ").to_string();
        let scope = format!("{}/auto/storage/goog4_request", at.strftime("%Y%m%d"));
        let mut headers = BTreeMap::from([("host".to_owned(), self.host.to_owned())]);
        for (name, value) in self.headers {
            let words: Vec<&str> = value.split_ascii_whitespace().collect();
            headers.insert(name.to_ascii_lowercase(), words.join(" "));
        }
        let names: Vec<&str> = headers.keys().map(String::as_str).collect();
        let names = names.join(";");
        // In the order of their names, as they have to be.
        let query: Vec<String> = [
            ("X-Goog-Algorithm", "GOOG4-RSA-SHA256"),
            ("X-Goog-Credential", &format!("{email}/{scope}")),
            ("X-Goog-Date", &time),
            ("X-Goog-Expires", &lifetime.as_secs().to_string()),
            ("X-Goog-SignedHeaders", &names),
        ]
        .map(|(name, value)| format!("{name}={}", encoded_value(value)))
        .into();
        let query = query.join("&");
        let lines = headers.iter().fold(String::new(), |mut lines, (name, value)| {
            // Writing to a string cannot fail.
            let _ = writeln!(lines, "{name}:{value}");
            lines
        });
        let canonical = format!(
            "{}\n{}\n{query}\n{lines}\n{names}\nUNSIGNED-PAYLOAD",
            self.method, self.path
        );
        Unsigned {
            url: format!("https://{}{}?{query}", self.host, self.path),
            to_sign: format!(
                "GOOG4-RSA-SHA256\n{time}\n{scope}\n{}",
                hex_sha256(canonical.as_bytes())
            ),
        }
    }
}

impl Unsigned {
    fn with(&self, signature: &[u8]) -> String {
        let mut url = format!("{}&X-Goog-Signature=", self.url);
        for byte in signature {
            // Writing to a string cannot fail.
            let _ = write!(url, "{byte:02x}");
        }
        url
    }
}

#[cfg(test)]
mod tests {
    use super::{GOOGLE, Identity, Request, encoded_path};
    use crate::cache_storage::context::fake::Machine;
    use serde::Deserialize;
    use std::collections::BTreeMap;
    use std::time::Duration;

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Cases {
        #[serde(rename = "signingV4Tests")]
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Case {
        description: String,
        bucket: String,
        object: String,
        method: String,
        expiration: u64,
        timestamp: String,
        #[serde(default)]
        headers: BTreeMap<String, String>,
        #[serde(default)]
        universe_domain: Option<String>,
        expected_url: String,
    }

    #[tokio::test]
    async fn urls_are_those_google_expects() {
        let text = include_str!("vectors/test_service_account.not-a-test.json");
        let (identity, _) = Identity::of_file(text.as_bytes()).unwrap();
        let cases: Cases = serde_json::from_str(include_str!("vectors/v4_signatures.json")).unwrap();
        assert_eq!(cases.cases.len(), 14);
        for case in cases.cases {
            let host = format!("storage.{}", case.universe_domain.as_deref().unwrap_or(GOOGLE));
            let headers: Vec<(String, String)> = case.headers.into_iter().collect();
            let request = Request {
                method: case.method.parse().unwrap(),
                host: &host,
                path: format!("/{}/{}", case.bucket, encoded_path(&case.object)),
                headers: &headers,
            };
            let lifetime = Duration::from_secs(case.expiration);
            let unsigned = request.unsigned(case.timestamp.parse().unwrap(), identity.email(), lifetime);
            let signature = identity.sign(&Machine::default().context(), &unsigned.to_sign).await;
            let url = unsigned.with(&signature.unwrap());
            assert_eq!(url, case.expected_url, "{}", case.description);
        }
    }
}
