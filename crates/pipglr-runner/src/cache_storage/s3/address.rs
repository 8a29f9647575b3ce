//! Where a bucket is reached.

use crate::config::S3Config;

const AWS: &str = "s3.amazonaws.com";

pub(super) fn is_aws(config: &S3Config) -> bool {
    matches!(config.server_address.as_str(), "" | AWS)
}

/// `scheme://host` and the bucket where it belongs into the path, with a final slash.
pub(super) fn base_url(config: &S3Config, region: &str) -> String {
    let scheme = if config.insecure { "http" } else { "https" };
    let bucket = &config.bucket_name;
    let dual_stack = if config.dual_stack.unwrap_or(true) {
        ".dualstack"
    } else {
        ""
    };
    if is_aws(config) && config.accelerate {
        return format!("{scheme}://{bucket}.s3-accelerate{dual_stack}.amazonaws.com/");
    }
    let host = if is_aws(config) {
        format!("s3{dual_stack}.{region}.amazonaws.com")
    } else {
        config.server_address.trim_end_matches('/').to_owned()
    };
    // Certificates of a wildcard host do not fit bucket names with dots; other servers have rarely a host per bucket.
    let by_path = !host.contains(".amazonaws.com") || bucket.contains('.');
    if config.path_style.unwrap_or(by_path) {
        format!("{scheme}://{host}/{bucket}/")
    } else {
        format!("{scheme}://{bucket}.{host}/")
    }
}

#[cfg(test)]
mod tests {
    use super::base_url;
    use crate::config::S3Config;

    fn config(text: &str) -> S3Config {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn addresses_are_those_of_the_configuration() {
        for (name, text, expected) in [
            (
                "AWS",
                "BucketName = 'b'",
                "https://b.s3.dualstack.us-east-1.amazonaws.com/",
            ),
            (
                "BucketLocation",
                "BucketName = 'b'\nBucketLocation = 'eu-west-1'",
                "https://b.s3.dualstack.eu-west-1.amazonaws.com/",
            ),
            (
                "ServerAddress of AWS",
                "BucketName = 'b'\nServerAddress = 's3.amazonaws.com'",
                "https://b.s3.dualstack.us-east-1.amazonaws.com/",
            ),
            (
                "DualStack",
                "BucketName = 'b'\nDualStack = false",
                "https://b.s3.us-east-1.amazonaws.com/",
            ),
            (
                "Accelerate",
                "BucketName = 'b'\nAccelerate = true",
                "https://b.s3-accelerate.dualstack.amazonaws.com/",
            ),
            (
                "bucket with dots",
                "BucketName = 'b.c'",
                "https://s3.dualstack.us-east-1.amazonaws.com/b.c/",
            ),
            (
                "PathStyle on",
                "BucketName = 'b'\nPathStyle = true",
                "https://s3.dualstack.us-east-1.amazonaws.com/b/",
            ),
            (
                "ServerAddress",
                "BucketName = 'b'\nServerAddress = 'minio:9000'",
                "https://minio:9000/b/",
            ),
            (
                "Insecure",
                "BucketName = 'b'\nServerAddress = 'minio:9000'\nInsecure = true",
                "http://minio:9000/b/",
            ),
            (
                "PathStyle off",
                "BucketName = 'b'\nServerAddress = 'minio:9000'\nPathStyle = false",
                "https://b.minio:9000/",
            ),
        ] {
            let config = config(text);
            let region = match config.bucket_location.as_str() {
                "" => "us-east-1",
                region => region,
            };
            assert_eq!(base_url(&config, region), expected, "{name}");
        }
    }
}
