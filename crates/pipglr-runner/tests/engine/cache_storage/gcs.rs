//! Google Cloud Storage, against a server that does version 4 of its signatures the other way round.

use super::Given;
use super::served::{Asked, start};
use base64::Engine as _;
use jiff::Timestamp;
use pipglr_protocol::Secret;
use pipglr_runner::config::{CacheConfig, GcsConfig};
use reqwest::{Method, StatusCode};
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};

const ACCOUNT: &str = include_str!("../../../src/cache_storage/gcs/vectors/test_service_account.not-a-test.json");
const EMAIL: &str = "test-iam-credentials@dummy-project-id.iam.gserviceaccount.com";

fn private_key() -> String {
    let account: serde_json::Value = serde_json::from_str(ACCOUNT).unwrap();
    account["private_key"].as_str().unwrap().to_owned()
}

fn public_key() -> Vec<u8> {
    let pem = private_key();
    let lines: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(lines).unwrap();
    RsaKeyPair::from_pkcs8(&der).unwrap().public_key().as_ref().to_vec()
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The request as it is signed.
fn canonical(asked: &Asked) -> String {
    let encoded = |text: &str| -> String {
        let one = |byte: u8| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        };
        text.bytes().map(one).collect()
    };
    // A map is in the order of its keys.
    let signed = asked.query.iter().filter(|(name, _)| *name != "X-Goog-Signature");
    let query: Vec<String> = signed
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
        .collect();
    let names = asked.query("X-Goog-SignedHeaders");
    let headers: String = names
        .split(';')
        .map(|name| format!("{name}:{}\n", asked.header(name)))
        .collect();
    format!(
        "{}\n{}\n{}\n{headers}\n{names}\nUNSIGNED-PAYLOAD",
        asked.method,
        asked.path,
        query.join("&")
    )
}

/// What Google would find wrong, by its documentation of signed URLs.
fn judge(asked: &Asked) -> Result<(), String> {
    let says = |name: &str, value: &str| {
        let said = asked.query(name);
        (said == value).then_some(()).ok_or(format!("{name} is {said}"))
    };
    says("X-Goog-Algorithm", "GOOG4-RSA-SHA256")?;
    let date = asked.query("X-Goog-Date");
    let scope = format!("{}/auto/storage/goog4_request", &date[..8]);
    says("X-Goog-Credential", &format!("{EMAIL}/{scope}"))?;
    let started = format!(
        "{}-{}-{}T{}:{}:{}Z",
        &date[..4],
        &date[4..6],
        &date[6..8],
        &date[9..11],
        &date[11..13],
        &date[13..15]
    );
    let age = Timestamp::now().as_second() - started.parse::<Timestamp>().unwrap().as_second();
    let lasts: i64 = asked.query("X-Goog-Expires").parse().unwrap();
    if age > lasts || lasts > 604_800 {
        return Err("expired".to_owned());
    }
    let names = asked.query("X-Goog-SignedHeaders");
    if !names.split(';').any(|name| name == "host") {
        return Err("the host is not signed".to_owned());
    }
    // Headers of Google's have to be signed.
    let unsigned = |name: &str| name.starts_with("x-goog-") && !names.split(';').any(|signed| signed == name);
    if let Some(name) = asked.headers.keys().find(|name| unsigned(name.as_str())) {
        return Err(format!("{name} is not signed"));
    }
    let canonical = canonical(asked);
    let text = format!(
        "GOOG4-RSA-SHA256\n{date}\n{scope}\n{}",
        hex(&Sha256::digest(&canonical))
    );
    let signature = bytes(asked.query("X-Goog-Signature"));
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public_key());
    key.verify(text.as_bytes(), &signature)
        .map_err(|_| format!("SignatureDoesNotMatch: {canonical}"))?;
    let range = asked.header("x-goog-content-length-range");
    match range.strip_prefix("0,") {
        Some(most) if asked.length > most.parse().unwrap() => Err("EntityTooLarge".to_owned()),
        _ => Ok(()),
    }
}

fn configuration() -> CacheConfig {
    CacheConfig {
        kind: "gcs".to_owned(),
        path: "prefix".to_owned(),
        max_uploaded_archive_size: 20,
        gcs: GcsConfig {
            access_id: EMAIL.to_owned(),
            private_key: Secret::new(private_key()),
            bucket_name: "bucket".to_owned(),
            ..GcsConfig::default()
        },
        ..CacheConfig::default()
    }
}

#[tokio::test]
async fn signed_requests_are_good_for_their_object_and_method_alone() {
    let given = Given::by(configuration(), Some(start(judge).await)).await;
    assert_eq!(given.upload["limit"], serde_json::Value::Null);
    assert!(!given.told.contains("PRIVATE KEY"), "credentials stay in the runner");
    let url = given.upload["url"].as_str().unwrap();
    let start = "https://storage.googleapis.com/bucket/prefix/runner/fake0runn/project/1/a%20key/%C3%BC?";
    assert!(url.starts_with(start), "{url}");
    given
        .check(|url| url.replace("X-Goog-Expires=", "X-Goog-Expires=1"))
        .await;
    let long = "more than twenty bytes";
    let refused = given.make(&given.upload, Method::PUT, |url| url, long).await;
    assert_eq!(refused, (StatusCode::FORBIDDEN, "EntityTooLarge".to_owned()));
}

#[tokio::test]
async fn a_universe_has_a_host_of_its_own() {
    let mut cache = configuration();
    cache.gcs.universe_domain = "other.example".to_owned();
    let given = Given::by(cache, Some(start(judge).await)).await;
    let url = given.upload["url"].as_str().unwrap();
    assert!(url.starts_with("https://storage.other.example/bucket/"), "{url}");
    let put = given.make(&given.upload, Method::PUT, |url| url, "x").await;
    assert_eq!(put.0, StatusCode::CREATED);
}
