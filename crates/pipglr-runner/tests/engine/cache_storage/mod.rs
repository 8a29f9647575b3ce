//! Caches in object storage: what the engine signs is taken by a server that checks signatures, and nothing else is.

mod azure;
mod gcs;
mod s3;
mod served;

use crate::support::{Bench, http};
use pipglr_protocol::Secret;
use pipglr_runner::config::CacheConfig;
use pipglr_testkit::gitlab::JobBuilder;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

fn job() -> JobBuilder {
    JobBuilder::new(35).without_sources().script(&["true"]).with(
        "/cache",
        json!([{"key": "a key/ü", "paths": ["v"], "fallback_keys": ["b"]}]),
    )
}

/// The requests a job's helpers were given.
struct Given {
    /// By key: the cache's own, then the fallback's.
    downloads: [Value; 2],
    exists: Value,
    upload: Value,
    /// All that podman was told.
    told: String,
    /// Where the server really is, if its name is one of the world's.
    address: Option<String>,
}

impl Given {
    /// Runs a job with these caches.
    async fn by(cache: CacheConfig, address: Option<String>) -> Self {
        let mut bench = Bench::start().await;
        bench.runner.cache = cache;
        bench.run(job()).await.assert_ending("success", "", 0);
        let (restore, archive) = (
            bench.podman.plan("-helper-prepare"),
            bench.podman.plan("-helper-finish"),
        );
        let told = format!("{restore}{archive}{:?}", bench.podman.record());
        let sources = &restore["phases"][1]["restore_cache"]["entries"][0]["sources"];
        let target = &archive["phases"][0]["archive_cache"]["entries"][0]["target"];
        assert!(sources[1].is_object() && target.is_object(), "{restore} {archive}");
        bench.assert_clean();
        Self {
            downloads: [0, 1].map(|at| sources[at]["download"].clone()),
            exists: target["exists"].clone(),
            upload: target["upload"].clone(),
            told,
            address,
        }
    }

    /// Makes a request, perhaps for another object or with another method.
    async fn make(
        &self,
        request: &Value,
        method: Method,
        change: impl Fn(String) -> String,
        body: &'static str,
    ) -> (StatusCode, String) {
        let url = change(request["url"].as_str().unwrap().to_owned());
        let client = http().build().unwrap();
        let mut call = match &self.address {
            None => client.request(method, url),
            Some(address) => {
                let (host, rest) = url.strip_prefix("https://").unwrap().split_once('/').unwrap();
                client
                    .request(method, format!("http://{address}/{rest}"))
                    .header("host", host)
            }
        };
        let mut typed = false;
        for header in request["headers"].as_array().unwrap() {
            let (name, value) = (header[0].as_str().unwrap(), header[1].as_str().unwrap());
            typed |= name == "content-type";
            call = call.header(name, value);
        }
        // As the helper does.
        if !typed {
            call = call.header("content-type", "application/octet-stream");
        }
        let response = call.body(body).send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    }

    /// What every store must have in common; `longer` makes a URL last longer, `stored` is the object afterwards.
    async fn check(&self, longer: impl Fn(String) -> String) {
        let same = |url: String| url;
        let other = |url: String| url.replace("%20key", "%20kez");
        let (found, missing, denied) = (StatusCode::OK, StatusCode::NOT_FOUND, StatusCode::FORBIDDEN);
        let [download, fallback] = &self.downloads;
        let upload = &self.upload;
        let head = async || self.make(&self.exists, Method::HEAD, same, "").await.0;
        assert_eq!(head().await, missing);
        assert_eq!(self.make(upload, Method::PUT, other, "x").await.0, denied);
        assert_eq!(self.make(upload, Method::DELETE, same, "").await.0, denied);
        assert_eq!(self.make(upload, Method::PUT, longer, "x").await.0, denied);
        assert_eq!(head().await, missing, "nothing was stored by what was denied");
        let put = self.make(upload, Method::PUT, same, "the archive").await.0;
        assert!(put.is_success(), "{put}");
        assert_eq!(head().await, found);
        let got = self.make(download, Method::GET, same, "").await;
        assert_eq!(got, (found, "the archive".to_owned()));
        assert_eq!(self.make(fallback, Method::GET, same, "").await.0, missing);
        assert_eq!(self.make(download, Method::GET, other, "").await.0, denied);
        assert_eq!(self.make(download, Method::PUT, same, "x").await.0, denied);
    }
}

#[tokio::test]
async fn storage_that_cannot_be_used_leaves_caches_on_the_machine() {
    type Change = fn(&mut CacheConfig);
    let changes: [(&str, Change); 11] = [
        ("unknown Type", |c| c.kind = "ftp".to_owned()),
        ("no BucketName", |c| c.s3.bucket_name = String::new()),
        ("unknown AuthenticationType", |c| {
            c.s3.authentication_type = "x".to_owned();
        }),
        ("unknown ServerSideEncryption", |c| {
            c.s3.server_side_encryption = "x".to_owned();
        }),
        ("RoleARN that is none", |c| c.s3.role_arn = "arn:x".to_owned()),
        ("UploadRoleARN that is none", |c| {
            c.s3.upload_role_arn = "arn:x".to_owned();
        }),
        ("gcs without BucketName", |c| c.kind = "gcs".to_owned()),
        ("gcs with a key that is none", |c| {
            c.kind = "gcs".to_owned();
            c.gcs.bucket_name = "bucket".to_owned();
            c.gcs.access_id = "id".to_owned();
            c.gcs.private_key = Secret::new("x");
        }),
        ("azure without AccountName", |c| {
            c.kind = "azure".to_owned();
            c.azure.container_name = "container".to_owned();
        }),
        ("azure without ContainerName", |c| {
            c.kind = "azure".to_owned();
            c.azure.account_name = "account".to_owned();
        }),
        ("azure with a key that is none", |c| {
            c.kind = "azure".to_owned();
            c.azure.account_name = "account".to_owned();
            c.azure.container_name = "container".to_owned();
            c.azure.account_key = Secret::new("not base64!");
        }),
    ];
    for (name, change) in changes {
        let mut cache = s3::configuration("minio.test");
        change(&mut cache);
        let given = Given::by(cache, None).await;
        for request in given.downloads.iter().chain([&given.exists, &given.upload]) {
            assert_eq!(request, &Value::Null, "{name}");
        }
    }
}
