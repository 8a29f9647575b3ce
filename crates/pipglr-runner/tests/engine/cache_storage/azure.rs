//! Azure Blob Storage, against a server that does shared access signatures the other way round.

use super::Given;
use super::served::{Asked, decoded, start};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use pipglr_protocol::Secret;
use pipglr_runner::config::{AzureConfig, CacheConfig};
use reqwest::{Method, StatusCode};
use ring::hmac;

/// The key every emulator has.
const ACCOUNT_KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// What Azure would find wrong, by its documentation of service signatures.
fn judge(asked: &Asked) -> Result<(), String> {
    let (account, _) = asked.header("host").split_once('.').unwrap();
    let [permissions, expiry, version] = ["sp", "se", "sv"].map(|name| asked.query(name));
    let text = [
        permissions,
        asked.query("st"),
        expiry,
        &format!("/blob/{account}{}", decoded(&asked.path)),
        asked.query("si"),
        asked.query("sip"),
        asked.query("spr"),
        version,
        asked.query("sr"),
        asked.query("snapshot"),
        asked.query("ses"),
        asked.query("rscc"),
        asked.query("rscd"),
        asked.query("rsce"),
        asked.query("rscl"),
        asked.query("rsct"),
    ]
    .join("\n");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(ACCOUNT_KEY).unwrap());
    let signature = STANDARD.decode(asked.query("sig")).unwrap();
    hmac::verify(&key, text.as_bytes(), &signature).map_err(|_| format!("AuthenticationFailed: {text}"))?;
    if version != "2020-12-06" || asked.query("spr") != "https" {
        return Err(format!("version {version}"));
    }
    if expiry.parse::<Timestamp>().unwrap() < Timestamp::now() {
        return Err("expired".to_owned());
    }
    let needed = match asked.method {
        Method::GET | Method::HEAD => "r",
        Method::PUT => "cw",
        Method::DELETE => "d",
        _ => "?",
    };
    if !permissions.contains(|permission| needed.contains(permission)) {
        return Err("AuthorizationPermissionMismatch".to_owned());
    }
    if asked.method == Method::PUT && asked.header("x-ms-blob-type") != "BlockBlob" {
        return Err("MissingRequiredHeader".to_owned());
    }
    Ok(())
}

fn configuration() -> CacheConfig {
    CacheConfig {
        kind: "azure".to_owned(),
        path: "prefix".to_owned(),
        azure: AzureConfig {
            account_name: "account".to_owned(),
            account_key: Secret::new(ACCOUNT_KEY),
            container_name: "container".to_owned(),
            ..AzureConfig::default()
        },
        ..CacheConfig::default()
    }
}

#[tokio::test]
async fn signed_requests_are_good_for_their_object_and_method_alone() {
    let given = Given::by(configuration(), Some(start(judge).await)).await;
    assert_eq!(given.upload["limit"], 5_242_880_000_u64);
    assert!(!given.told.contains(ACCOUNT_KEY), "credentials stay in the runner");
    let url = given.upload["url"].as_str().unwrap();
    let start = "https://account.blob.core.windows.net/container/prefix/runner/fake0runn/project/1/a%20key/%C3%BC?";
    assert!(url.starts_with(start), "{url}");
    given.check(|url| url.replace("&se=2", "&se=3")).await;
    let unread = given.make(&given.upload, Method::GET, |url| url, "").await;
    assert_eq!(
        unread,
        (StatusCode::FORBIDDEN, "AuthorizationPermissionMismatch".to_owned())
    );
}

#[tokio::test]
async fn another_domain_and_another_key() {
    let mut cache = configuration();
    cache.azure.storage_domain = "blob.core.chinacloudapi.cn".to_owned();
    cache.azure.account_key = Secret::new("d3Jvbmc=");
    let given = Given::by(cache, Some(start(judge).await)).await;
    let url = given.upload["url"].as_str().unwrap();
    assert!(
        url.starts_with("https://account.blob.core.chinacloudapi.cn/container/"),
        "{url}"
    );
    let (status, reason) = given.make(&given.upload, Method::PUT, |url| url, "x").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(reason.starts_with("AuthenticationFailed: "), "{reason}");
}
