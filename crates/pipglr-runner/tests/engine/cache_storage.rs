//! Caches in object storage: what the engine signs is taken by a real S3 server, and nothing else is.

use crate::support::Bench;
use pipglr_protocol::Secret;
use pipglr_runner::config::{CacheConfig, S3Config};
use pipglr_testkit::gitlab::JobBuilder;
use reqwest::{Client, Method, StatusCode};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use serde_json::{Value, json};

const ACCESS_KEY: &str = "an-access-key";
const SECRET_KEY: &str = "the/secret+key";

/// An S3 server with one bucket. Ends with the test's runtime.
async fn start_s3(root: &std::path::Path) -> String {
    std::fs::create_dir(root.join("bucket")).unwrap();
    let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root).unwrap());
    builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
    let service = builder.build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (io, service) = (hyper_util::rt::TokioIo::new(stream), service.clone());
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
        }
    });
    address
}

fn configuration(address: &str) -> CacheConfig {
    CacheConfig {
        kind: "s3".to_owned(),
        path: "prefix".to_owned(),
        s3: S3Config {
            server_address: address.to_owned(),
            access_key: Secret::new(ACCESS_KEY),
            secret_key: Secret::new(SECRET_KEY),
            bucket_name: "bucket".to_owned(),
            insecure: true,
            ..S3Config::default()
        },
        ..CacheConfig::default()
    }
}

fn job() -> JobBuilder {
    JobBuilder::new(35).without_sources().script(&["true"]).with(
        "/cache",
        json!([{"key": "a key/ü", "paths": ["v"], "fallback_keys": ["b"]}]),
    )
}

/// Makes a request a helper was given, perhaps for another object or with another method.
async fn make(
    request: &Value,
    method: Method,
    change: impl Fn(String) -> String,
    body: &'static str,
) -> (StatusCode, String) {
    let url = change(request["url"].as_str().unwrap().to_owned());
    let mut call = Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .request(method, url)
        .body(body);
    for header in request["headers"].as_array().unwrap() {
        call = call.header(header[0].as_str().unwrap(), header[1].as_str().unwrap());
    }
    let response = call
        .header("content-type", "application/octet-stream")
        .send()
        .await
        .unwrap();
    (response.status(), response.text().await.unwrap())
}

#[tokio::test]
async fn signed_requests_are_good_for_their_object_and_method_alone() {
    let root = tempfile::tempdir().unwrap();
    let mut bench = Bench::start().await;
    bench.runner.cache = configuration(&start_s3(root.path()).await);
    bench.run(job()).await.assert_ending("success", "", 0);
    let (restore, archive) = (
        bench.podman.plan("-helper-prepare"),
        bench.podman.plan("-helper-finish"),
    );
    let told = format!("{restore}{archive}{:?}", bench.podman.record());
    assert!(!told.contains(SECRET_KEY), "credentials stay in the runner");

    let sources = restore["phases"][1]["restore_cache"]["entries"][0]["sources"].clone();
    let target = archive["phases"][0]["archive_cache"]["entries"][0]["target"].clone();
    let same = |url: String| url;
    let other = |url: String| url.replace("%20key", "%20kez");
    let longer = |url: String| url.replace("X-Amz-Expires=", "X-Amz-Expires=1");
    let denied = StatusCode::FORBIDDEN;
    assert_eq!(
        make(&target["exists"], Method::HEAD, same, "").await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(make(&target["upload"], Method::PUT, other, "x").await.0, denied);
    assert_eq!(make(&target["upload"], Method::DELETE, same, "").await.0, denied);
    assert_eq!(make(&target["upload"], Method::PUT, longer, "x").await.0, denied);
    assert_eq!(
        make(&target["upload"], Method::PUT, same, "the archive").await.0,
        StatusCode::OK
    );
    assert_eq!(make(&target["exists"], Method::HEAD, same, "").await.0, StatusCode::OK);
    let got = make(&sources[0]["download"], Method::GET, same, "").await;
    assert_eq!(got, (StatusCode::OK, "the archive".to_owned()));
    assert_eq!(
        make(&sources[1]["download"], Method::GET, same, "").await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(make(&sources[0]["download"], Method::PUT, same, "x").await.0, denied);
    let object = root.path().join("bucket/prefix/runner/fake0runn/project/1/a key/ü");
    assert_eq!(std::fs::read_to_string(object).unwrap(), "the archive");
    bench.assert_clean();
}

#[tokio::test]
async fn wrong_keys_are_found_out_by_the_server() {
    let root = tempfile::tempdir().unwrap();
    let mut bench = Bench::start().await;
    bench.runner.cache = configuration(&start_s3(root.path()).await);
    bench.runner.cache.s3.secret_key = Secret::new("wrong");
    bench.run(job()).await.assert_ending("success", "", 0);
    let archive = bench.podman.plan("-helper-finish");
    let upload = &archive["phases"][0]["archive_cache"]["entries"][0]["target"]["upload"];
    assert_eq!(make(upload, Method::PUT, |url| url, "x").await.0, StatusCode::FORBIDDEN);
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

#[tokio::test]
async fn storage_that_cannot_be_used_leaves_caches_on_the_machine() {
    type Change = fn(&mut CacheConfig);
    let changes: [(&str, Change); 6] = [
        ("RoleARN", |c| c.s3.role_arn = "arn:x".to_owned()),
        ("UploadRoleARN", |c| c.s3.upload_role_arn = "arn:x".to_owned()),
        ("no BucketName", |c| c.s3.bucket_name = String::new()),
        ("unknown AuthenticationType", |c| {
            c.s3.authentication_type = "x".to_owned();
        }),
        ("gcs", |c| c.kind = "gcs".to_owned()),
        ("azure", |c| c.kind = "azure".to_owned()),
    ];
    for (name, change) in changes {
        let mut bench = Bench::start().await;
        bench.runner.cache = configuration("minio.test");
        change(&mut bench.runner.cache);
        bench.run(job()).await.assert_ending("success", "", 0);
        let restore = bench.podman.plan("-helper-prepare");
        let sources = &restore["phases"][1]["restore_cache"]["entries"][0]["sources"];
        assert!(sources[0].is_object(), "{name}: {restore}");
        assert_eq!(sources[0]["download"], Value::Null, "{name}");
    }
}
