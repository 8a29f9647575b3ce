//! Azure Blob Storage: URLs with a shared access signature for one blob.
//!
//! The signature is done here: it is one HMAC over a list, and the libraries at hand bring a second implementation of
//! RSA with them.

mod identity;

use super::{encoded_path, encoded_value, key_header};
use crate::config::AzureConfig;
use crate::container_side::helper::SignedRequest;
use anyhow::{Context as _, ensure};
use identity::DelegationKey;
use jiff::{SignedDuration, Timestamp};
use pipglr_protocol::Secret;
use reqsign_core::Context;
use reqsign_core::hash::{base64_decode, base64_hmac_sha256};
use std::time::Duration;

/// Version of the service that signatures and requests are made for.
const VERSION: &str = "2020-12-06";
/// The largest blob that one request can make.
const LARGEST: u64 = 5000 << 20;
const STORAGE_DOMAIN: &str = "blob.core.windows.net";

/// Signs requests for blobs of one container.
pub(super) struct Signer {
    account: String,
    container: String,
    host: String,
    key: Key,
    lifetime: Duration,
}

/// What signatures are made with.
enum Key {
    /// The account's, decoded.
    Account(Vec<u8>),
    /// One that Azure made for us, who have no key of the account.
    Delegation(Box<DelegationKey>),
}

impl Signer {
    pub(super) async fn new(config: &AzureConfig, lifetime: Duration, context: &Context) -> anyhow::Result<Self> {
        let (account, container) = (&config.account_name, &config.container_name);
        ensure!(!account.is_empty(), "[runners.cache.azure] has no AccountName");
        ensure!(!container.is_empty(), "[runners.cache.azure] has no ContainerName");
        let domain = Some(config.storage_domain.as_str()).filter(|domain| !domain.is_empty());
        let host = format!("{account}.{}", domain.unwrap_or(STORAGE_DOMAIN));
        let key = if config.account_key.is_empty() {
            let key = DelegationKey::request(&host, lifetime, context).await;
            Key::Delegation(Box::new(key.context("[runners.cache.azure] has no AccountKey")?))
        } else {
            // The decoder's own words could show parts of the key.
            let key = base64_decode(config.account_key.expose()).ok();
            Key::Account(key.context("AccountKey of [runners.cache.azure] is not base64")?)
        };
        Ok(Self {
            account: account.clone(),
            container: container.clone(),
            host,
            key,
            lifetime,
        })
    }

    /// Also good for asking whether the blob is there.
    pub(super) fn download(&self, object: &str) -> SignedRequest {
        self.signed("r", object, Vec::new())
    }

    pub(super) fn upload(&self, object: &str, key: &str) -> SignedRequest {
        let mut headers = vec![("x-ms-blob-type".to_owned(), "BlockBlob".to_owned())];
        headers.extend(key_header("x-ms-meta-cachekey", key));
        self.signed("cw", object, headers)
    }

    fn signed(&self, permissions: &str, object: &str, headers: Vec<(String, String)>) -> SignedRequest {
        let lifetime = SignedDuration::try_from(self.lifetime).unwrap_or(SignedDuration::MAX);
        let expiry = Timestamp::now().saturating_add(lifetime).unwrap_or(Timestamp::MAX);
        let expiry = match &self.key {
            Key::Account(_) => expiry,
            Key::Delegation(key) => key.expiry.min(expiry),
        };
        let path = format!("{}/{}", encoded_path(&self.container), encoded_path(object));
        let query = self.signature(permissions, &in_zulu(expiry), object);
        SignedRequest {
            url: Secret::new(format!("https://{}/{path}?{query}", self.host)),
            headers,
            limit: Some(LARGEST),
        }
    }

    /// The query that gives `permissions` on one blob.
    fn signature(&self, permissions: &str, expiry: &str, object: &str) -> String {
        let resource = format!("/blob/{}/{}/{object}", self.account, self.container);
        // Neither a start, which clocks would have to agree on, nor a range of addresses.
        let (start, addresses, protocol, kind) = ("", "", "https", "b");
        let mut query = vec![
            ("sv", VERSION),
            ("se", expiry),
            ("sr", kind),
            ("sp", permissions),
            ("spr", protocol),
        ];
        let mut fields = vec![permissions, start, expiry, &resource];
        let secret = match &self.key {
            Key::Account(key) => {
                // Stored access policy.
                fields.push("");
                key
            }
            Key::Delegation(key) => {
                fields.extend(key.fields.iter().map(|(_, value)| value.as_str()));
                query.extend(key.fields.iter().map(|(name, value)| (*name, value.as_str())));
                // Users it is for, and what their requests are found by.
                fields.extend(["", "", ""]);
                &key.secret
            }
        };
        fields.extend([addresses, protocol, VERSION, kind]);
        // Snapshot, encryption scope, and five headers of the response.
        fields.extend([""; 7]);
        let signature = base64_hmac_sha256(secret, fields.join("\n").as_bytes());
        query.push(("sig", &signature));
        let query: Vec<String> = query
            .into_iter()
            .map(|(name, value)| format!("{name}={}", encoded_value(value)))
            .collect();
        query.join("&")
    }
}

fn in_zulu(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::{DelegationKey, Key, Signer};
    use crate::cache_storage::context::fake::Machine;
    use reqsign_core::hash::base64_decode;
    use std::time::Duration;

    /// The key every emulator has.
    const ACCOUNT_KEY: &str =
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

    fn signer(key: Key) -> Signer {
        Signer {
            account: "devstoreaccount1".to_owned(),
            container: "caches".to_owned(),
            host: "devstoreaccount1.blob.core.windows.net".to_owned(),
            key,
            lifetime: Duration::from_secs(60),
        }
    }

    #[test]
    fn signatures_are_those_of_azures_own_library() {
        // Made with azure-storage-blob 12.19.1 for Python, set to the version of the service.
        let account = || Key::Account(base64_decode(ACCOUNT_KEY).unwrap());
        let delegation = || {
            let key = DelegationKey::of_answer(
                "<UserDelegationKey><SignedOid>11111111-1111-1111-1111-111111111111</SignedOid>\
                 <SignedTid>22222222-2222-2222-2222-222222222222</SignedTid>\
                 <SignedStart>2030-01-01T00:00:00Z</SignedStart><SignedExpiry>2030-01-02T00:00:00Z</SignedExpiry>\
                 <SignedService>b</SignedService><SignedVersion>2020-12-06</SignedVersion>\
                 <Value>YSBkZWxlZ2F0ZWQga2V5IG9mIDMyIGJ5dGVzLi4uLi4=</Value></UserDelegationKey>",
            );
            Key::Delegation(Box::new(key.unwrap()))
        };
        for (name, key, permissions, expiry, object, expected) in [
            (
                "read",
                account(),
                "r",
                "2030-01-02T03:04:05Z",
                "project/1/k",
                "sv=2020-12-06&se=2030-01-02T03%3A04%3A05Z&sr=b&sp=r&spr=https\
                 &sig=VJ%2FRNw8DH3tvJb5YmaXkh4aM6O5mEbYLLakHjljuCGs%3D",
            ),
            (
                "write",
                account(),
                "cw",
                "2030-01-02T03:04:05Z",
                "p/runner/x/project/1/a key/ü+%",
                "sv=2020-12-06&se=2030-01-02T03%3A04%3A05Z&sr=b&sp=cw&spr=https\
                 &sig=08vc8IJghl4h8BGoVUmkfVPusUdtIHZDapBZVNvla%2Fs%3D",
            ),
            (
                "delegated",
                delegation(),
                "r",
                "2030-01-01T05:00:00Z",
                "project/1/k",
                "sv=2020-12-06&se=2030-01-01T05%3A00%3A00Z&sr=b&sp=r&spr=https\
                 &skoid=11111111-1111-1111-1111-111111111111&sktid=22222222-2222-2222-2222-222222222222\
                 &skt=2030-01-01T00%3A00%3A00Z&ske=2030-01-02T00%3A00%3A00Z&sks=b&skv=2020-12-06\
                 &sig=8CaPQY84nWIXqHL7LDVK4MwbTq%2Fj0ZKy5Jy43GTqmig%3D",
            ),
        ] {
            assert_eq!(signer(key).signature(permissions, expiry, object), expected, "{name}");
        }
    }

    #[tokio::test]
    async fn a_bad_key_is_refused_without_being_shown() {
        let text = "AccountName = 'a'\nContainerName = 'c'\nAccountKey = 'SECRET!'";
        let config = toml::from_str(text).unwrap();
        let made = Signer::new(&config, Duration::from_secs(60), &Machine::default().context()).await;
        let error = format!("{:#}", made.err().unwrap());
        assert_eq!(error, "AccountKey of [runners.cache.azure] is not base64");
    }
}
