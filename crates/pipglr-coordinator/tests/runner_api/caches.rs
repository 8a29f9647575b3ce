//! Keys of caches in payloads.

use crate::support::World;
use pipglr_ci::model::{Cache, CacheKey, CachePolicy, Job};
use serde_json::{Value, json};
use std::process::Command;

fn cache(key: CacheKey) -> Cache {
    Cache {
        key,
        paths: vec!["v/".to_owned()],
        ..Cache::default()
    }
}

fn files(patterns: &[&str], commits: bool, prefix: Option<&str>) -> Cache {
    cache(CacheKey::Files {
        files: patterns.iter().map(|p| (*p).to_owned()).collect(),
        commits,
        prefix: prefix.map(str::to_owned),
    })
}

fn commit(world: &World, files: &[(&str, &str)]) {
    for (name, content) in files {
        let path = world.repo.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    for arguments in [
        &["add", "."][..],
        &["-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "x"],
    ] {
        let status = Command::new("git").args(arguments).current_dir(&world.repo).status();
        assert!(status.unwrap().success());
    }
}

async fn caches_of(world: &World, caches: Vec<Cache>) -> Value {
    let job = Job {
        name: "one".to_owned(),
        stage: "test".to_owned(),
        script: vec!["true".to_owned()],
        caches,
        ..Job::default()
    };
    world.create(vec![job]).await;
    world.take_and_accept().await.payload["cache"].clone()
}

async fn keys(world: &World, caches: Vec<Cache>) -> Vec<String> {
    let caches = caches_of(world, caches).await;
    let key = |c: &Value| c["key"].as_str().unwrap().to_owned();
    caches.as_array().unwrap().iter().map(key).collect()
}

#[tokio::test]
async fn a_cache_is_passed_on_whole() {
    let world = World::start().await;
    let full = Cache {
        key: CacheKey::Text("$CI_COMMIT_REF_SLUG".to_owned()),
        untracked: true,
        policy: CachePolicy::Variable("$HOW".to_owned()),
        fallback_keys: vec!["main".to_owned()],
        ..cache(CacheKey::default())
    };
    let shared = Cache {
        unprotect: true,
        ..cache(CacheKey::default())
    };
    let without_files = Cache::default();
    assert_eq!(
        caches_of(&world, vec![full, shared, without_files]).await,
        json!([
            {"key": "$CI_COMMIT_REF_SLUG-non_protected", "untracked": true, "policy": "$HOW", "paths": ["v/"],
             "when": "on_success", "fallback_keys": ["main-non_protected"]},
            {"key": "default", "untracked": false, "policy": "pull-push", "paths": ["v/"], "when": "on_success",
             "fallback_keys": []},
        ])
    );
}

#[tokio::test]
async fn keys_follow_the_content_of_files() {
    let world = World::start().await;
    commit(
        &world,
        &[("a.lock", "one\n"), ("deep/b.lock", "two\n"), ("other", "x\n")],
    );
    let wanted = || {
        vec![
            files(&["a.lock"], false, None),
            files(&["a.lock"], false, Some("p")),
            files(&["**/*.lock"], false, None),
            files(&["nowhere"], false, Some("p")),
        ]
    };
    let first = keys(&world, wanted()).await;
    // SHA-1 of the blob's number, as `git hash-object` tells it.
    assert_eq!(first[0], "0-e9c16ed7ea0ce929f64c159f1baadb627240a1dd-non_protected");
    assert_eq!(first[1], first[0].replacen("0-", "p-", 1));
    assert_ne!(first[2][2..], first[0][2..]);
    assert_eq!(first[3], "p-default-non_protected");

    commit(&world, &[("other", "y\n")]);
    assert_eq!(keys(&world, wanted()).await, first, "other files do not matter");
    commit(&world, &[("deep/b.lock", "three\n")]);
    let second = keys(&world, wanted()).await;
    assert_eq!(second[0], first[0]);
    assert_ne!(second[2], first[2]);
}

#[tokio::test]
async fn keys_follow_the_commits_of_files() {
    let world = World::start().await;
    commit(&world, &[("a.lock", "one\n")]);
    let wanted = || vec![files(&["a.lock"], true, None)];
    let first = keys(&world, wanted()).await;
    commit(&world, &[("other", "y\n")]);
    assert_eq!(keys(&world, wanted()).await, first);
    commit(&world, &[("a.lock", "two\n")]);
    assert_ne!(keys(&world, wanted()).await, first);
}
