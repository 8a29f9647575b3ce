//! A world over small repositories and a server on the loopback.

use super::{Outlook, Repository};
use crate::options::Sources;
use crate::project::Project;
use pipglr_ci::{FetchError, Origin, World as _};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

struct Stage {
    directory: TempDir,
    runtime: Runtime,
    repo: PathBuf,
}

fn git(directory: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=Ann", "-c", "user.email=ann@test"])
        .args(args)
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env_remove("GIT_DIR")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A repository with one commit of these files.
fn repository(path: &Path, files: &[(&str, &str)]) {
    std::fs::create_dir_all(path).unwrap();
    git(path, &["init", "--quiet", "--initial-branch=main"]);
    commit(path, files);
}

fn commit(path: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let file = path.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    git(path, &["add", "--all"]);
    git(path, &["commit", "--quiet", "-m", "x"]);
}

impl Stage {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let repo = directory.path().join("repo");
        repository(&repo, &[("a.yml", "a"), ("ci/b.yml", "b"), (".hidden", "")]);
        Self {
            directory,
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap(),
            repo,
        }
    }

    fn world(&self, adjust: impl FnOnce(&mut Outlook)) -> Repository {
        let mut outlook = Outlook {
            mirror: self.repo.clone(),
            project: Project {
                repo: self.repo.clone(),
                path: "group/app".to_owned(),
                default_branch: "main".to_owned(),
                config_path: ".gitlab-ci.yml".to_owned(),
                object_format: "sha1".to_owned(),
                server: None,
                ssh: None,
                is_local: true,
                user_name: String::new(),
                user_email: String::new(),
            },
            checkout: git(&self.repo, &["rev-parse", "HEAD"]),
            changes_since: None,
            overlay: BTreeMap::new(),
            sources: Sources::default(),
            cache: self.directory.path().join("cache"),
            runtime: self.runtime.handle().clone(),
        };
        adjust(&mut outlook);
        Repository::new(outlook)
    }

    /// A server that gives this answer once; its address.
    fn serve(&self, answer: String) -> String {
        let listener = self.runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        self.runtime.spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            assert_ne!(socket.read(&mut request).await.unwrap(), 0);
            socket.write_all(answer.as_bytes()).await.unwrap();
        });
        format!("http://{address}/file.yml")
    }
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn files_and_paths_are_those_of_the_commit() {
    let stage = Stage::new();
    std::fs::write(stage.repo.join("untracked.yml"), "x").unwrap();
    let world = stage.world(|outlook| {
        outlook.overlay.insert("made.yml".to_owned(), "made".to_owned());
    });
    for (path, expected) in [
        ("a.yml", Ok("a")),
        ("ci/b.yml", Ok("b")),
        ("made.yml", Ok("made")),
        ("untracked.yml", Err(FetchError::Missing)),
        ("ci", Err(FetchError::Missing)),
        ("no such\nfile", Err(FetchError::Missing)),
        ("a.yml", Ok("a")),
    ] {
        let read = world.local(&Origin::Project, path);
        assert_eq!(read.as_deref(), expected.as_ref().copied(), "{path}");
    }
    let paths = world.paths(&Origin::Project).unwrap();
    assert_eq!(
        paths.iter().map(String::as_str).collect::<Vec<_>>(),
        [".hidden", "a.yml", "ci/b.yml"]
    );
}

#[test]
fn projects_are_directories_that_stand_for_them() {
    let stage = Stage::new();
    let shared = stage.directory.path().join("shared");
    repository(&shared, &[("t.yml", "one")]);
    git(&shared, &["tag", "v1"]);
    commit(&shared, &[("t.yml", "two")]);
    let world = stage.world(|outlook| {
        outlook
            .sources
            .projects
            .insert("group/shared".to_owned(), shared.clone());
    });
    for (project, reference, expected) in [
        ("group/shared", None, Ok("two")),
        ("group/shared", Some("v1"), Ok("one")),
        ("group/shared", Some("nope"), Err(FetchError::NoReference)),
    ] {
        let read = world
            .project(project, reference)
            .and_then(|origin| world.local(&origin, "t.yml"));
        assert_eq!(read.as_deref(), expected.as_ref().copied(), "{project} {reference:?}");
    }
    let own = world.project("group/app", None).unwrap();
    assert_eq!(world.local(&own, "a.yml").as_deref(), Ok("a"));
    let unknown = world.project("group/other", None);
    assert!(
        matches!(unknown, Err(FetchError::Unavailable(why)) if why.contains("no remote of this repository names a GitLab"))
    );
}

#[test]
fn without_a_network_only_what_is_here_counts() {
    let stage = Stage::new();
    let world = stage.world(|outlook| {
        outlook.sources.offline = true;
        outlook.project.ssh = Some(("gitlab.test".to_owned(), 22));
    });
    for fetched in [
        world.remote("https://gitlab.test/x.yml").map(drop),
        world.template("Go.gitlab-ci.yml").map(drop),
        world.project("group/other", None).map(drop),
    ] {
        assert!(matches!(fetched, Err(FetchError::Unavailable(why)) if why.contains("the network is switched off")));
    }
}

#[test]
fn downloads_are_limited_and_kept() {
    let stage = Stage::new();
    let world = stage.world(|_| {});
    let url = stage.serve(answer("200 OK", "text"));
    assert_eq!(world.remote(&url).as_deref(), Ok("text"));
    let offline = stage.world(|outlook| outlook.sources.offline = true);
    assert_eq!(offline.remote(&url).as_deref(), Ok("text"));
    let url = stage.serve(answer("404 Not Found", ""));
    assert_eq!(world.remote(&url), Err(FetchError::Status(404)));
    let url = stage.serve(answer("200 OK", &"x".repeat((2 << 20) + 1)));
    assert_eq!(
        world.remote(&url),
        Err(FetchError::Unavailable("it is larger than 2 MiB".to_owned()))
    );
}

#[test]
fn templates_are_in_a_directory() {
    let stage = Stage::new();
    let templates = stage.directory.path().join("templates");
    std::fs::create_dir_all(templates.join("Jobs")).unwrap();
    std::fs::write(templates.join("Jobs/Build.gitlab-ci.yml"), "build").unwrap();
    let world = stage.world(|outlook| outlook.sources.templates = Some(templates));
    assert_eq!(world.template("Jobs/Build.gitlab-ci.yml").as_deref(), Ok("build"));
    assert_eq!(world.template("Go.gitlab-ci.yml"), Err(FetchError::Missing));
    assert_eq!(world.template("../repo/a.yml"), Err(FetchError::Missing));
}

#[test]
fn components_are_templates_of_a_project_at_a_version() {
    let stage = Stage::new();
    let catalog = stage.directory.path().join("catalog");
    repository(
        &catalog,
        &[("templates/one.yml", "1.0.0"), ("templates/two/template.yml", "2")],
    );
    git(&catalog, &["tag", "1.0.0"]);
    commit(&catalog, &[("templates/one.yml", "1.1.0"), ("part.yml", "part")]);
    git(&catalog, &["tag", "1.1.0"]);
    let world = stage.world(|outlook| {
        outlook
            .sources
            .projects
            .insert("gitlab.test/group/catalog".to_owned(), catalog.clone());
    });
    for (address, text, version) in [
        ("gitlab.test/group/catalog/one@1.0.0", "1.0.0", "1.0.0"),
        ("gitlab.test/group/catalog/one@1", "1.1.0", "1.1.0"),
        ("gitlab.test/group/catalog/one@~latest", "1.1.0", "1.1.0"),
        ("gitlab.test/group/catalog/two@main", "2", "main"),
    ] {
        let component = world.component(address).unwrap();
        assert_eq!(
            (component.file.text.as_str(), component.version.as_str()),
            (text, version),
            "{address}"
        );
    }
    let component = world.component("gitlab.test/group/catalog/one@1.1.0").unwrap();
    assert_eq!(world.local(&component.file.origin, "part.yml").as_deref(), Ok("part"));
    for (address, error) in [
        ("gitlab.test/group/catalog/three@1.0.0", FetchError::Missing),
        ("gitlab.test/group/catalog/one@9", FetchError::NoReference),
        ("gitlab.test/group/catalog/one", FetchError::NoReference),
    ] {
        assert_eq!(world.component(address), Err(error), "{address}");
    }
}

#[test]
fn changes_are_compared_to_where_the_branches_part() {
    let stage = Stage::new();
    let first = git(&stage.repo, &["rev-parse", "HEAD"]);
    git(&stage.repo, &["switch", "--quiet", "--create", "topic"]);
    commit(&stage.repo, &[("topic.yml", "x")]);
    git(&stage.repo, &["mv", "a.yml", "moved.yml"]);
    git(&stage.repo, &["commit", "--quiet", "-m", "move"]);
    git(&stage.repo, &["switch", "--quiet", "main"]);
    commit(&stage.repo, &[("main.yml", "x")]);
    git(&stage.repo, &["switch", "--quiet", "topic"]);
    let changes = |since: Option<&str>, compare_to: Option<&str>| -> Result<Option<String>, FetchError> {
        let world = stage.world(|outlook| outlook.changes_since = since.map(str::to_owned));
        let changed = world.changed_paths(compare_to)?;
        Ok(changed.map(|paths| paths.to_vec().join(" ")))
    };
    let expected = "a.yml moved.yml topic.yml".to_owned();
    assert_eq!(changes(None, None), Ok(None));
    assert_eq!(changes(Some(&first), None), Ok(Some(expected.clone())));
    assert_eq!(changes(None, Some("main")), Ok(Some(expected)));
    assert_eq!(changes(None, Some("topic")), Ok(Some(String::new())));
    assert_eq!(changes(None, Some("nope")), Err(FetchError::NoReference));
}
