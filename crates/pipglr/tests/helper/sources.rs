//! Strategies, refspecs, depth, flags, checkout, LFS, hooks, retries and what an earlier job can have left.

use crate::support::{PROJECT, Ran, Repository, Workshop, names_in};
use pipglr_runner::container_side::helper::{SourcesPlan, Strategy};
use std::fs;

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|w| (*w).to_owned()).collect()
}

#[tokio::test]
async fn fetch_makes_a_repository_and_brings_it_up_to_date_the_next_time() {
    let (workshop, repository) = Workshop::with_project().await;
    let first = repository.head();
    let ran = workshop.get(&workshop.plan(&repository)).await;
    let project = workshop.project().display().to_string();
    assert_eq!(
        ran.assert_code(0).text,
        format!(
            "Fetching changes...\nInitialized empty Git repository in {project}/.git/\nCreated fresh repository.\n\
             Checking out {} as detached HEAD (ref is main)...\nSkipping Git submodules setup\n",
            &first[..8]
        )
    );
    repository.commit("second", &[("file", "two\n"), ("dir/new", "new\n")]);
    fs::write(workshop.project().join("file"), "changed by a job\n").unwrap();
    fs::write(workshop.project().join("left"), "by a job\n").unwrap();
    let ran = workshop.get(&workshop.plan(&repository)).await;
    ran.assert_code(0).assert_has(&[
        "Reinitialized existing Git repository in",
        "Removing left\n",
        &format!("Checking out {} as", &repository.head()[..8]),
    ]);
    assert_eq!(fs::read_to_string(workshop.project().join("file")).unwrap(), "two\n");
    assert_eq!(names_in(&workshop.project()), [".git", "dir", "file"]);
    assert_eq!(workshop.git(&["rev-parse", "HEAD"]).trim(), repository.head());
}

#[tokio::test]
async fn clone_starts_from_an_empty_directory() {
    let (workshop, repository) = Workshop::with_project().await;
    fs::create_dir_all(workshop.project().join(".git")).unwrap();
    fs::write(workshop.project().join(".git/planted"), "x").unwrap();
    fs::write(workshop.project().join("left"), "x").unwrap();
    let plan = SourcesPlan {
        strategy: Strategy::Clone,
        clean_flags: None,
        ..workshop.plan(&repository)
    };
    workshop
        .get(&plan)
        .await
        .assert_code(0)
        .assert_has(&["Created fresh repository."]);
    assert_eq!(names_in(&workshop.project()), [".git", "file"]);
    assert!(!workshop.project().join(".git/planted").exists());
}

#[tokio::test]
async fn none_and_empty_run_no_git() {
    let (workshop, repository) = Workshop::with_project().await;
    fs::create_dir_all(workshop.project()).unwrap();
    fs::write(workshop.project().join("kept"), "x").unwrap();
    let plan = |strategy| SourcesPlan {
        strategy,
        ..workshop.plan(&repository)
    };
    let ran = workshop.get(&plan(Strategy::None)).await;
    let skipped = "Skipping Git checkout\nSkipping Git submodules setup\n";
    assert_eq!(
        ran.assert_code(0).text,
        format!("Skipping Git repository setup\n{skipped}")
    );
    assert_eq!(names_in(&workshop.project()), ["kept"]);
    let ran = workshop.get(&plan(Strategy::Empty)).await;
    assert_eq!(
        ran.assert_code(0).text,
        format!("Skipping Git repository setup and creating an empty build directory\n{skipped}")
    );
    assert_eq!(names_in(&workshop.project()), Vec::<String>::new());
    assert_eq!(workshop.server.requests(), []);
}

/// Runs one plan in a workshop of its own whose project has three commits and a tag.
async fn variant(change: impl FnOnce(&mut SourcesPlan)) -> (Workshop, Repository, Ran) {
    let (workshop, repository) = Workshop::with_project().await;
    repository.commit("second", &[("file", "two\n")]);
    repository.git(&["tag", "v1"]);
    repository.git(&["push", "--quiet", "origin", "v1"]);
    repository.commit("third", &[("file", "three\n")]);
    let mut plan = workshop.plan(&repository);
    change(&mut plan);
    let ran = workshop.get(&plan).await;
    (workshop, repository, ran)
}

#[tokio::test]
async fn depth_limits_history_and_its_absence_lifts_the_limit() {
    let (workshop, repository, ran) = variant(|plan| plan.depth = 1).await;
    ran.assert_code(0)
        .assert_has(&["Fetching changes with git depth set to 1...\n"]);
    assert_eq!(workshop.git(&["rev-list", "--count", "HEAD"]).trim(), "1");
    let ran = workshop.get(&workshop.plan(&repository)).await;
    ran.assert_code(0).assert_has(&["Fetching changes...\n"]);
    assert_eq!(workshop.git(&["rev-list", "--count", "HEAD"]).trim(), "3");
    assert!(!workshop.project().join(".git/shallow").exists());
}

#[tokio::test]
async fn refspecs_are_fetched_as_they_are() {
    let (workshop, _, ran) = variant(|plan| {
        plan.refspecs = words(&[
            "+refs/heads/main:refs/remotes/origin/somewhere",
            "+refs/tags/v1:refs/tags/v1",
        ]);
    })
    .await;
    ran.assert_code(0);
    let refs = workshop.git(&["for-each-ref", "--format=%(refname)"]);
    // git updates the branch's usual place, too.
    assert_eq!(
        refs,
        "refs/remotes/origin/main\nrefs/remotes/origin/somewhere\nrefs/tags/v1\n"
    );
}

#[tokio::test]
async fn fetch_flags_replace_the_usual_ones() {
    let (workshop, _, ran) = variant(|plan| plan.fetch_flags = words(&["--no-tags", "--verbose"])).await;
    ran.assert_code(0)
        .assert_has(&["[new branch]      main       -> origin/main"]);
    let tags = workshop.git(&["for-each-ref", "--format=%(refname)", "refs/tags"]);
    assert_eq!(tags, "");
}

#[tokio::test]
async fn no_checkout_leaves_the_work_tree_empty() {
    let (workshop, _, ran) = variant(|plan| plan.checkout = false).await;
    ran.assert_code(0).assert_has(&["Skipping Git checkout\n"]);
    assert_eq!(names_in(&workshop.project()), [".git"]);
}

#[tokio::test]
async fn clean_flags_say_what_stays() {
    let (workshop, repository) = Workshop::with_project().await;
    for (flags, left) in [
        (Some(words(&["-ffdx", "-e", "cache/"])), vec![".git", "cache", "file"]),
        (None, vec![".git", "cache", "file", "left"]),
        (Some(words(&["-ffdx"])), vec![".git", "file"]),
    ] {
        fs::create_dir_all(workshop.project().join("cache")).unwrap();
        fs::write(workshop.project().join("cache/x"), "x").unwrap();
        fs::write(workshop.project().join("left"), "x").unwrap();
        let plan = SourcesPlan {
            clean_flags: flags.clone(),
            ..workshop.plan(&repository)
        };
        workshop.get(&plan).await.assert_code(0);
        assert_eq!(names_in(&workshop.project()), left, "{flags:?}");
    }
}

#[tokio::test]
async fn repositories_of_sha256_are_fetched_and_fetched_again() {
    let workshop = Workshop::open().await;
    let repository = Repository::create(&workshop, PROJECT, "sha256");
    for content in ["one\n", "two\n"] {
        repository.commit(content, &[("file", content)]);
        let plan = SourcesPlan {
            object_format: "sha256".to_owned(),
            ..workshop.plan(&repository)
        };
        workshop.get(&plan).await.assert_code(0);
        assert_eq!(fs::read_to_string(workshop.project().join("file")).unwrap(), content);
        assert_eq!(workshop.git(&["rev-parse", "HEAD"]).trim().len(), 64);
    }
}

#[tokio::test]
async fn what_git_says_is_the_jobs_exit_code() {
    let (_, _, ran) = variant(|plan| plan.sha = "1".repeat(40)).await;
    ran.assert_code(128).assert_has(&["fatal: unable to read tree"]);
    let (_, _, ran) = variant(|plan| plan.refspecs = words(&["+refs/heads/gone:refs/remotes/origin/gone"])).await;
    ran.assert_code(128)
        .assert_has(&["fatal: couldn't find remote ref refs/heads/gone"]);
}

#[tokio::test]
async fn stale_locks_do_not_stop_the_next_job() {
    let (workshop, repository) = Workshop::with_project().await;
    workshop.get(&workshop.plan(&repository)).await.assert_code(0);
    let git_dir = workshop.project().join(".git");
    for lock in [
        "index.lock",
        "shallow.lock",
        "HEAD.lock",
        "config.lock",
        "packed-refs.lock",
        "packed-refs.new",
        "refs/remotes/origin/main.lock",
    ] {
        repository.commit(lock, &[("file", lock)]);
        fs::write(git_dir.join(lock), "").unwrap();
        let plan = SourcesPlan {
            depth: 1,
            ..workshop.plan(&repository)
        };
        workshop.get(&plan).await.assert_code(0);
        assert_eq!(fs::read_to_string(workshop.project().join("file")).unwrap(), lock);
        assert!(!git_dir.join(lock).exists(), "{lock}");
    }
}

#[tokio::test]
async fn what_an_earlier_job_configured_does_not_run() {
    let (workshop, repository) = Workshop::with_project().await;
    workshop.get(&workshop.plan(&repository)).await.assert_code(0);
    let git_dir = workshop.project().join(".git");
    let mark = workshop.directory.path().join("planted-ran");
    let script = format!("#!/bin/sh\ntouch {}\n", mark.display());
    let plant = |path: &std::path::Path| {
        use std::os::unix::fs::PermissionsExt as _;
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &script).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let evil = workshop.directory.path().join("evil");
    plant(&evil);
    plant(&git_dir.join("hooks/post-checkout"));
    plant(&git_dir.join("hooks/reference-transaction"));
    for (key, value) in [
        ("core.fsmonitor", evil.display().to_string()),
        ("core.sshCommand", evil.display().to_string()),
        ("filter.x.smudge", evil.display().to_string()),
        ("filter.x.process", evil.display().to_string()),
    ] {
        workshop.git(&["config", key, &value]);
    }
    fs::create_dir_all(git_dir.join("info")).unwrap();
    fs::write(git_dir.join("info/attributes"), "* filter=x\n").unwrap();
    let _ = fs::remove_file(&mark);
    repository.commit("second", &[("file", "two\n")]);
    workshop.get(&workshop.plan(&repository)).await.assert_code(0);
    assert!(!mark.exists(), "a program an earlier job planted was run");
    assert_eq!(fs::read_to_string(workshop.project().join("file")).unwrap(), "two\n");
}

#[tokio::test]
async fn a_repository_that_leads_elsewhere_is_replaced() {
    let (workshop, repository) = Workshop::with_project().await;
    let elsewhere = workshop.builds().join("elsewhere");
    workshop.get(&workshop.plan(&repository)).await.assert_code(0);
    fs::rename(workshop.project().join(".git"), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, workshop.project().join(".git")).unwrap();
    workshop
        .get(&workshop.plan(&repository))
        .await
        .assert_code(0)
        .assert_has(&["Created fresh repository."]);
    assert!(workshop.project().join(".git").symlink_metadata().unwrap().is_dir());
}

#[tokio::test]
async fn the_second_try_starts_with_an_empty_work_tree_and_the_third_with_nothing() {
    let (workshop, repository) = Workshop::with_project().await;
    workshop.get(&workshop.plan(&repository)).await.assert_code(0);
    fs::write(workshop.project().join(".git/index"), "not an index").unwrap();
    fs::write(workshop.project().join("left"), "x").unwrap();
    let plan = SourcesPlan {
        attempts: 2,
        ..workshop.plan(&repository)
    };
    let ran = workshop.get(&plan).await;
    ran.assert_code(0).assert_has(&[
        "WARNING: Retrying...",
        "Deleting tracked and untracked files...",
        "Reinitialized",
    ]);
    assert_eq!(names_in(&workshop.project()), [".git", "file"]);
    // Objects that are broken stay broken however often git is asked.
    let objects = workshop.project().join(".git/objects");
    fs::remove_dir_all(&objects).unwrap();
    fs::write(&objects, "not a directory").unwrap();
    let plan = SourcesPlan {
        attempts: 3,
        ..workshop.plan(&repository)
    };
    let ran = workshop.get(&plan).await;
    ran.assert_code(0).assert_has(&["Created fresh repository."]);
    assert_eq!(fs::read_to_string(workshop.project().join("file")).unwrap(), "one\n");
}

#[tokio::test]
async fn a_server_that_is_down_for_a_moment_costs_a_try() {
    let (workshop, repository) = Workshop::with_project().await;
    for (failing, attempts, code) in [(1, 1, 128), (1, 2, 0), (3, 4, 0), (3, 3, 128)] {
        workshop.server.fail(failing);
        let plan = SourcesPlan {
            attempts,
            ..workshop.plan(&repository)
        };
        let ran = workshop.get(&plan).await;
        assert_eq!(ran.code, code, "{failing} failures, {attempts} tries:\n{}", ran.text);
        assert_eq!(
            ran.text.matches("WARNING: Retrying...").count(),
            failing.min(attempts as usize - 1)
        );
        workshop.server.fail(0);
    }
}

#[tokio::test]
async fn lfs_content_comes_in_one_go_after_the_checkout() {
    let (workshop, repository) = Workshop::with_project().await;
    let calls = workshop.directory.path().join("lfs-calls");
    workshop.program(
        "git-lfs",
        &format!(
            "echo \"$1 skip=$GIT_LFS_SKIP_SMUDGE\" >> {0}\ntest \"$1\" = pull && echo content > big.bin\nexit 0",
            calls.display()
        ),
    );
    // No LFS in the repository: nobody asks for it.
    workshop.get(&workshop.plan(&repository)).await.assert_code(0);
    assert!(!calls.exists());
    repository.commit(
        "lfs",
        &[
            (".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n"),
            ("big.bin", "pointer\n"),
        ],
    );
    let plan = SourcesPlan {
        skip_lfs: true,
        ..workshop.plan(&repository)
    };
    workshop.get(&plan).await.assert_code(0);
    assert!(!calls.exists(), "GIT_LFS_SKIP_SMUDGE means no LFS");
    workshop.get(&workshop.plan(&repository)).await.assert_code(0);
    assert_eq!(
        fs::read_to_string(&calls).unwrap(),
        "version skip=1\ninstall skip=1\npull skip=1\n"
    );
    assert_eq!(
        fs::read_to_string(workshop.project().join("big.bin")).unwrap(),
        "content\n"
    );
    let config = fs::read_to_string(workshop.project().join(".git/config")).unwrap();
    assert!(
        !config.contains("lfs"),
        "the job's own git need not know LFS:\n{config}"
    );
}

#[tokio::test]
async fn native_clone_is_used_where_git_can_do_it() {
    let (workshop, repository) = Workshop::with_project().await;
    let plan = SourcesPlan {
        strategy: Strategy::Clone,
        native_clone: Some(words(&["--no-tags"])),
        depth: 1,
        ..workshop.plan(&repository)
    };
    let calls = workshop.directory.path().join("git-calls");
    let git = String::from_utf8(
        std::process::Command::new("sh")
            .args(["-c", "command -v git"])
            .output()
            .unwrap()
            .stdout,
    );
    let wrapper = |version: &str| {
        format!(
            "case \"$1\" in version) echo 'git version {version}'; exit;; esac\n\
             for a; do test \"$a\" = clone && echo \"$@\" >> {}; done\nexec {} \"$@\"",
            calls.display(),
            git.clone().unwrap().trim()
        )
    };
    workshop.program("git", &wrapper("2.48.1"));
    workshop
        .get(&plan)
        .await
        .assert_code(0)
        .assert_has(&["Fetching changes with git depth set to 1..."]);
    assert!(!calls.exists());
    workshop.program("git", &wrapper("2.49.0"));
    let ran = workshop.get(&plan).await;
    ran.assert_code(0).assert_has(&[
        "Git version at least \"2.49\"\n",
        "Cloning repository for main with git depth set to 1...\n",
    ]);
    let call = fs::read_to_string(&calls).unwrap();
    let (_, call) = call.trim().split_once("clone ").unwrap();
    assert_eq!(
        call,
        format!(
            "--no-checkout {}/{PROJECT}.git {} --template={}/git-template --depth 1 --branch main --no-tags",
            workshop.server.url(),
            workshop.project().display(),
            workshop.temp().display()
        )
    );
    assert_eq!(names_in(&workshop.project()), [".git", "file"]);
}

#[tokio::test]
async fn hooks_run_around_git() {
    let (workshop, repository) = Workshop::with_project().await;
    let plan = SourcesPlan {
        pre_scripts: words(&["echo before", "test ! -e file"]),
        post_scripts: words(&["cat file", "echo after"]),
        ..workshop.plan(&repository)
    };
    let ran = workshop.get(&plan).await;
    let lines: Vec<&str> = ran.assert_code(0).text.lines().collect();
    assert_eq!(lines[0], "before");
    assert_eq!(lines[lines.len() - 2..], ["one", "after"]);
    for (pre, post, code) in [("exit 3", "true", 3), ("true", "exit 4", 4)] {
        let plan = SourcesPlan {
            pre_scripts: words(&[pre]),
            post_scripts: words(&[post]),
            ..workshop.plan(&repository)
        };
        workshop.get(&plan).await.assert_code(code);
    }
}

#[tokio::test]
async fn files_can_be_changed_by_whoever_the_job_runs_as() {
    use std::os::unix::fs::PermissionsExt as _;
    let (workshop, repository) = Workshop::with_project().await;
    workshop.get(&workshop.plan(&repository)).await.assert_code(0);
    for (name, mode) in [("", 0o777), ("file", 0o666), (".git", 0o777)] {
        let metadata = fs::metadata(workshop.project().join(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{name:?}");
    }
}
