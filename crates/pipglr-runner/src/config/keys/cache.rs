//! Keys of `[runners.cache]`.

use super::{Key, Kind, ignored};

const NO_CACHE: &str = "caches are not kept elsewhere";

#[rustfmt::skip]
pub(super) const KEYS: [Key; 33] = [
    ignored("runners.cache.Type", Kind::Text, NO_CACHE),
    ignored("runners.cache.Path", Kind::Text, NO_CACHE),
    ignored("runners.cache.Shared", Kind::Switch, NO_CACHE),
    ignored("runners.cache.MaxUploadedArchiveSize", Kind::Whole, NO_CACHE),
    ignored("runners.cache.s3", Kind::Table, NO_CACHE),
    ignored("runners.cache.s3.ServerAddress", Kind::Text, NO_CACHE),
    ignored("runners.cache.s3.AccessKey", Kind::Text, NO_CACHE),
    ignored("runners.cache.s3.SecretKey", Kind::Text, NO_CACHE),
    ignored("runners.cache.s3.SessionToken", Kind::Text, NO_CACHE),
    ignored("runners.cache.s3.BucketName", Kind::Text, NO_CACHE),
    ignored("runners.cache.s3.BucketLocation", Kind::Text, NO_CACHE),
    ignored("runners.cache.s3.Insecure", Kind::Switch, NO_CACHE),
    ignored("runners.cache.s3.AuthenticationType", Kind::Text, NO_CACHE),
    ignored("runners.cache.s3.ServerSideEncryption", Kind::Text, NO_CACHE),
    ignored("runners.cache.s3.ServerSideEncryptionKeyID", Kind::Text, NO_CACHE),
    ignored("runners.cache.s3.DualStack", Kind::Switch, NO_CACHE),
    ignored("runners.cache.s3.PathStyle", Kind::Switch, NO_CACHE),
    ignored("runners.cache.s3.Accelerate", Kind::Switch, NO_CACHE),
    ignored("runners.cache.s3.RoleARN", Kind::Text, NO_CACHE),
    ignored("runners.cache.s3.UploadRoleARN", Kind::Text, NO_CACHE),
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
