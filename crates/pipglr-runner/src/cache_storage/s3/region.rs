//! Where a bucket of AWS lies.

use super::address::is_aws;
use crate::config::S3Config;
use bytes::Bytes;
use reqsign_core::Context;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

const DEFAULT: &str = "us-east-1";

/// Buckets do not move, so each is asked for once.
static KNOWN: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// The configured region, or the one AWS tells, or the one where S3 began.
pub(super) async fn region(config: &S3Config, context: &Context) -> String {
    if !config.bucket_location.is_empty() {
        return config.bucket_location.clone();
    }
    let bucket = &config.bucket_name;
    if !is_aws(config) {
        return DEFAULT.to_owned();
    }
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let there = known().get(bucket).cloned();
    if let Some(region) = there {
        return region;
    }
    match ask(bucket, context).await {
        Ok(Some(region)) => {
            known().insert(bucket.clone(), region.clone());
            region
        }
        Ok(None) => DEFAULT.to_owned(),
        Err(error) => {
            tracing::warn!(bucket, error = %format!("{error:#}"), "AWS does not tell the bucket's region");
            DEFAULT.to_owned()
        }
    }
}

/// AWS tells everybody, even whom it refuses.
async fn ask(bucket: &str, context: &Context) -> anyhow::Result<Option<String>> {
    // A certificate of one level does not fit a name of two.
    let url = if bucket.contains('.') {
        format!("https://s3.amazonaws.com/{bucket}")
    } else {
        format!("https://{bucket}.s3.amazonaws.com/")
    };
    let response = context.http_send(http::Request::head(url).body(Bytes::new())?).await?;
    let region = response.headers().get("x-amz-bucket-region");
    Ok(region.and_then(|v| v.to_str().ok()).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::region;
    use crate::cache_storage::context::fake::{Machine, answer};
    use bytes::Bytes;

    fn denied_in_paris() -> http::Response<Bytes> {
        let mut denied = answer(403, "");
        denied
            .headers_mut()
            .insert("x-amz-bucket-region", "eu-west-3".parse().unwrap());
        denied
    }

    #[tokio::test]
    async fn aws_is_asked_where_a_bucket_is_unless_somebody_said() {
        let machine = Machine::serving(vec![
            ("https://paris.s3.amazonaws.com/", |_| denied_in_paris()),
            ("https://s3.amazonaws.com/par.is", |_| denied_in_paris()),
            ("https://silent.s3.amazonaws.com/", |_| answer(404, "")),
        ]);
        for (name, text, expected, asked) in [
            ("BucketLocation", "BucketName = 'paris'\nBucketLocation = 'x'", "x", 0),
            (
                "another server",
                "BucketName = 'paris'\nServerAddress = 'minio'",
                "us-east-1",
                0,
            ),
            ("detected region", "BucketName = 'paris'", "eu-west-3", 1),
            (
                "asked once",
                "BucketName = 'paris'\nServerAddress = 's3.amazonaws.com'",
                "eu-west-3",
                0,
            ),
            ("bucket with a dot", "BucketName = 'par.is'", "eu-west-3", 1),
            ("no answer", "BucketName = 'silent'", "us-east-1", 1),
            ("nobody there", "BucketName = 'gone'", "us-east-1", 1),
        ] {
            let before = machine.asked().len();
            let config = toml::from_str(text).unwrap();
            assert_eq!(region(&config, &machine.context()).await, expected, "{name}");
            assert_eq!(machine.asked().len() - before, asked, "{name}");
        }
    }
}
