//! S3 and what speaks its protocol.

mod address;
mod credentials;
mod region;

use super::{encoded_path, key_header};
use crate::config::S3Config;
use crate::container_side::helper::SignedRequest;
use anyhow::{Context as _, bail, ensure};
use credentials::Credentials;
use pipglr_protocol::Secret;
use reqsign_aws_v4::{Credential, RequestSigner};
use reqsign_core::time::Timestamp;
use reqsign_core::{Context, SignRequest as _, SigningCredential as _};
use reqwest::Method;
use std::time::Duration;

/// The largest object that one request can make.
const LARGEST: u64 = 5 << 30;

/// Signs requests for objects of one bucket.
pub(super) struct Signer {
    base: String,
    /// Those of encryption.
    upload_headers: Vec<(String, String)>,
    signer: RequestSigner,
    credentials: Credentials,
    lifetime: Duration,
    context: Context,
}

impl Signer {
    pub(super) async fn new(config: &S3Config, lifetime: Duration, context: &Context) -> anyhow::Result<Self> {
        ensure!(!config.bucket_name.is_empty(), "[runners.cache.s3] has no BucketName");
        let region = region::region(config, context).await;
        Ok(Self {
            base: address::base_url(config, &region),
            upload_headers: encryption_headers(config)?,
            signer: RequestSigner::new("s3", &region),
            credentials: Credentials::find(config, &region, context).await?,
            lifetime,
            context: context.clone(),
        })
    }

    pub(super) async fn download(&self, object: &str) -> anyhow::Result<SignedRequest> {
        let credential = &self.credentials.download;
        self.sign(Method::GET, object, Vec::new(), credential).await
    }

    pub(super) async fn exists(&self, object: &str) -> anyhow::Result<SignedRequest> {
        let credential = &self.credentials.download;
        self.sign(Method::HEAD, object, Vec::new(), credential).await
    }

    pub(super) async fn upload(&self, object: &str, key: &str) -> anyhow::Result<SignedRequest> {
        let mut headers = self.upload_headers.clone();
        headers.extend(key_header("x-amz-meta-cachekey", key));
        let credential = &self.credentials.upload;
        self.sign(Method::PUT, object, headers, credential).await
    }

    async fn sign(
        &self,
        method: Method,
        object: &str,
        headers: Vec<(String, String)>,
        credential: &Credential,
    ) -> anyhow::Result<SignedRequest> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("{}{}", self.base, encoded_path(object)));
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        let (mut parts, ()) = request.body(()).context("the address of the object")?.into_parts();
        let lifetime = usable_lifetime(credential, self.lifetime);
        self.signer
            .sign_request(&self.context, &mut parts, Some(credential), Some(lifetime))
            .await
            .context("sign a request")?;
        Ok(SignedRequest {
            url: Secret::new(parts.uri.to_string()),
            headers,
            limit: Some(LARGEST),
        })
    }
}

/// A signature ends with what it was made with.
fn usable_lifetime(credential: &Credential, wanted: Duration) -> Duration {
    let lasts = |lifetime: &Duration| credential.is_valid_at(Timestamp::now() + *lifetime + Duration::from_secs(5));
    let shorter = std::iter::successors(Some(wanted), |d| (d.as_secs() > 60).then(|| *d / 2));
    shorter.into_iter().find(lasts).unwrap_or(wanted)
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

#[cfg(test)]
mod tests {
    use super::{Signer, encryption_headers};
    use crate::cache_storage::context::fake::{Machine, answer};
    use crate::config::S3Config;
    use std::time::Duration;

    fn config(text: &str) -> S3Config {
        toml::from_str(text).unwrap()
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

    /// What STS gives whoever takes a role: a key with the role's name in it.
    fn session(request: &http::Request<bytes::Bytes>) -> http::Response<bytes::Bytes> {
        let signature = request.headers()["authorization"].to_str().unwrap();
        assert!(signature.contains("Credential=OWN/"), "{signature}");
        assert!(signature.contains("/eu-west-1/sts/aws4_request"), "{signature}");
        let query = request.uri().query().unwrap();
        assert!(query.contains("Action=AssumeRole&"), "{query}");
        assert!(query.contains("DurationSeconds=3600"), "{query}");
        let role = ["reader", "writer"]
            .into_iter()
            .find(|role| query.contains(role))
            .unwrap();
        answer(
            200,
            &format!(
                "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
                 <Credentials><AccessKeyId>ASIA0000000{role}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
                 <SessionToken>session-{role}</SessionToken><Expiration>2199-01-01T00:00:00Z</Expiration></Credentials>\
                 </AssumeRoleResult></AssumeRoleResponse>"
            ),
        )
    }

    #[tokio::test]
    async fn roles_are_taken_by_the_runner() {
        let machine = Machine::serving(vec![("https://sts.eu-west-1.amazonaws.com/", session)]);
        let (reader, writer) = (
            "RoleARN = 'arn:aws:iam::123456789012:role/reader'",
            "UploadRoleARN = 'arn:aws:iam::123456789012:role/writer'",
        );
        for (name, roles, download, upload) in [
            ("no role", vec![], "OWN", "OWN"),
            ("RoleARN", vec![reader], "ASIA0000000reader", "ASIA0000000reader"),
            ("UploadRoleARN", vec![writer], "OWN", "ASIA0000000writer"),
            (
                "both roles",
                vec![reader, writer],
                "ASIA0000000reader",
                "ASIA0000000writer",
            ),
        ] {
            let before = machine.asked().len();
            let text = format!(
                "BucketName = 'b'\nBucketLocation = 'eu-west-1'\nAccessKey = 'OWN'\nSecretKey = 's'\n{}",
                roles.join("\n")
            );
            let hour = Duration::from_hours(1);
            let signer = Signer::new(&config(&text), hour, &machine.context()).await.unwrap();
            assert_eq!(machine.asked().len() - before, roles.len(), "{name}");
            for (request, owner) in [
                (signer.download("o").await.unwrap(), download),
                (signer.exists("o").await.unwrap(), download),
                (signer.upload("o", "k").await.unwrap(), upload),
            ] {
                let url = request.url.expose();
                assert!(url.contains(&format!("X-Amz-Credential={owner}%2F")), "{name}: {url}");
                let session = owner.strip_prefix("ASIA0000000").map(|role| format!("session-{role}"));
                let token = session.map(|session| format!("X-Amz-Security-Token={session}"));
                assert!(token.is_none_or(|token| url.contains(&token)), "{name}: {url}");
            }
        }
    }

    #[tokio::test]
    async fn a_role_that_is_refused_is_named() {
        let machine = Machine::serving(vec![("https://sts.us-east-1.amazonaws.com/", |_| {
            answer(403, "<Error/>")
        })]);
        let keys = "BucketName = 'b'\nBucketLocation = 'us-east-1'\nAccessKey = 'OWN'\nSecretKey = 'SECRET'\n";
        for (role, expected) in [
            ("RoleARN = 'arn:aws:iam::123456789012:role/r'", "RoleARN: "),
            ("UploadRoleARN = 'arn:aws:iam::123456789012:role/r'", "UploadRoleARN: "),
            ("RoleARN = 'arn:x'", "RoleARN: "),
        ] {
            let config = config(&format!("{keys}{role}"));
            let made = Signer::new(&config, Duration::from_secs(60), &machine.context()).await;
            let error = format!("{:#}", made.err().unwrap());
            assert!(error.starts_with(expected) && !error.contains("SECRET"), "{error}");
        }
    }
}
