//! S3 and what speaks its protocol.

use crate::config::S3Config;
use crate::container_side::helper::SignedRequest;
use anyhow::{Context as _, bail, ensure};
use pipglr_protocol::Secret;
use reqsign_aws_v4::{Credential, DefaultCredentialProvider, RequestSigner, StaticCredentialProvider};
use reqsign_core::time::Timestamp;
use reqsign_core::{Context, ProvideCredential as _, SignRequest as _, SigningCredential as _};
use reqwest::Method;
use std::fmt::Write as _;
use std::time::Duration;

/// The longest a signature can last.
const LONGEST: Duration = Duration::from_hours(7 * 24);
const DEFAULT_REGION: &str = "us-east-1";
const AWS: &str = "s3.amazonaws.com";

/// Signs requests for objects of one bucket.
pub(super) struct Signer {
    /// `scheme://host` and the bucket where it belongs into the path, with a final slash.
    base: String,
    upload_headers: Vec<(String, String)>,
    signer: RequestSigner,
    credential: Credential,
    lifetime: Duration,
    context: Context,
}

impl Signer {
    pub(super) async fn new(config: &S3Config, lifetime: Duration, context: &Context) -> anyhow::Result<Self> {
        ensure!(!config.bucket_name.is_empty(), "[runners.cache.s3] has no BucketName");
        ensure!(
            config.role_arn.is_empty() && config.upload_role_arn.is_empty(),
            "RoleARN and UploadRoleARN of [runners.cache.s3] are not supported: jobs never get credentials here"
        );
        let region = region(config);
        let credential = credential(config, context).await?;
        Ok(Self {
            base: base_url(config, region),
            upload_headers: encryption_headers(config)?,
            signer: RequestSigner::new("s3", region),
            lifetime: usable_lifetime(&credential, lifetime),
            credential,
            context: context.clone(),
        })
    }

    /// What goes with an upload.
    pub(super) fn upload_headers(&self, key: &str) -> Vec<(String, String)> {
        let mut headers = self.upload_headers.clone();
        // Headers hold nothing else.
        if key.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
            headers.push(("x-amz-meta-cachekey".to_owned(), key.trim().to_owned()));
        }
        headers
    }

    pub(super) async fn sign(
        &self,
        method: Method,
        object: &str,
        headers: &[(String, String)],
    ) -> anyhow::Result<SignedRequest> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("{}{}", self.base, encoded(object)));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let (mut parts, ()) = request.body(()).context("the address of the object")?.into_parts();
        self.signer
            .sign_request(&self.context, &mut parts, Some(&self.credential), Some(self.lifetime))
            .await
            .context("sign a request")?;
        Ok(SignedRequest {
            url: Secret::new(parts.uri.to_string()),
            headers: headers.to_vec(),
        })
    }
}

async fn credential(config: &S3Config, context: &Context) -> anyhow::Result<Credential> {
    let keys = !config.access_key.is_empty() && !config.secret_key.is_empty();
    let found = match config.authentication_type.as_str() {
        "access-key" if !keys => bail!("[runners.cache.s3] has no AccessKey or no SecretKey"),
        "" | "access-key" if keys => {
            let mut provider = StaticCredentialProvider::new(config.access_key.expose(), config.secret_key.expose());
            if !config.session_token.is_empty() {
                provider = provider.with_session_token(config.session_token.expose());
            }
            provider.provide_credential(context).await
        }
        "" | "iam" => DefaultCredentialProvider::new().provide_credential(context).await,
        other => bail!("AuthenticationType {other:?} of [runners.cache.s3] is neither access-key nor iam"),
    };
    found
        .context("find credentials for S3")?
        .context("no credentials for S3: neither keys in [runners.cache.s3] nor a role of this machine")
}

/// A signature ends with what it was made with.
fn usable_lifetime(credential: &Credential, wanted: Duration) -> Duration {
    let wanted = wanted.clamp(Duration::from_secs(1), LONGEST);
    let lasts = |lifetime: &Duration| credential.is_valid_at(Timestamp::now() + *lifetime + Duration::from_secs(5));
    let shorter = std::iter::successors(Some(wanted), |d| (d.as_secs() > 60).then(|| *d / 2));
    shorter.into_iter().find(lasts).unwrap_or(wanted)
}

fn region(config: &S3Config) -> &str {
    match config.bucket_location.as_str() {
        "" => DEFAULT_REGION,
        location => location,
    }
}

fn base_url(config: &S3Config, region: &str) -> String {
    let scheme = if config.insecure { "http" } else { "https" };
    let bucket = &config.bucket_name;
    let dual_stack = if config.dual_stack.unwrap_or(true) {
        ".dualstack"
    } else {
        ""
    };
    let on_aws = matches!(config.server_address.as_str(), "" | AWS);
    if on_aws && config.accelerate {
        return format!("{scheme}://{bucket}.s3-accelerate{dual_stack}.amazonaws.com/");
    }
    let host = if on_aws {
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

fn encryption_headers(config: &S3Config) -> anyhow::Result<Vec<(String, String)>> {
    let algorithm = match config.server_side_encryption.as_str() {
        "" => return Ok(Vec::new()),
        "S3" | "AES256" => "AES256",
        "KMS" | "aws:kms" => "aws:kms",
        "DSSE-KMS" | "aws:kms:dsse" => "aws:kms:dsse",
        other => bail!("ServerSideEncryption {other:?} of [runners.cache.s3] is none of S3, KMS and DSSE-KMS"),
    };
    let mut headers = vec![("x-amz-server-side-encryption".to_owned(), algorithm.to_owned())];
    let key = &config.server_side_encryption_key_id;
    if algorithm != "AES256" && !key.is_empty() {
        headers.push(("x-amz-server-side-encryption-aws-kms-key-id".to_owned(), key.clone()));
    }
    Ok(headers)
}

/// An object's name as the path of a URL.
fn encoded(object: &str) -> String {
    object.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::{base_url, encoded, encryption_headers, region};
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
            assert_eq!(base_url(&config, region(&config)), expected, "{name}");
        }
    }

    #[test]
    fn encryption_goes_with_uploads() {
        let sse = "x-amz-server-side-encryption";
        for (name, kind, key, expected) in [
            ("no encryption", "", "k", vec![]),
            ("S3 encryption", "S3", "k", vec![(sse, "AES256")]),
            (
                "KMS encryption",
                "KMS",
                "k",
                vec![(sse, "aws:kms"), ("x-amz-server-side-encryption-aws-kms-key-id", "k")],
            ),
            ("DSSE encryption", "aws:kms:dsse", "", vec![(sse, "aws:kms:dsse")]),
        ] {
            let config = config(&format!(
                "ServerSideEncryption = '{kind}'\nServerSideEncryptionKeyID = '{key}'"
            ));
            let headers = encryption_headers(&config).unwrap();
            let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            assert_eq!(headers, expected, "{name}");
        }
        assert!(encryption_headers(&config("ServerSideEncryption = 'x'")).is_err());
    }

    #[test]
    fn names_are_encoded_once() {
        assert_eq!(encoded("p/a b+c/é%2F"), "p/a%20b%2Bc/%C3%A9%252F");
    }
}
