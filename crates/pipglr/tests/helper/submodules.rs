//! Submodules: strategies, depth, paths, flags, kept ones, broken ones, hijacked ones.

use crate::support::{PROJECT, Repository, Workshop, names_in};
use pipglr_runner::container_side::helper::{SourcesPlan, SubmodulesPlan};
use std::fs;
use std::path::Path;

/// A project with submodule `libs/a`, which has submodule `inner`, and submodule `b`; relative and absolute addresses.
async fn nested() -> (Workshop, Repository, [Repository; 3]) {
    let (workshop, repository) = Workshop::with_project().await;
    let inner = workshop.repository("group/inner");
    inner.commit("inner", &[("deep", "deep 1\n")]);
    let a = workshop.repository("group/a");
    a.commit("a", &[("a", "a 1\n")]);
    a.commit("a again", &[("a", "a 2\n")]);
    a.add_submodule(&inner, "inner", "../inner.git");
    let b = workshop.repository("other/b");
    b.commit("b", &[("b", "b 1\n")]);
    repository.add_submodule(&a, "libs/a", "../a.git");
    repository.add_submodule(&b, "b", &format!("{}/other/b.git", workshop.server.url()));
    (workshop, repository, [a, b, inner])
}

fn plan(workshop: &Workshop, repository: &Repository, submodules: SubmodulesPlan) -> SourcesPlan {
    SourcesPlan {
        submodules: Some(submodules),
        ..workshop.plan(repository)
    }
}

fn read(workshop: &Workshop, path: &str) -> Option<String> {
    fs::read_to_string(workshop.project().join(path)).ok()
}

#[tokio::test]
async fn normal_takes_the_first_level_and_recursive_all() {
    let (workshop, repository, _) = nested().await;
    let ran = workshop
        .get(&plan(&workshop, &repository, Workshop::submodules(false)))
        .await;
    ran.assert_code(0).assert_has(&[
        "Updating/initializing submodules...\n",
        "Updated submodules\n",
        "Configuring submodules to use parent git credentials...\n",
    ]);
    assert_eq!(read(&workshop, "libs/a/a").as_deref(), Some("a 2\n"));
    assert_eq!(read(&workshop, "b/b").as_deref(), Some("b 1\n"));
    assert_eq!(read(&workshop, "libs/a/inner/deep"), None);
    let ran = workshop
        .get(&plan(&workshop, &repository, Workshop::submodules(true)))
        .await;
    ran.assert_code(0)
        .assert_has(&["Updating/initializing submodules recursively...\n"]);
    assert_eq!(read(&workshop, "libs/a/inner/deep").as_deref(), Some("deep 1\n"));
}

#[tokio::test]
async fn kept_submodules_follow_the_commit_and_are_cleaned() {
    let (workshop, repository, [a, b, inner]) = nested().await;
    let recursive = || plan(&workshop, &repository, Workshop::submodules(true));
    workshop.get(&recursive()).await.assert_code(0);
    inner.commit("more", &[("deep", "deep 2\n")]);
    a.git(&["update-index", "--cacheinfo", &format!("160000,{},inner", inner.head())]);
    a.commit("more", &[("a", "a 3\n")]);
    b.commit("more", &[("b", "b 2\n")]);
    for (module, path) in [(&a, "libs/a"), (&b, "b")] {
        repository.git(&[
            "update-index",
            "--cacheinfo",
            &format!("160000,{},{path}", module.head()),
        ]);
    }
    repository.git(&["commit", "--quiet", "-m", "update"]);
    repository.git(&["push", "--quiet", "origin", "HEAD:main"]);
    for left in ["libs/a/left", "libs/a/inner/left", "b/left"] {
        fs::write(workshop.project().join(left), "x").unwrap();
    }
    fs::write(workshop.project().join("b/b"), "changed\n").unwrap();
    workshop.get(&recursive()).await.assert_code(0);
    let contents = ["libs/a/a", "b/b", "libs/a/inner/deep"].map(|path| read(&workshop, path).unwrap());
    assert_eq!(contents, ["a 3\n", "b 2\n", "deep 2\n"]);
    for left in ["libs/a/left", "libs/a/inner/left", "b/left"] {
        assert!(!workshop.project().join(left).exists(), "{left}");
    }
}

#[tokio::test]
async fn depth_paths_and_flags_are_handed_on() {
    let (workshop, repository, _) = nested().await;
    let submodules = SubmodulesPlan {
        paths: vec!["libs".to_owned()],
        depth: 1,
        update_flags: vec!["--jobs".to_owned(), "2".to_owned()],
        ..Workshop::submodules(false)
    };
    let ran = workshop.get(&plan(&workshop, &repository, submodules)).await;
    ran.assert_code(0)
        .assert_has(&["Updating/initializing submodules with git depth set to 1...\n"]);
    assert_eq!(read(&workshop, "b/b"), None);
    let count = workshop.git(&["-C", "libs/a", "rev-list", "--count", "HEAD"]);
    assert_eq!(count.trim(), "1");
    let submodules = SubmodulesPlan {
        paths: vec![":(exclude)libs".to_owned()],
        ..Workshop::submodules(false)
    };
    let ran = workshop.get(&plan(&workshop, &repository, submodules)).await;
    ran.assert_code(0);
    assert_eq!(read(&workshop, "b/b").as_deref(), Some("b 1\n"));
}

#[tokio::test]
async fn remote_branches_are_followed_with_the_flag_for_it() {
    let (workshop, repository, [_, b, _]) = nested().await;
    b.commit("newer than the commit says", &[("b", "b newest\n")]);
    let submodules = SubmodulesPlan {
        update_flags: vec!["--remote".to_owned()],
        paths: vec!["b".to_owned()],
        depth: 1,
        ..Workshop::submodules(false)
    };
    for _ in 0..2 {
        let plan = plan(&workshop, &repository, submodules.clone());
        workshop.get(&plan).await.assert_code(0);
        assert_eq!(read(&workshop, "b/b").as_deref(), Some("b newest\n"));
    }
}

#[tokio::test]
async fn a_first_failure_is_tried_again_at_once() {
    let (workshop, repository, _) = nested().await;
    let recursive = plan(&workshop, &repository, Workshop::submodules(true));
    workshop.get(&recursive).await.assert_code(0);
    // git itself asks once more before it gives a submodule up.
    workshop.server.fail_on("/other/b.git", 2);
    fs::remove_dir_all(workshop.project().join(".git/modules/b")).unwrap();
    fs::remove_dir_all(workshop.project().join("b")).unwrap();
    let ran = workshop.get(&recursive).await;
    ran.assert_code(0)
        .assert_has(&["Updating submodules failed. Retrying...\n"])
        .assert_lacks("Updated submodules");
    assert_eq!(read(&workshop, "b/b").as_deref(), Some("b 1\n"));
}

#[tokio::test]
async fn stale_locks_in_submodules_do_not_stop_the_next_job() {
    let (workshop, repository, [_, b, _]) = nested().await;
    let recursive = || plan(&workshop, &repository, Workshop::submodules(true));
    workshop.get(&recursive()).await.assert_code(0);
    let modules = workshop.project().join(".git/modules");
    for dir in ["libs/a", "libs/a/modules/inner", "b"] {
        for lock in ["index.lock", "shallow.lock", "HEAD.lock", "config.lock"] {
            fs::write(modules.join(dir).join(lock), "").unwrap();
        }
    }
    b.commit("more", &[("b", "b 2\n")]);
    repository.git(&["update-index", "--cacheinfo", &format!("160000,{},b", b.head())]);
    repository.git(&["commit", "--quiet", "-m", "update"]);
    repository.git(&["push", "--quiet", "origin", "HEAD:main"]);
    workshop.get(&recursive()).await.assert_code(0);
    assert_eq!(read(&workshop, "b/b").as_deref(), Some("b 2\n"));
}

#[tokio::test]
async fn a_half_made_submodule_is_made_again_by_the_next_try() {
    let (workshop, repository, _) = nested().await;
    let recursive = SourcesPlan {
        attempts: 2,
        ..plan(&workshop, &repository, Workshop::submodules(true))
    };
    workshop.get(&recursive).await.assert_code(0);
    let objects = workshop.project().join(".git/modules/b/objects");
    fs::remove_dir_all(&objects).unwrap();
    let ran = workshop.get(&recursive).await;
    ran.assert_code(0).assert_has(&["WARNING: Retrying..."]);
    assert_eq!(read(&workshop, "b/b").as_deref(), Some("b 1\n"));
}

/// A repository in place of a submodule, with a configuration that runs a program as soon as git looks at it.
pub(crate) fn plant(work_tree: &Path, mark: &Path) {
    let git_dir = work_tree.join(".git");
    if git_dir.is_file() {
        fs::remove_file(&git_dir).unwrap();
    }
    plant_repository(&git_dir, work_tree, mark);
}

/// The same with its files at `git_dir`.
fn plant_repository(git_dir: &Path, work_tree: &Path, mark: &Path) {
    for dir in ["objects", "refs"] {
        fs::create_dir_all(git_dir.join(dir)).unwrap();
    }
    fs::write(git_dir.join("HEAD"), "ref: refs/heads/main\n").unwrap();
    let evil = work_tree.join("evil");
    fs::write(&evil, format!("#!/bin/sh\ntouch {}\n", mark.display())).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(&evil, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(
        git_dir.join("config"),
        format!(
            "[core]\n\trepositoryformatversion = 0\n\tfsmonitor = {0}\n\tsshCommand = {0}\n[alias]\n\tx = !{0}\n",
            evil.display()
        ),
    )
    .unwrap();
}

#[tokio::test]
async fn a_repository_planted_in_place_of_a_submodule_is_not_obeyed() {
    let (workshop, repository, _) = nested().await;
    let recursive = || plan(&workshop, &repository, Workshop::submodules(true));
    workshop.get(&recursive()).await.assert_code(0);
    let mark = workshop.directory.path().join("planted-ran");
    plant(&workshop.project().join("b"), &mark);
    plant(&workshop.project().join("libs/a/inner"), &mark);
    let kept = workshop.project().join(".git/modules/libs/a/config");
    let text = fs::read_to_string(&kept).unwrap();
    let evil = workshop.project().join("b/evil").display().to_string();
    fs::write(&kept, format!("{text}[core]\n\tfsmonitor = {evil}\n")).unwrap();
    workshop.get(&recursive()).await.assert_code(0);
    assert!(!mark.exists(), "a program an earlier job planted was run");
    assert_eq!(names_in(&workshop.project().join("b")), [".git", "b"]);
    assert_eq!(read(&workshop, "libs/a/inner/deep").as_deref(), Some("deep 1\n"));
    assert!(workshop.project().join("b/.git").is_file());
}

#[tokio::test]
async fn a_submodule_that_leads_to_another_repository_is_made_again() {
    for (name, place, linked) in [
        ("in a submodule's repository", ".git/modules/b/objects/evil", false),
        (
            "through a link in a submodule's repository",
            ".git/modules/b/objects/evil",
            true,
        ),
        ("in a submodule's repository that is gone", ".git/modules/c", true),
        ("in the repository itself", ".git/objects/evil", false),
    ] {
        let (workshop, repository, _) = nested().await;
        let recursive = || plan(&workshop, &repository, Workshop::submodules(true));
        workshop.get(&recursive()).await.assert_code(0);
        let mark = workshop.directory.path().join("planted-ran");
        let work_tree = workshop.project().join("b");
        let target = workshop.project().join(place);
        let elsewhere = workshop.builds().join("elsewhere");
        plant_repository(if linked { &elsewhere } else { &target }, &work_tree, &mark);
        if linked {
            std::os::unix::fs::symlink(&elsewhere, &target).unwrap();
        }
        fs::write(work_tree.join(".git"), format!("gitdir: ../{place}\n")).unwrap();
        workshop.get(&recursive()).await.assert_code(0);
        assert!(!mark.exists(), "{name}: a program an earlier job planted was run");
        assert_eq!(names_in(&work_tree), [".git", "b"], "{name}");
        let link = fs::read_to_string(work_tree.join(".git")).unwrap();
        assert_eq!(link, "gitdir: ../.git/modules/b\n", "{name}");
    }
}

#[tokio::test]
async fn a_repository_planted_below_the_submodules_that_are_wanted_is_not_obeyed() {
    let (workshop, repository, _) = nested().await;
    let wanted = |recursive| plan(&workshop, &repository, Workshop::submodules(recursive));
    workshop.get(&wanted(true)).await.assert_code(0);
    let mark = workshop.directory.path().join("planted-ran");
    plant(&workshop.project().join("libs/a/inner"), &mark);
    workshop.get(&wanted(false)).await.assert_code(0);
    assert!(!mark.exists(), "a program an earlier job planted was run");
    assert!(!workshop.project().join("libs/a/inner/.git").exists());
}

#[tokio::test]
async fn nothing_is_removed_through_a_link_on_the_way_to_a_submodule() {
    let (workshop, repository, _) = nested().await;
    let kept = || SourcesPlan {
        clean_flags: None,
        ..plan(&workshop, &repository, Workshop::submodules(true))
    };
    workshop.get(&kept()).await.assert_code(0);
    let elsewhere = workshop.directory.path().join("elsewhere");
    fs::create_dir_all(elsewhere.join("a/.git")).unwrap();
    let libs = workshop.project().join("libs");
    fs::remove_dir_all(&libs).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &libs).unwrap();
    workshop.get(&kept()).await.assert_code(0);
    assert_eq!(names_in(&elsewhere.join("a")), [".git"]);
    assert_eq!(read(&workshop, "libs/a/inner/deep").as_deref(), Some("deep 1\n"));
    assert!(!libs.is_symlink());
}

#[tokio::test]
async fn submodules_of_sha256_are_kept_too() {
    let workshop = Workshop::open().await;
    let b = Repository::create(&workshop, "other/b", "sha256");
    b.commit("b", &[("b", "b 1\n")]);
    let repository = Repository::create(&workshop, PROJECT, "sha256");
    repository.commit("first", &[("file", "one\n")]);
    repository.add_submodule(&b, "b", "../../other/b.git");
    for _ in 0..2 {
        let plan = SourcesPlan {
            object_format: "sha256".to_owned(),
            ..plan(&workshop, &repository, Workshop::submodules(true))
        };
        workshop.get(&plan).await.assert_code(0);
        assert_eq!(read(&workshop, "b/b").as_deref(), Some("b 1\n"));
    }
}
