//! A place to work for a helper process, and repositories for it to fetch.

use pipglr_protocol::Secret;
use pipglr_runner::container_side::helper::{
    GitAccess, HelperPlan, Pauses, Phase, SourcesPlan, Strategy, SubmodulesPlan, UrlRule,
};
use pipglr_testkit::git::GitServer;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;

/// The password of the git server: what must not be found anywhere afterwards.
pub(crate) const TOKEN: &str = "glcbt-64_the-jobs-own-token";
/// The project on the server and in the builds directory.
pub(crate) const PROJECT: &str = "group/project";

/// What a helper process did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    /// Both streams, stdout first, without colours and markers.
    pub(crate) text: String,
}

impl Ran {
    #[track_caller]
    pub(crate) fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "{}", self.text);
        self
    }

    #[track_caller]
    pub(crate) fn assert_has(&self, parts: &[&str]) -> &Self {
        for part in parts {
            assert!(self.text.contains(part), "{part:?} is not in:\n{}", self.text);
        }
        self
    }

    #[track_caller]
    pub(crate) fn assert_lacks(&self, part: &str) -> &Self {
        assert!(!self.text.contains(part), "{part:?} is in:\n{}", self.text);
        self
    }
}

/// A builds directory, a home directory and a git server.
pub(crate) struct Workshop {
    pub(crate) directory: TempDir,
    pub(crate) server: GitServer,
    /// Further environment of the job.
    pub(crate) environment: Vec<(String, String)>,
    /// Searched for programs before everything else.
    pub(crate) programs: PathBuf,
}

impl Workshop {
    pub(crate) async fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["builds", "home", "programs"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        Self {
            server: GitServer::start(TOKEN).await,
            programs: directory.path().join("programs"),
            directory,
            environment: Vec::new(),
        }
    }

    /// With a project on the server that has one commit with `file`.
    pub(crate) async fn with_project() -> (Self, Repository) {
        let workshop = Self::open().await;
        let repository = workshop.repository(PROJECT);
        repository.commit("first", &[("file", "one\n")]);
        (workshop, repository)
    }

    pub(crate) fn builds(&self) -> PathBuf {
        self.directory.path().join("builds")
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.builds().join(PROJECT)
    }

    pub(crate) fn temp(&self) -> PathBuf {
        self.builds().join(format!("{PROJECT}.tmp"))
    }

    /// A repository on the server, with a work tree to make commits in.
    pub(crate) fn repository(&self, path: &str) -> Repository {
        Repository::create(self, path, "sha1")
    }

    /// The plan for the latest commit of the project, as the engine makes it for `GIT_STRATEGY: fetch`.
    pub(crate) fn plan(&self, repository: &Repository) -> SourcesPlan {
        let with = |url: &str| url.replacen("http://", &format!("http://gitlab-ci-token:{TOKEN}@"), 1);
        let remote = format!("{}/{PROJECT}.git", self.server.url());
        let base = format!("{}/", self.server.url());
        let rule = |plain: &str| UrlRule {
            plain: plain.to_owned(),
            with_credentials: Secret::new(with(plain)),
        };
        SourcesPlan {
            strategy: Strategy::Fetch,
            project_dir: self.project().display().to_string(),
            temp_dir: self.temp().display().to_string(),
            access: GitAccess {
                hosts: vec![self.server.url()],
                url_rules: vec![rule(&remote), rule(&base)],
                bundle_uris: true,
                ..GitAccess::default()
            },
            remote_url: remote,
            refspecs: vec!["+refs/heads/main:refs/remotes/origin/main".to_owned()],
            depth: 0,
            sha: repository.head(),
            reference: "main".to_owned(),
            object_format: "sha1".to_owned(),
            checkout: true,
            clean_flags: Some(vec!["-ffdx".to_owned()]),
            clean_config: true,
            trust_directory: true,
            fetch_flags: vec!["--prune".to_owned(), "--quiet".to_owned()],
            user_agent: "pipglr test".to_owned(),
            attempts: 1,
            ..SourcesPlan::default()
        }
    }

    pub(crate) fn submodules(recursive: bool) -> SubmodulesPlan {
        SubmodulesPlan {
            recursive,
            foreach_clean_flags: Some(vec!["-ffdx".to_owned()]),
            ..SubmodulesPlan::default()
        }
    }

    /// Fetches the sources; the job ends right away, and its temporary directory with it.
    pub(crate) async fn get(&self, plan: &SourcesPlan) -> Ran {
        let ran = self.get_and_stay(plan).await;
        let temp = Path::new(&plan.temp_dir);
        if temp.exists() {
            std::fs::remove_dir_all(temp).unwrap();
        }
        ran
    }

    /// Fetches the sources; the job is still there.
    pub(crate) async fn get_and_stay(&self, plan: &SourcesPlan) -> Ran {
        self.run(HelperPlan {
            remove_first: vec![plan.temp_dir.clone()],
            builds_dir: self.builds().display().to_string(),
            phases: vec![Phase::GetSources(Box::new(plan.clone()))],
            ..self.helper_plan()
        })
        .await
    }

    pub(crate) fn helper_plan(&self) -> HelperPlan {
        let environment = self.environment.iter();
        HelperPlan {
            nonce: "nonce".to_owned(),
            environment: environment
                .map(|(key, value)| (key.clone(), Secret::new(value.clone())))
                .collect(),
            pauses: Pauses {
                first_ms: 1,
                longest_ms: 1,
            },
            ..HelperPlan::default()
        }
    }

    /// Runs a plan to its end.
    pub(crate) async fn run(&self, plan: HelperPlan) -> Ran {
        let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_pipglr"))
            .arg("helper")
            .env_clear()
            .env("PATH", self.path())
            .env("HOME", self.directory.path().join("home"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = serde_json::to_vec(&plan).unwrap();
        line.push(b'\n');
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&line).await.unwrap();
        drop(stdin);
        let output = child.wait_with_output().await.unwrap();
        let text = [output.stdout, output.stderr].concat();
        Ran {
            code: output.status.code().unwrap(),
            text: readable(&String::from_utf8_lossy(&text)),
        }
    }

    fn path(&self) -> String {
        format!("{}:{}", self.programs.display(), std::env::var("PATH").unwrap())
    }

    /// Puts a shell script on the path of helper processes.
    pub(crate) fn program(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.programs.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs git as a script of the job would, in the project directory.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(&self.project(), self.directory.path(), arguments)
    }
}

/// A bare repository on the server and a work tree it is pushed from.
pub(crate) struct Repository {
    work_tree: PathBuf,
    home: PathBuf,
}

impl Repository {
    pub(crate) fn create(workshop: &Workshop, path: &str, format: &str) -> Self {
        let home = workshop.directory.path().to_owned();
        let bare = workshop.server.root().join(format!("{path}.git"));
        let work_tree = home.join("authors").join(path);
        let format = format!("--object-format={format}");
        for (directory, bare) in [(&bare, true), (&work_tree, false)] {
            std::fs::create_dir_all(directory).unwrap();
            let mut arguments = vec!["init", "--quiet", "--initial-branch=main", &format];
            if bare {
                arguments.push("--bare");
            }
            git(directory, &home, &arguments);
        }
        git(
            &work_tree,
            &home,
            &["remote", "add", "origin", &bare.display().to_string()],
        );
        Self { work_tree, home }
    }

    /// Writes files, commits and pushes.
    pub(crate) fn commit(&self, message: &str, files: &[(&str, &str)]) {
        for (name, content) in files {
            let path = self.work_tree.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
            self.git(&["add", name]);
        }
        self.git(&["commit", "--quiet", "-m", message]);
        self.git(&["push", "--quiet", "origin", "HEAD:main"]);
    }

    /// Adds another repository of the server as submodule `path` with `url` written down.
    pub(crate) fn add_submodule(&self, other: &Self, path: &str, url: &str) {
        let head = other.head();
        let modules = self.work_tree.join(".gitmodules");
        let mut text = std::fs::read_to_string(&modules).unwrap_or_default();
        text.push_str(&format!("[submodule \"{path}\"]\n\tpath = {path}\n\turl = {url}\n"));
        std::fs::write(&modules, text).unwrap();
        self.git(&["add", ".gitmodules"]);
        self.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{head},{path}")]);
        self.git(&["commit", "--quiet", "-m", "submodule"]);
        self.git(&["push", "--quiet", "origin", "HEAD:main"]);
    }

    pub(crate) fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(&self.work_tree, &self.home, arguments)
    }
}

/// Runs git for the test itself.
#[track_caller]
fn git(directory: &Path, home: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "protocol.file.allow=always"])
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs([("GIT_AUTHOR_NAME", "a"), ("GIT_AUTHOR_EMAIL", "a@test")])
        .envs([("GIT_COMMITTER_NAME", "a"), ("GIT_COMMITTER_EMAIL", "a@test")])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Takes colours and stage markers out.
fn readable(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("\x1b[") {
        plain.push_str(&rest[..at]);
        let end = rest[at + 2..].find(|c: char| c.is_ascii_alphabetic()).unwrap();
        rest = &rest[at + 2 + end + 1..];
    }
    plain.push_str(rest);
    plain.split_inclusive('\n').filter(|l| !l.starts_with('\x1e')).collect()
}

/// Every file below a directory with its content.
pub(crate) fn files_below(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files.extend(files_below(&entry.path()));
        } else if kind.is_file() {
            files.push((entry.path(), std::fs::read(entry.path()).unwrap()));
        }
    }
    files
}

/// Names in a directory, sorted.
pub(crate) fn names_in(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
