//! A project, its caches, and the helper on them.

use pipglr_protocol::Secret;
use pipglr_runner::container_side::helper::{
    ArchiveEntry, ArchivePlan, CacheSource, CacheTarget, HelperPlan, Phase, RestoreEntry, RestorePlan,
};
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A project directory and a directory for caches.
pub(crate) struct Place {
    pub(crate) root: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("project")).unwrap();
        Self { root }
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.root.path().join("project")
    }

    pub(crate) fn archive(&self, key: &str) -> PathBuf {
        self.root.path().join("cache").join(key).join("cache.zip")
    }

    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.project().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.project().join(path)).ok()
    }

    pub(crate) fn empty_project(&self) {
        fs::remove_dir_all(self.project()).unwrap();
        fs::create_dir(self.project()).unwrap();
    }

    pub(crate) fn text(&self, path: &Path) -> String {
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn target(&self, key: &str) -> CacheTarget {
        CacheTarget {
            key: key.to_owned(),
            archive: self.text(&self.archive(key)),
            ..CacheTarget::default()
        }
    }

    pub(crate) fn source(&self, key: &str) -> CacheSource {
        CacheSource {
            key: key.to_owned(),
            archive: self.text(&self.archive(key)),
            ..CacheSource::default()
        }
    }

    pub(crate) fn archive_plan(&self, target: CacheTarget, paths: &[&str]) -> ArchivePlan {
        ArchivePlan {
            stage: "archive_cache".to_owned(),
            project_dir: self.text(&self.project()),
            entries: vec![ArchiveEntry {
                target: Some(target),
                paths: paths.iter().map(|p| (*p).to_owned()).collect(),
                ..ArchiveEntry::default()
            }],
            request_timeout: 60,
            ..ArchivePlan::default()
        }
    }

    pub(crate) fn keep(&self, target: CacheTarget, paths: &[&str]) -> Vec<String> {
        self.run(Phase::ArchiveCache(self.archive_plan(target, paths)))
    }

    pub(crate) fn restore(&self, sources: Vec<CacheSource>) -> Vec<String> {
        self.run(Phase::RestoreCache(self.restore_plan(sources)))
    }

    pub(crate) fn restore_plan(&self, sources: Vec<CacheSource>) -> RestorePlan {
        RestorePlan {
            project_dir: self.text(&self.project()),
            entries: vec![RestoreEntry {
                sources,
                ..RestoreEntry::default()
            }],
            attempts: 1,
            request_timeout: 60,
            ca: None,
        }
    }

    /// Runs the helper, which must succeed, and gives its output without colours and markers.
    pub(crate) fn run(&self, phase: Phase) -> Vec<String> {
        let plan = HelperPlan {
            nonce: "n".to_owned(),
            environment: vec![("DIRECTORY".to_owned(), Secret::new("vendor"))],
            phases: vec![phase],
            ..HelperPlan::default()
        };
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_pipglr"))
            .arg("helper")
            .env_remove("http_proxy")
            .stdin(Stdio::piped())
            .stdout(writer.try_clone().unwrap())
            .stderr(writer)
            .spawn()
            .unwrap();
        let mut line = serde_json::to_vec(&plan).unwrap();
        line.push(b'\n');
        child.stdin.take().unwrap().write_all(&line).unwrap();
        let mut output = String::new();
        reader.read_to_string(&mut output).unwrap();
        assert!(child.wait().unwrap().success(), "{output}");
        let plain = output.replace("\x1b[0;m", "").replace("\x1b[32;1m", "+ ");
        let plain = plain.replace("\x1b[0;33m", "! ").replace("\x1b[31;1m", "!! ");
        let root = self.root.path().display().to_string();
        plain
            .lines()
            .filter(|l| !l.starts_with('\x1e'))
            .map(|l| l.replace(&root, "ROOT"))
            .collect()
    }
}

pub(crate) const NO_URL_DOWN: &str = "No URL provided, cache will not be downloaded from shared cache server. \
                           Instead a local version of cache will be extracted.";
pub(crate) const NO_URL_UP: &str =
    "No URL provided, cache will not be uploaded to shared cache server. Cache will be stored only locally.";
