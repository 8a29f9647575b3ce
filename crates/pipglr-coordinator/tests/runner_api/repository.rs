//! git over HTTP with a job's token, and what pipelines are created for.

use crate::support::{Taken, World, git, git_output, job};
use pipglr_ci::model::Pipeline;
use pipglr_coordinator::{Coordinator, Error, Revision, ServeOptions};
use std::path::{Path, PathBuf};

/// git is a blocking program; the coordinator needs the test's threads meanwhile.
async fn client(directory: &Path, args: &[&str]) -> std::process::Output {
    let (directory, args) = (
        directory.to_owned(),
        args.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>(),
    );
    tokio::task::spawn_blocking(move || git_output(&directory, &args.iter().map(String::as_str).collect::<Vec<_>>()))
        .await
        .unwrap()
}

async fn succeed(directory: &Path, args: &[&str]) -> String {
    let output = client(directory, args).await;
    assert!(
        output.status.success(),
        "git {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn repo_url(job: &Taken) -> &str {
    job.payload["git_info"]["repo_url"].as_str().unwrap()
}

async fn running_job(world: &World) -> Taken {
    world.create(vec![job("build", "a")]).await;
    world.take_and_accept().await
}

fn checkout(world: &World) -> PathBuf {
    world.directory.path().join("checkout")
}

#[tokio::test]
async fn a_running_job_can_clone() {
    let world = World::start().await;
    let job = running_job(&world).await;
    succeed(
        world.directory.path(),
        &["clone", "--quiet", repo_url(&job), "checkout"],
    )
    .await;
    assert_eq!(std::fs::read_to_string(checkout(&world).join("file")).unwrap(), "3\n");
    let log = succeed(&checkout(&world), &["log", "--format=%s"]).await;
    assert_eq!(log, "commit 3\ncommit 2\ncommit 1");
}

#[tokio::test]
async fn the_payloads_refspecs_can_be_fetched_shallowly() {
    let world = World::start().await;
    let job = running_job(&world).await;
    let info = &job.payload["git_info"];
    let into = checkout(&world);
    succeed(world.directory.path(), &["init", "--quiet", "checkout"]).await;
    let mut args = vec!["fetch", "--quiet", "--depth", "2", repo_url(&job)];
    args.extend(info["refspecs"].as_array().unwrap().iter().map(|s| s.as_str().unwrap()));
    succeed(&into, &args).await;
    let sha = info["sha"].as_str().unwrap();
    assert_eq!(
        succeed(&into, &["rev-parse", "refs/pipelines/1", "refs/remotes/origin/main"]).await,
        format!("{sha}\n{sha}")
    );
    assert_eq!(succeed(&into, &["rev-list", "--count", sha]).await, "2");
}

#[tokio::test]
async fn a_reachable_commit_can_be_fetched_by_its_name() {
    let world = World::start().await;
    let job = running_job(&world).await;
    let first = git(&world.repo, &["rev-parse", "HEAD~2"]);
    succeed(world.directory.path(), &["init", "--quiet", "checkout"]).await;
    succeed(
        &checkout(&world),
        &["fetch", "--quiet", "--depth", "1", repo_url(&job), &first],
    )
    .await;
    assert_eq!(succeed(&checkout(&world), &["rev-parse", "FETCH_HEAD"]).await, first);
}

#[tokio::test]
async fn only_tokens_of_running_jobs_open_the_repository() {
    let world = World::start().await;
    world.create(vec![job("build", "a")]).await;
    let job = world.take().await;
    let advertise = |user: &str, token: &str| {
        let url = format!("{}/local/sample.git/info/refs?service=git-upload-pack", world.base);
        world.client.get(url).basic_auth(user, Some(token)).send()
    };
    assert_eq!(advertise("gitlab-ci-token", &job.token).await.unwrap().status(), 401);
    world.put(&job, "running").await;
    assert_eq!(advertise("gitlab-ci-token", &job.token).await.unwrap().status(), 200);
    assert_eq!(advertise("root", &job.token).await.unwrap().status(), 401);
    let refused = advertise("gitlab-ci-token", "glcbt-wrong").await.unwrap();
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.headers()["www-authenticate"], "Basic realm=\"GitLab\"");
    let anonymous = format!("{}/local/sample.git", world.base);
    assert!(
        !client(world.directory.path(), &["ls-remote", &anonymous])
            .await
            .status
            .success()
    );
    world.put(&job, "success").await;
    assert_eq!(advertise("gitlab-ci-token", &job.token).await.unwrap().status(), 401);
}

#[tokio::test]
async fn pushing_and_other_paths_are_refused() {
    let world = World::start().await;
    let job = running_job(&world).await;
    for (path, status) in [
        ("local/sample.git/info/refs?service=git-receive-pack", 403),
        ("local/sample.git/info/refs", 404),
        ("local/sample.git/HEAD", 404),
        ("local/sample.git/objects/info/alternates", 404),
        ("local/other.git/info/refs?service=git-upload-pack", 404),
    ] {
        let call = world.client.get(format!("{}/{path}", world.base));
        let response = call
            .basic_auth("gitlab-ci-token", Some(&job.token))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), status, "{path}");
    }
    let pushed = client(&world.repo, &["push", repo_url(&job), "HEAD:refs/heads/new"]).await;
    assert!(!pushed.status.success());
}

#[tokio::test]
async fn the_users_repository_is_not_written_to() {
    let world = World::start().await;
    let before = git(&world.repo, &["for-each-ref"]);
    let job = running_job(&world).await;
    succeed(
        world.directory.path(),
        &["clone", "--quiet", repo_url(&job), "checkout"],
    )
    .await;
    assert_eq!(git(&world.repo, &["for-each-ref"]), before);
    assert_eq!(git(&world.repo, &["status", "--porcelain"]), "");
}

#[tokio::test]
async fn refs_follow_the_users_repository() {
    let world = World::start().await;
    world.create(vec![job("build", "a")]).await;
    git(&world.repo, &["branch", "-D", "topic/one"]);
    git(&world.repo, &["branch", "topic"]);
    git(&world.repo, &["commit", "--quiet", "--allow-empty", "-m", "commit 4"]);
    world.create(vec![job("build", "b")]).await;
    let job = world.take_and_accept().await;
    let listing = succeed(world.directory.path(), &["ls-remote", "--heads", repo_url(&job)]).await;
    let names: Vec<&str> = listing.lines().map(|l| l.split_once('\t').unwrap().1).collect();
    assert_eq!(names, ["refs/heads/main", "refs/heads/topic"]);
    let head = git(&world.repo, &["rev-parse", "HEAD"]);
    assert!(listing.contains(&format!("{head}\trefs/heads/main")), "{listing}");
}

/// Does what a runner does to get the sources.
async fn get_sources(world: &World, job: &Taken) {
    let info = &job.payload["git_info"];
    let into = world.directory.path().join(format!("checkout-{}", job.id));
    succeed(world.directory.path(), &["init", "--quiet", into.to_str().unwrap()]).await;
    let mut args = vec!["fetch", "--quiet", "--depth", "1", repo_url(job)];
    args.extend(info["refspecs"].as_array().unwrap().iter().map(|s| s.as_str().unwrap()));
    succeed(&into, &args).await;
    succeed(&into, &["checkout", "--quiet", info["sha"].as_str().unwrap()]).await;
}

#[tokio::test]
async fn pipelines_run_for_branches_tags_and_commits() {
    let world = World::start().await;
    let commit = git(&world.repo, &["rev-parse", "HEAD~1"]);
    git(&world.repo, &["checkout", "--quiet", "--detach", "HEAD~1"]);
    let short = &commit[..8];
    let named = |name: &str| Revision::Named(name.to_owned());
    for (revision, name, variable, ref_type) in [
        (named("topic/one"), "topic/one", "CI_COMMIT_BRANCH", "branch"),
        (named("refs/heads/main"), "main", "CI_COMMIT_BRANCH", "branch"),
        (named("v1"), "v1", "CI_COMMIT_TAG", "tag"),
        (named("refs/tags/light"), "light", "CI_COMMIT_TAG", "tag"),
        (named(&commit), short, "", "branch"),
        (Revision::Head, short, "", "branch"),
    ] {
        let jobs = vec![job("build", "a")];
        let pipeline = Pipeline {
            stages: vec!["build".to_owned()],
            jobs,
            ..Pipeline::default()
        };
        world.coordinator.start_pipeline(&revision, &pipeline).await.unwrap();
        let taken = world.take_and_accept().await;
        let info = &taken.payload["git_info"];
        assert_eq!((&info["ref"], &info["ref_type"]), (&name.into(), &ref_type.into()));
        let variables = taken.payload["variables"].as_array().unwrap();
        let set: Vec<&str> = variables.iter().map(|v| v["key"].as_str().unwrap()).collect();
        for key in ["CI_COMMIT_BRANCH", "CI_COMMIT_TAG"] {
            assert_eq!(set.contains(&key), key == variable, "{key} {name}");
        }
        get_sources(&world, &taken).await;
    }
}

#[tokio::test]
async fn unknown_revisions_are_named() {
    let world = World::start().await;
    let pipeline = Pipeline {
        stages: vec!["build".to_owned()],
        jobs: vec![job("build", "a")],
        ..Pipeline::default()
    };
    for name in ["nowhere", "--all", "refs/heads/gone"] {
        let error = world
            .coordinator
            .start_pipeline(&Revision::Named(name.to_owned()), &pipeline)
            .await;
        assert!(matches!(error, Err(Error::UnknownRevision { revision }) if revision == name));
    }
}

#[tokio::test]
async fn commit_facts_come_from_git() {
    let world = World::start().await;
    let job = running_job(&world).await;
    let variables = job.payload["variables"].as_array().unwrap();
    let value = |key: &str| {
        variables.iter().find(|v| v["key"] == key).unwrap()["value"]
            .as_str()
            .unwrap()
    };
    let shown = |format: &str| git(&world.repo, &["log", "-1", &format!("--format={format}")]);
    assert_eq!(value("CI_COMMIT_SHA"), shown("%H"));
    assert_eq!(value("CI_COMMIT_AUTHOR"), "Ann <ann@test>");
    assert_eq!(value("CI_COMMIT_TIMESTAMP"), shown("%cI"));
    assert_eq!(value("CI_COMMIT_TITLE"), "commit 3");
    assert_eq!(value("CI_COMMIT_DESCRIPTION"), "body 3");
    assert_eq!(value("CI_COMMIT_MESSAGE"), "commit 3\n\nbody 3\n");
    assert_eq!(value("CI_DEFAULT_BRANCH"), "main");
    assert_eq!(value("CI_PROJECT_PATH"), "local/sample");
}

#[tokio::test]
async fn the_configuration_is_read_from_the_commit() {
    let world = World::start().await;
    let missing = world.coordinator.create_pipeline(&Revision::Head).await;
    assert!(matches!(missing, Err(Error::ConfigMissing { path, .. }) if path == ".gitlab-ci.yml"));
    let config = world.repo.join(".gitlab-ci.yml");
    std::fs::write(&config, "compile:\n  script: make\n").unwrap();
    // A file that is not committed does not count.
    assert!(world.coordinator.create_pipeline(&Revision::Head).await.is_err());
    git(&world.repo, &["add", ".gitlab-ci.yml"]);
    git(&world.repo, &["commit", "--quiet", "-m", "configure"]);
    let id = world.coordinator.create_pipeline(&Revision::Head).await.unwrap();
    let record = world.coordinator.pipeline(id).unwrap();
    assert_eq!(
        record.jobs.iter().map(|j| j.name.as_str()).collect::<Vec<_>>(),
        ["compile"]
    );
    std::fs::write(&config, "compile: [bad\n").unwrap();
    git(&world.repo, &["commit", "--quiet", "-am", "break"]);
    let invalid = world.coordinator.create_pipeline(&Revision::Head).await;
    assert!(matches!(invalid, Err(Error::InvalidConfig { rendered, .. }) if !rendered.is_empty()));
}

#[tokio::test]
async fn a_shallow_working_tree_can_be_served() {
    let world = World::start().await;
    let source = format!("file://{}", world.repo.display());
    succeed(
        world.directory.path(),
        &["clone", "--quiet", "--depth", "1", &source, "shallow"],
    )
    .await;
    let repo = world.directory.path().join("shallow");
    let shallow = World::start_with(|options| options.repo = repo).await;
    let job = running_job(&shallow).await;
    succeed(
        shallow.directory.path(),
        &["clone", "--quiet", repo_url(&job), "checkout"],
    )
    .await;
    assert_eq!(succeed(&checkout(&shallow), &["log", "--format=%s"]).await, "commit 3");
}

#[tokio::test]
async fn a_directory_without_git_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let options = ServeOptions::new(directory.path(), directory.path().join("data"), "http://127.0.0.1:1");
    assert!(matches!(Coordinator::open(options).await, Err(Error::Git { .. })));
}
