//! S3, against a server that is somebody else's.

use super::{Given, job};
use crate::support::Bench;
use pipglr_protocol::Secret;
use pipglr_runner::config::{CacheConfig, S3Config};
use pipglr_testkit::s3::{ACCESS_KEY, BUCKET, S3Server, SECRET_KEY};
use reqwest::{Method, StatusCode};
use serde_json::json;

pub(super) fn configuration(address: &str) -> CacheConfig {
    CacheConfig {
        kind: "s3".to_owned(),
        path: "prefix".to_owned(),
        s3: S3Config {
            server_address: address.to_owned(),
            access_key: Secret::new(ACCESS_KEY),
            secret_key: Secret::new(SECRET_KEY),
            bucket_name: BUCKET.to_owned(),
            insecure: true,
            ..S3Config::default()
        },
        ..CacheConfig::default()
    }
}

#[tokio::test]
async fn signed_requests_are_good_for_their_object_and_method_alone() {
    let root = tempfile::tempdir().unwrap();
    let server = S3Server::start(root.path()).await.unwrap();
    let given = Given::by(configuration(server.address()), None).await;
    assert_eq!(given.upload["limit"], 5_368_709_120_u64);
    assert!(!given.told.contains(SECRET_KEY), "credentials stay in the runner");
    given
        .check(|url| url.replace("X-Amz-Expires=", "X-Amz-Expires=1"))
        .await;
    let object = root.path().join("bucket/prefix/runner/fake0runn/project/1/a key/ü");
    assert_eq!(std::fs::read_to_string(object).unwrap(), "the archive");
}

#[tokio::test]
async fn wrong_keys_are_found_out_by_the_server() {
    let root = tempfile::tempdir().unwrap();
    let server = S3Server::start(root.path()).await.unwrap();
    let mut cache = configuration(server.address());
    cache.s3.secret_key = Secret::new("wrong");
    let given = Given::by(cache, None).await;
    let put = given.make(&given.upload, Method::PUT, |url| url, "x").await;
    assert_eq!(put.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn requests_last_as_long_as_the_job() {
    let mut bench = Bench::start().await;
    bench.runner.cache = configuration("minio.test");
    bench.runner.cache.s3.session_token = Secret::new("a-session");
    bench.runner.cache.s3.server_side_encryption = "KMS".to_owned();
    bench.run(job().timeout(1234)).await.assert_ending("success", "", 0);
    let archive = bench.podman.plan("-helper-finish");
    let upload = &archive["phases"][0]["archive_cache"]["entries"][0]["target"]["upload"];
    let url = upload["url"].as_str().unwrap();
    for part in [
        "http://minio.test/bucket/prefix/runner/fake0runn/project/1/a%20key/%C3%BC?",
        "X-Amz-Expires=1234&",
        "X-Amz-Security-Token=a-session",
        "us-east-1",
        "X-Amz-SignedHeaders=host%3Bx-amz-server-side-encryption",
    ] {
        assert!(url.contains(part), "{part} is not in {url}");
    }
    assert_eq!(upload["headers"], json!([["x-amz-server-side-encryption", "aws:kms"]]));
}
