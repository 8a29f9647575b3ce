//! The working tree as it is: what jobs check out, and what stays as it was.

use crate::support::{World, git, git_output};
use pipglr_coordinator::{PipelineOptions, Revision};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;

fn options() -> PipelineOptions {
    PipelineOptions {
        revision: Revision::WorkingTree,
        ..PipelineOptions::default()
    }
}

fn variable<'p>(payload: &'p Value, key: &str) -> &'p str {
    let variables = payload["variables"].as_array().unwrap();
    variables.iter().rfind(|v| v["key"] == key).unwrap()["value"]
        .as_str()
        .unwrap()
}

/// Everything of the repository that a run must not change.
fn untouched(world: &World) -> Vec<String> {
    let status = git_output(&world.repo, &["status", "--porcelain=v2", "--ignored"]).stdout;
    vec![
        String::from_utf8(status).unwrap(),
        git(&world.repo, &["ls-files", "--stage"]),
        git(&world.repo, &["for-each-ref"]),
        git(&world.repo, &["count-objects", "-v"]),
        git(&world.repo, &["stash", "list"]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_new_files_deletions_and_modes_are_in_the_checkout() {
    let world = World::start().await;
    let file = |path: &str| world.repo.join(path);
    std::fs::write(file("gone"), "x\n").unwrap();
    std::fs::write(file(".gitignore"), "ignored\n").unwrap();
    std::fs::write(file(".gitlab-ci.yml"), "old:\n  script: ok\n").unwrap();
    git(&world.repo, &["add", "--all"]);
    git(&world.repo, &["commit", "--quiet", "-m", "more"]);
    std::fs::write(file(".gitlab-ci.yml"), "new:\n  script: ok\n").unwrap();
    std::fs::write(file("file"), "changed\n").unwrap();
    std::fs::write(file("staged"), "staged\n").unwrap();
    git(&world.repo, &["add", "staged"]);
    std::fs::create_dir(file("dir")).unwrap();
    std::fs::write(file("dir/new"), "new\n").unwrap();
    std::fs::set_permissions(file("dir/new"), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("file", file("link")).unwrap();
    std::fs::write(file("ignored"), "secret\n").unwrap();
    std::fs::remove_file(file("gone")).unwrap();
    std::fs::create_dir(file("stray")).unwrap();
    git(&file("stray"), &["init", "--quiet"]);
    git(&file("stray"), &["commit", "--quiet", "--allow-empty", "-m", "x"]);
    let before = untouched(&world);
    let pipeline = world.coordinator.create(&options()).await.unwrap();
    let job = world.take_and_accept().await;
    assert_eq!(job.payload["job_info"]["name"], "new");
    let head = git(&world.repo, &["rev-parse", "HEAD"]);
    assert_eq!(variable(&job.payload, "CI_COMMIT_SHA"), head);
    let checkout = job.payload["git_info"]["sha"].as_str().unwrap();
    assert_ne!(checkout, head);
    assert_eq!(world.coordinator.pipeline(pipeline).unwrap().checkout, checkout);
    let clone = world.directory.path().join("clone");
    std::fs::create_dir(&clone).unwrap();
    git(&clone, &["init", "--quiet"]);
    let url = job.payload["git_info"]["repo_url"].as_str().unwrap();
    git(
        &clone,
        &[
            "fetch",
            "--quiet",
            "--depth=20",
            url,
            &format!("refs/pipelines/{pipeline}"),
        ],
    );
    git(&clone, &["checkout", "--quiet", "FETCH_HEAD"]);
    assert_eq!(git(&clone, &["rev-parse", "HEAD^"]), head);
    let listing = git(&clone, &["ls-tree", "-r", "--format=%(objectmode) %(path)", "HEAD"]);
    assert_eq!(
        listing.lines().collect::<Vec<_>>(),
        [
            "100644 .gitignore",
            "100644 .gitlab-ci.yml",
            "100755 dir/new",
            "100644 file",
            "120000 link",
            "100644 staged",
        ]
    );
    assert_eq!(std::fs::read_to_string(clone.join("file")).unwrap(), "changed\n");
    assert_eq!(untouched(&world), before);
}

#[tokio::test]
async fn a_clean_tree_is_its_commit_and_the_same_changes_are_the_same_commit() {
    let world = World::start().await;
    std::fs::write(world.repo.join(".gitlab-ci.yml"), "a:\n  script: ok\n").unwrap();
    git(&world.repo, &["add", "--all"]);
    git(&world.repo, &["commit", "--quiet", "-m", "config"]);
    let checkout = async || {
        let id = world.coordinator.create(&options()).await.unwrap();
        world.coordinator.pipeline(id).unwrap().checkout
    };
    assert_eq!(checkout().await, git(&world.repo, &["rev-parse", "HEAD"]));
    std::fs::write(world.repo.join("new"), "x\n").unwrap();
    let first = checkout().await;
    assert_eq!(checkout().await, first);
    std::fs::write(world.repo.join("new"), "y\n").unwrap();
    assert_ne!(checkout().await, first);
}

#[tokio::test]
async fn submodules_stay_what_they_are() {
    let world = World::start().await;
    let library = world.directory.path().join("library");
    std::fs::create_dir(&library).unwrap();
    git(&library, &["init", "--quiet"]);
    git(&library, &["commit", "--quiet", "--allow-empty", "-m", "x"]);
    let url = library.to_str().unwrap();
    git(
        &world.repo,
        &[
            "-c",
            "protocol.file.allow=always",
            "submodule",
            "--quiet",
            "add",
            url,
            "lib",
        ],
    );
    std::fs::write(world.repo.join(".gitlab-ci.yml"), "a:\n  script: ok\n").unwrap();
    world.coordinator.create(&options()).await.unwrap();
    let job = world.take().await;
    let sha = job.payload["git_info"]["sha"].as_str().unwrap();
    let mirror = world.directory.path().join("data/git/local/sample.git");
    let listing = git(&mirror, &["ls-tree", "--format=%(objectmode) %(path)", sha]);
    assert!(listing.contains("160000 lib"), "{listing}");
    assert!(listing.contains("100644 .gitmodules"), "{listing}");
}

#[tokio::test]
async fn included_files_are_those_of_the_working_tree() {
    let world = World::start().await;
    std::fs::create_dir(world.repo.join("ci")).unwrap();
    std::fs::write(world.repo.join(".gitlab-ci.yml"), "include: /ci/*.yml\n").unwrap();
    std::fs::write(world.repo.join("ci/one.yml"), "one:\n  script: ok\n").unwrap();
    std::fs::write(world.repo.join("ci/two.yml"), "two:\n  script: ok\n").unwrap();
    let evaluated = world.coordinator.evaluate(&options()).await.unwrap();
    let names: Vec<&str> = evaluated.sources.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(
        names,
        [".gitlab-ci.yml", "ci/one.yml", "ci/two.yml"],
        "{}",
        evaluated.rendered
    );
    assert_eq!(evaluated.pipeline.unwrap().jobs.len(), 2);
    assert!(world.coordinator.pipelines().is_empty());
    std::fs::write(world.repo.join("ci/two.yml"), "two:\n  scrip: ok\n").unwrap();
    let error = world.coordinator.create(&options()).await.unwrap_err();
    assert!(error.to_string().contains("ci/two.yml:2"), "{error}");
}
