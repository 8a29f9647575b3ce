//! Keys of `[runners.cache]`.

use super::{Key, Kind, differs, honoured, ignored};

/// Roles are taken by the runner.
const NO_SESSIONS: &str = "a role is taken once for the caches before a job and once for those after it";

#[rustfmt::skip]
pub(super) const KEYS: [Key; 33] = [
    honoured("runners.cache.Type", Kind::Text, "`s3`, `gcs` or `azure`; with another one caches stay on this machine, and the log says so for each job"),
    honoured("runners.cache.Path", Kind::Text, "start of the names of objects"),
    honoured("runners.cache.Shared", Kind::Switch, "runners share their caches"),
    honoured("runners.cache.MaxUploadedArchiveSize", Kind::Whole, "bytes; larger archives stay on this machine, 0 is no limit"),
    honoured("runners.cache.s3", Kind::Table, "where objects are kept"),
    honoured("runners.cache.s3.ServerAddress", Kind::Text, "`host[:port]`, or AWS"),
    honoured("runners.cache.s3.AccessKey", Kind::Text, "with `SecretKey`: whom requests are signed for"),
    honoured("runners.cache.s3.SecretKey", Kind::Text, "never leaves the runner"),
    honoured("runners.cache.s3.SessionToken", Kind::Text, "of temporary keys"),
    honoured("runners.cache.s3.BucketName", Kind::Text, "the bucket"),
    honoured("runners.cache.s3.BucketLocation", Kind::Text, "the bucket's region; without one AWS is asked, and elsewhere it is `us-east-1`"),
    honoured("runners.cache.s3.Insecure", Kind::Switch, "plain HTTP"),
    differs("runners.cache.s3.AuthenticationType", Kind::Text, "`access-key` or `iam`; keys are used if there are some, with or without `ServerAddress`"),
    honoured("runners.cache.s3.ServerSideEncryption", Kind::Text, "`S3`, `KMS` or `DSSE-KMS`"),
    honoured("runners.cache.s3.ServerSideEncryptionKeyID", Kind::Text, "key for `KMS` and `DSSE-KMS`"),
    honoured("runners.cache.s3.DualStack", Kind::Switch, "AWS by IPv6, too; on by default"),
    honoured("runners.cache.s3.PathStyle", Kind::Switch, "whether the bucket is in the path; else in the host name for AWS"),
    honoured("runners.cache.s3.Accelerate", Kind::Switch, "AWS Transfer Acceleration"),
    differs("runners.cache.s3.RoleARN", Kind::Text, "role whose signed requests jobs get, where gitlab-runner hands them its credentials; no upload in parts: archives of more than 5 GiB stay on this machine"),
    differs("runners.cache.s3.UploadRoleARN", Kind::Text, "as `RoleARN`, for uploads alone"),
    ignored("runners.cache.s3.AssumeRoleMaxConcurrency", Kind::Whole, NO_SESSIONS),
    ignored("runners.cache.s3.DisableAssumeRoleCredentialsCaching", Kind::Switch, NO_SESSIONS),
    honoured("runners.cache.gcs", Kind::Table, "where objects are kept with Google"),
    honoured("runners.cache.gcs.AccessID", Kind::Text, "service account; without `PrivateKey` Google signs for it when this machine asks"),
    honoured("runners.cache.gcs.PrivateKey", Kind::Text, "its key in PEM; never leaves the runner"),
    honoured("runners.cache.gcs.CredentialsFile", Kind::Text, "JSON with both, or `GOOGLE_APPLICATION_CREDENTIALS`; of type `service_account`"),
    honoured("runners.cache.gcs.BucketName", Kind::Text, "the bucket"),
    honoured("runners.cache.gcs.UniverseDomain", Kind::Text, "domain of the cloud, `googleapis.com` by default"),
    honoured("runners.cache.azure", Kind::Table, "where objects are kept with Azure"),
    honoured("runners.cache.azure.AccountName", Kind::Text, "storage account"),
    honoured("runners.cache.azure.AccountKey", Kind::Text, "never leaves the runner; without one, a workload's or managed identity signs"),
    honoured("runners.cache.azure.ContainerName", Kind::Text, "the container"),
    honoured("runners.cache.azure.StorageDomain", Kind::Text, "`blob.core.windows.net` by default"),
];
