//! Keys of `[runners.cache]`.

use super::{Key, Kind, differs, honoured, ignored};

const NO_CACHE: &str = "caches are kept on S3 or on this machine";

#[rustfmt::skip]
pub(super) const KEYS: [Key; 33] = [
    differs("runners.cache.Type", Kind::Text, "`s3`; with another one caches stay on this machine, and the log says so for each job"),
    honoured("runners.cache.Path", Kind::Text, "start of the names of objects"),
    honoured("runners.cache.Shared", Kind::Switch, "runners share their caches"),
    honoured("runners.cache.MaxUploadedArchiveSize", Kind::Whole, "bytes; larger archives stay on this machine, 0 is no limit"),
    honoured("runners.cache.s3", Kind::Table, "where objects are kept"),
    honoured("runners.cache.s3.ServerAddress", Kind::Text, "`host[:port]`, or AWS"),
    honoured("runners.cache.s3.AccessKey", Kind::Text, "with `SecretKey`: whom requests are signed for"),
    honoured("runners.cache.s3.SecretKey", Kind::Text, "never leaves the runner"),
    honoured("runners.cache.s3.SessionToken", Kind::Text, "of temporary keys"),
    honoured("runners.cache.s3.BucketName", Kind::Text, "the bucket"),
    differs("runners.cache.s3.BucketLocation", Kind::Text, "the bucket's region, or `us-east-1`; gitlab-runner asks AWS"),
    honoured("runners.cache.s3.Insecure", Kind::Switch, "plain HTTP"),
    differs("runners.cache.s3.AuthenticationType", Kind::Text, "`access-key` or `iam`; keys are used if there are some, with or without `ServerAddress`"),
    honoured("runners.cache.s3.ServerSideEncryption", Kind::Text, "`S3`, `KMS` or `DSSE-KMS`"),
    honoured("runners.cache.s3.ServerSideEncryptionKeyID", Kind::Text, "key for `KMS` and `DSSE-KMS`"),
    honoured("runners.cache.s3.DualStack", Kind::Switch, "AWS by IPv6, too; on by default"),
    honoured("runners.cache.s3.PathStyle", Kind::Switch, "whether the bucket is in the path; else in the host name for AWS"),
    honoured("runners.cache.s3.Accelerate", Kind::Switch, "AWS Transfer Acceleration"),
    differs("runners.cache.s3.RoleARN", Kind::Text, "refused: jobs would get credentials; caches stay on this machine"),
    differs("runners.cache.s3.UploadRoleARN", Kind::Text, "refused: jobs would get credentials; caches stay on this machine"),
    ignored("runners.cache.s3.AssumeRoleMaxConcurrency", Kind::Whole, NO_CACHE),
    ignored("runners.cache.s3.DisableAssumeRoleCredentialsCaching", Kind::Switch, NO_CACHE),
    ignored("runners.cache.gcs", Kind::Table, NO_CACHE),
    ignored("runners.cache.gcs.AccessID", Kind::Text, NO_CACHE),
    ignored("runners.cache.gcs.PrivateKey", Kind::Text, NO_CACHE),
    ignored("runners.cache.gcs.CredentialsFile", Kind::Text, NO_CACHE),
    ignored("runners.cache.gcs.BucketName", Kind::Text, NO_CACHE),
    ignored("runners.cache.gcs.UniverseDomain", Kind::Text, NO_CACHE),
    ignored("runners.cache.azure", Kind::Table, NO_CACHE),
    ignored("runners.cache.azure.AccountName", Kind::Text, NO_CACHE),
    ignored("runners.cache.azure.AccountKey", Kind::Text, NO_CACHE),
    ignored("runners.cache.azure.ContainerName", Kind::Text, NO_CACHE),
    ignored("runners.cache.azure.StorageDomain", Kind::Text, NO_CACHE),
];
