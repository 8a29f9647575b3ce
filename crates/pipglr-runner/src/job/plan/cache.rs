//! Which caches a job restores and keeps: keys, policies, places.
//!
//! Compat: gitlab-runner shells/abstract.go `cacheExtractor`, `archiveCache`, `newCacheConfig`; cache/cache.go.

use super::cache_key::{Key, cache_key, fallback_key};
use super::cache_place::{CacheMount, CachePlace};
use super::{AcceptedJob, AllVariables, is_kept, settings};
use crate::cache_storage::CacheStorage;
use crate::container_side::helper::{
    ArchiveEntry, ArchivePlan, CacheSource, CacheTarget, Notice, Phase, RestoreEntry, RestorePlan,
};
use crate::job::JobError;
use pipglr_protocol::payload::Cache;

/// Minutes one transfer may take unless `CACHE_REQUEST_TIMEOUT` says otherwise.
const REQUEST_TIMEOUT: u64 = 10;

/// Directions of a cache: `policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Policy {
    pull: bool,
    push: bool,
}

/// Lowers the caches of one job.
pub(super) struct Caches<'a> {
    pub(super) job: &'a AcceptedJob,
    pub(super) all: &'a AllVariables,
    pub(super) place: &'a CachePlace,
}

impl Caches<'_> {
    /// The phase that restores them, if the job has any.
    ///
    /// # Errors
    /// A policy is none.
    pub(super) fn restore(&self, warnings: &mut Vec<String>) -> Result<Option<Phase>, JobError> {
        let entries = self
            .wanted()
            .map(|cache| self.restore_entry(cache))
            .collect::<Result<Vec<_>, _>>()?;
        if entries.is_empty() {
            return Ok(None);
        }
        Ok(Some(Phase::RestoreCache(RestorePlan {
            project_dir: self.all.directories.project.clone(),
            entries,
            attempts: settings::attempts(&self.all.variables, "RESTORE_CACHE_ATTEMPTS", warnings),
            request_timeout: self.request_timeout(),
            ca: self.job.ca_certificates.clone(),
        })))
    }

    /// The phase that keeps them after a success or a failure, if any is to be kept then.
    ///
    /// # Errors
    /// A policy is none.
    pub(super) fn archive(&self, success: bool) -> Result<Option<Phase>, JobError> {
        let entries = self
            .wanted()
            .filter(|cache| is_kept(&cache.when, success))
            .map(|cache| self.archive_entry(cache))
            .collect::<Result<Vec<_>, _>>()?;
        if entries.is_empty() {
            return Ok(None);
        }
        let stage = if success {
            "archive_cache"
        } else {
            "archive_cache_on_failure"
        };
        let get = |key: &str| self.all.variables.get(key).unwrap_or_default();
        Ok(Some(Phase::ArchiveCache(ArchivePlan {
            stage: stage.to_owned(),
            project_dir: self.all.directories.project.clone(),
            entries,
            format: get("CACHE_COMPRESSION_FORMAT"),
            compression: get("CACHE_COMPRESSION_LEVEL"),
            max_upload_bytes: u64::try_from(self.job.runner.cache.max_uploaded_archive_size).unwrap_or(0),
            request_timeout: self.request_timeout(),
            ca: self.job.ca_certificates.clone(),
        })))
    }

    /// What helper containers need mounted.
    pub(super) fn mount(&self) -> Option<CacheMount> {
        self.wanted().next().and_then(|_| self.place.mount.clone())
    }

    /// Where they are kept besides this machine.
    pub(super) fn storage(&self) -> Option<CacheStorage> {
        let config = &self.job.runner.cache;
        let wanted = !config.kind.is_empty() && self.wanted().next().is_some();
        wanted.then(|| CacheStorage {
            config: config.clone(),
            lifetime: super::timeout(&self.job.payload),
            ca: self.job.ca_certificates.clone(),
        })
    }

    /// Entries that name files.
    fn wanted(&self) -> impl Iterator<Item = &Cache> {
        let named = |cache: &&Cache| !cache.paths.is_empty() || cache.untracked;
        self.job.payload.cache.iter().filter(named)
    }

    fn restore_entry(&self, cache: &Cache) -> Result<RestoreEntry, JobError> {
        let mut entry = RestoreEntry::default();
        let Some(key) = self.key(cache, &mut entry.notices) else {
            entry.notices.push(Notice::Info(
                "Skipping cache extraction due to empty cache key".to_owned(),
            ));
            return Ok(entry);
        };
        if !self.policy(cache, &key)?.pull {
            let text = format!("Not downloading cache {} due to policy", key.human);
            entry.notices.push(Notice::Info(text));
            return Ok(entry);
        }
        let mut keys = vec![key];
        for raw in &cache.fallback_keys {
            keys.extend(cache_key(
                &self.all.variables.expand(raw),
                self.hashed(),
                &mut entry.notices,
            ));
        }
        keys.extend(fallback_key(self.all, self.hashed(), &mut entry.notices));
        entry.sources = keys
            .into_iter()
            .map(|key| CacheSource {
                archive: self.place.archive(&key),
                object: self.place.object(&key),
                download: None,
                key: key.human,
            })
            .collect();
        if self.all.flags.is_on("FF_CLEAN_UP_FAILED_CACHE_EXTRACT") {
            entry.remove_after_failure.clone_from(&cache.paths);
        }
        Ok(entry)
    }

    fn archive_entry(&self, cache: &Cache) -> Result<ArchiveEntry, JobError> {
        let mut entry = ArchiveEntry::default();
        let Some(key) = self.key(cache, &mut entry.notices) else {
            entry.notices.push(Notice::Info(
                "Skipping cache archiving due to empty cache key".to_owned(),
            ));
            return Ok(entry);
        };
        if !self.policy(cache, &key)?.push {
            let text = format!("Not uploading cache {} due to policy", key.human);
            entry.notices.push(Notice::Info(text));
            return Ok(entry);
        }
        entry.target = Some(CacheTarget {
            archive: self.place.archive(&key),
            temporary: self.place.temporary,
            object: self.place.object(&key),
            exists: None,
            upload: None,
            key: key.human,
        });
        entry.paths.clone_from(&cache.paths);
        entry.untracked = cache.untracked;
        Ok(entry)
    }

    fn key(&self, cache: &Cache, notices: &mut Vec<Notice>) -> Option<Key> {
        let raw = if cache.key.is_empty() {
            let payload = &self.job.payload;
            format!("{}/{}", payload.job_info.name, payload.git_info.reference)
        } else {
            self.all.variables.expand(&cache.key)
        };
        cache_key(&raw, self.hashed(), notices)
    }

    fn policy(&self, cache: &Cache, key: &Key) -> Result<Policy, JobError> {
        let (pull, push) = match self.all.variables.expand(&cache.policy).as_str() {
            "" | "pull-push" => (true, true),
            "pull" => (true, false),
            "push" => (false, true),
            other => {
                let text = format!("unknown cache policy {other} for {}", key.human);
                return Err(JobError::Configuration(text));
            }
        };
        Ok(Policy { pull, push })
    }

    fn hashed(&self) -> bool {
        self.all.flags.is_on("FF_HASH_CACHE_KEYS")
    }

    fn request_timeout(&self) -> u64 {
        let minutes = self.all.variables.get("CACHE_REQUEST_TIMEOUT").unwrap_or_default();
        60 * minutes
            .parse()
            .ok()
            .filter(|&m| m > 0)
            .unwrap_or(REQUEST_TIMEOUT)
            .min(24 * 60)
    }
}
