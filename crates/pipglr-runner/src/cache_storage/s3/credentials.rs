//! Whom requests to S3 are signed for.

use crate::config::S3Config;
use anyhow::{Context as _, bail};
use reqsign_aws_v4::{
    AssumeRoleCredentialProvider, Credential, DefaultCredentialProvider, RequestSigner, StaticCredentialProvider,
};
use reqsign_core::{Context, ProvideCredential as _, Signer};

/// Seconds a role is taken for: the most that AWS allows whoever has a role already.
///
/// Compat: gitlab-runner cache/s3v2/s3.go.
const ROLE_SECONDS: u32 = 3600;

/// Reading and writing may be different people's.
pub(super) struct Credentials {
    pub(super) download: Credential,
    pub(super) upload: Credential,
}

impl Credentials {
    /// Roles are taken here, so that jobs get signed requests like everybody's and no credentials.
    pub(super) async fn find(config: &S3Config, region: &str, context: &Context) -> anyhow::Result<Self> {
        let own = own(config, context).await?;
        let download = match config.role_arn.as_str() {
            "" => own.clone(),
            role => assume(role, &own, region, context).await.context("RoleARN")?,
        };
        let upload = match config.upload_role_arn.as_str() {
            "" => download.clone(),
            role => assume(role, &own, region, context).await.context("UploadRoleARN")?,
        };
        Ok(Self { download, upload })
    }
}

async fn own(config: &S3Config, context: &Context) -> anyhow::Result<Credential> {
    let keys = !config.access_key.is_empty() && !config.secret_key.is_empty();
    let found = match config.authentication_type.as_str() {
        "access-key" if !keys => bail!("[runners.cache.s3] has no AccessKey or no SecretKey"),
        "" | "access-key" if keys => {
            let session = (!config.session_token.is_empty()).then(|| config.session_token.expose());
            provider(config.access_key.expose(), config.secret_key.expose(), session)
                .provide_credential(context)
                .await
        }
        "" | "iam" => DefaultCredentialProvider::new().provide_credential(context).await,
        other => bail!("AuthenticationType {other:?} of [runners.cache.s3] is neither access-key nor iam"),
    };
    found
        .context("find credentials for S3")?
        .context("no credentials for S3: neither keys in [runners.cache.s3] nor a role of this machine")
}

fn provider(access_key: &str, secret_key: &str, session: Option<&str>) -> StaticCredentialProvider {
    let provider = StaticCredentialProvider::new(access_key, secret_key);
    match session {
        Some(session) => provider.with_session_token(session),
        None => provider,
    }
}

async fn assume(role: &str, own: &Credential, region: &str, context: &Context) -> anyhow::Result<Credential> {
    let provider = provider(&own.access_key_id, &own.secret_access_key, own.session_token.as_deref());
    let signer = Signer::new(context.clone(), provider, RequestSigner::new("sts", region));
    AssumeRoleCredentialProvider::new(role.to_owned(), signer)
        .with_role_session_name("pipglr-cache".to_owned())
        .with_duration_seconds(ROLE_SECONDS)
        .with_region(region.to_owned())
        .with_regional_sts_endpoint()
        .provide_credential(context)
        .await?
        .with_context(|| format!("no credentials for the role {role}"))
}
