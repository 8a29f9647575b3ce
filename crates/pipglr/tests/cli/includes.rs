//! Files of other projects, from a server that speaks git's own protocol, with the user's own credentials.

use crate::support::{Called, called, pipglr};
use pipglr_testkit::git::GitServer;
use pipglr_testkit::working_tree;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const PASSWORD: &str = "glpat-64_of_the_user";

/// A server with projects, a working tree whose remote is there, and a home directory.
struct Stage {
    server: GitServer,
    directory: TempDir,
}

impl Stage {
    async fn new() -> Self {
        let stage = Self {
            server: GitServer::start(PASSWORD).await,
            directory: tempfile::tempdir().unwrap(),
        };
        let home = stage.home();
        std::fs::create_dir(&home).unwrap();
        std::fs::write(home.join(".gitconfig"), "[credential]\n\thelper = store\n").unwrap();
        stage.log_in_with(PASSWORD);
        working_tree::commit(&stage.tree(), &[("README", "x")]);
        git(&stage.tree(), &["remote", "add", "origin", &stage.address("group/app")]);
        stage
    }

    fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    fn tree(&self) -> PathBuf {
        self.directory.path().join("tree")
    }

    fn address(&self, project: &str) -> String {
        format!("{}/{project}.git", self.server.url())
    }

    /// What the user's credential helper answers.
    fn log_in_with(&self, password: &str) {
        let line = format!("http://gitlab-ci-token:{password}@{}\n", self.server.host());
        std::fs::write(self.home().join(".git-credentials"), line).unwrap();
    }

    /// A project on the server; the directory to make commits of it in.
    fn project(&self, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let bare = self.server.root().join(format!("{name}.git"));
        std::fs::create_dir_all(&bare).unwrap();
        git(&bare, &["init", "--quiet", "--bare", "--initial-branch=main"]);
        let tree = self.directory.path().join(name);
        working_tree::commit(&tree, files);
        git(&tree, &["remote", "add", "origin", bare.to_str().unwrap()]);
        push(&tree);
        tree
    }

    async fn ci(&self, configuration: &str, words: &str) -> Called {
        std::fs::write(self.tree().join(".gitlab-ci.yml"), configuration).unwrap();
        let words: Vec<&str> = words.split(' ').collect();
        let mut command = pipglr(&self.tree(), &words);
        command
            .env("HOME", self.home())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin");
        tokio::task::spawn_blocking(move || called(&mut command)).await.unwrap()
    }

    #[track_caller]
    fn assert_told(&self, told: &Called, code: i32, parts: &[&str]) {
        assert_eq!(told.code, code, "{}{}", told.out, told.err);
        for part in parts {
            let part = part.replace("SERVER", &self.server.url());
            assert!(
                told.out.contains(&part),
                "{part:?} is not in:\n{}{}",
                told.out,
                told.err
            );
        }
        for text in [&told.out, &told.err] {
            assert!(!text.contains("glpat-"), "{text}");
        }
    }
}

fn git(directory: &Path, words: &[&str]) -> String {
    let output = Command::new("git").args(words).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "git {words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn push(tree: &Path) {
    git(tree, &["push", "--quiet", "origin", "--all"]);
    git(tree, &["push", "--quiet", "origin", "--tags"]);
}

const SHARED: &str = "shared: { script: [one] }\n";

#[tokio::test(flavor = "multi_thread")]
async fn files_of_other_projects_are_fetched_by_git() {
    let stage = Stage::new().await;
    let tree = stage.project("group/lib", &[("ci/one.yml", SHARED)]);
    git(&tree, &["tag", "v1"]);
    let first = git(&tree, &["rev-parse", "HEAD"]);
    working_tree::commit(&tree, &[("ci/one.yml", "newer: { script: [two] }\n")]);
    push(&tree);
    for (reference, job) in [
        ("", "newer"),
        (", ref: main", "newer"),
        (", ref: v1", "shared"),
        (&format!(", ref: {first}"), "shared"),
        (&format!(", ref: '{}'", &first[..8]), "shared"),
    ] {
        let file = format!("include: [{{ project: group/lib, file: ci/one.yml{reference} }}]\n");
        let told = stage.ci(&file, "ci list").await;
        stage.assert_told(&told, 0, &[job]);
        // What was fetched is kept.
        let asked = stage.server.requests().len();
        let told = stage.ci(&file, "ci list --offline").await;
        stage.assert_told(&told, 0, &[job]);
        assert_eq!(stage.server.requests().len(), asked, "{reference}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn components_are_fetched_by_git() {
    let stage = Stage::new().await;
    let template = "spec: { inputs: { name: } }\n---\n\"$[[ inputs.name ]] 1\": { script: [x] }\n";
    let tree = stage.project("group/parts", &[("templates/unit.yml", template)]);
    git(&tree, &["tag", "1.0.0"]);
    working_tree::commit(&tree, &[("templates/unit.yml", &template.replace(" 1\"", " 2\""))]);
    git(&tree, &["tag", "1.1.0"]);
    push(&tree);
    let host = stage.server.host();
    for (version, job) in [("1.0.0", "a 1"), ("1", "a 2"), ("~latest", "a 2"), ("main", "a 2")] {
        let file = format!("include: [{{ component: '{host}/group/parts/unit@{version}', inputs: {{ name: a }} }}]\n");
        for words in ["ci list", "ci list --offline"] {
            let told = stage.ci(&file, words).await;
            stage.assert_told(&told, 0, &[job]);
        }
    }
    for (address, hint) in [
        ("parts/unit@9.9.9", "the project has no such version"),
        ("parts/other@1", "the file is `templates/NAME.yml`"),
        ("none/unit@1", "SERVER/group/none.git is not there, or not for the user"),
        (
            "none/unit@1.0.0",
            "SERVER/group/none.git is not there, or not for the user",
        ),
    ] {
        let told = stage
            .ci(
                &format!("include: [{{ component: '{host}/group/{address}' }}]\n"),
                "ci lint",
            )
            .await;
        let message =
            format!("error: component '{host}/group/{address}' - content not found\n --> .gitlab-ci.yml:1:24\n");
        stage.assert_told(&told, 4, &[&message, hint]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_refuses_is_told_at_its_line() {
    let stage = Stage::new().await;
    stage.project("group/lib", &[("ci/one.yml", SHARED)]);
    stage.project("group/secret", &[("one.yml", SHARED)]);
    stage.server.forbid("/group/secret.git");
    let refused = |project: &str| {
        format!(
            "error: Project `{project}` not found or access denied! Make sure any includes in the pipeline configuration \
             are correctly defined.\n --> .gitlab-ci.yml:2:14\n"
        )
    };
    for (entry, message, hint) in [
        (
            "project: group/none",
            refused("group/none"),
            "SERVER/group/none.git is not there, or not for the user that git's credentials are of",
        ),
        (
            "project: group/secret",
            refused("group/secret"),
            "SERVER/group/secret.git may not be read with the credentials that git has for it",
        ),
        (
            "project: group/lib\n    ref: nope",
            "error: Project `group/lib` reference `nope` does not exist!\n --> .gitlab-ci.yml:3:10\n".to_owned(),
            "a ref is a branch, a tag or a commit of that project",
        ),
        (
            "project: group/lib\n    ref: 0123abcd",
            "error: Project `group/lib` reference `0123abcd` does not exist!\n --> .gitlab-ci.yml:3:10\n".to_owned(),
            "a ref is a branch, a tag or a commit of that project",
        ),
    ] {
        let told = stage
            .ci(&format!("include:\n  - {entry}\n    file: one.yml\n"), "ci lint")
            .await;
        stage.assert_told(&told, 4, &[&message, hint]);
    }
    let told = stage
        .ci("include:\n  - project: group/lib\n    file: ci/won.yml\n", "ci lint")
        .await;
    let message = "error: Project `group/lib` file `ci/won.yml` does not exist!\n --> .gitlab-ci.yml:3:11\n";
    stage.assert_told(&told, 4, &[message, "did you mean `ci/one.yml`?"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_credentials_or_wrong_ones_is_told_so() {
    let stage = Stage::new().await;
    stage.project("group/lib", &[("one.yml", SHARED)]);
    let file = "include:\n  - project: group/lib\n    file: one.yml\n";
    let message = "error: Project `group/lib` not found or access denied!";
    stage.log_in_with("glpat-of_somebody_else");
    let told = stage.ci(file, "ci lint").await;
    let hint = "SERVER/group/lib.git does not take the credentials that git has for it";
    stage.assert_told(&told, 4, &[message, " --> .gitlab-ci.yml:2:14\n", hint]);
    std::fs::write(stage.home().join(".git-credentials"), "").unwrap();
    let told = stage.ci(file, "ci lint").await;
    let hint = "`git ls-remote SERVER/group/lib.git` has to work without a question";
    stage.assert_told(&told, 4, &[message, " --> .gitlab-ci.yml:2:14\n", hint]);
    let told = stage.ci(file, "ci lint --offline").await;
    let hint = "group/lib was not fetched before, and the network is switched off";
    stage.assert_told(&told, 4, &[message, " --> .gitlab-ci.yml:2:14\n", hint]);
}
