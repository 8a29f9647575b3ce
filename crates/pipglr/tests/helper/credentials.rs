//! Where the job's token goes, and where it must never be found.

use crate::support::{PROJECT, TOKEN, Workshop, files_below};
use pipglr_protocol::Secret;
use pipglr_runner::container_side::helper::{GitAccess, GitTls, HelperPlan, Phase, SourcesPlan, UrlRule};
use pipglr_runner::container_side::init::FileVariable;
use std::fs;
use std::path::Path;

#[track_caller]
fn assert_no_token_below(directory: &Path) {
    let with: Vec<_> = files_below(directory)
        .into_iter()
        .filter(|(_, content)| content.windows(TOKEN.len()).any(|w| w == TOKEN.as_bytes()))
        .map(|(path, _)| path)
        .collect();
    assert!(with.is_empty(), "the token is in {with:?}");
}

/// The plan of a project with a submodule.
async fn with_submodule() -> (Workshop, SourcesPlan) {
    let (workshop, repository) = Workshop::with_project().await;
    let b = workshop.repository("other/b");
    b.commit("b", &[("b", "b 1\n")]);
    repository.add_submodule(&b, "b", &format!("{}/other/b.git", workshop.server.url()));
    let plan = SourcesPlan {
        submodules: Some(Workshop::submodules(true)),
        depth: 1,
        ..workshop.plan(&repository)
    };
    (workshop, plan)
}

#[tokio::test]
async fn the_token_is_gone_with_the_job() {
    let (workshop, plan) = with_submodule().await;
    workshop.get_and_stay(&plan).await.assert_code(0).assert_lacks(TOKEN);
    assert_no_token_below(&workshop.project());
    assert_no_token_below(&workshop.directory.path().join("home"));
    fs::remove_dir_all(workshop.temp()).unwrap();
    assert_no_token_below(&workshop.builds());
    let refused = workshop.server.requests().iter().filter(|r| !r.authorized).count();
    assert!(refused > 0, "git asks without credentials first: the server is real");
}

// git runs on this thread while the server answers on another.
#[tokio::test(flavor = "multi_thread")]
async fn scripts_can_fetch_while_the_job_is_there() {
    let (workshop, plan) = with_submodule().await;
    workshop.get_and_stay(&plan).await.assert_code(0);
    workshop.git(&["fetch", "origin"]);
    workshop.git(&["-C", "b", "fetch", "origin"]);
    let other = format!("{}/other/b.git", workshop.server.url());
    workshop.git(&["ls-remote", &other]);
}

#[tokio::test]
async fn what_a_job_that_was_cut_off_left_is_removed_wherever_it_was() {
    let (workshop, repository) = Workshop::with_project().await;
    let elsewhere = SourcesPlan {
        project_dir: workshop.builds().join("chosen/place").display().to_string(),
        temp_dir: workshop.builds().join("chosen/place.tmp").display().to_string(),
        ..workshop.plan(&repository)
    };
    workshop.get_and_stay(&elsewhere).await.assert_code(0);
    assert!(Path::new(&elsewhere.temp_dir).exists());
    workshop.get(&workshop.plan(&repository)).await.assert_code(0);
    assert!(!Path::new(&elsewhere.temp_dir).exists());
    assert_no_token_below(&workshop.builds());
}

#[tokio::test]
async fn a_credential_helper_answers_when_addresses_carry_no_token() {
    let (mut workshop, plan) = with_submodule().await;
    let plan = SourcesPlan {
        access: GitAccess {
            url_rules: Vec::new(),
            credential_helper: true,
            ..plan.access
        },
        ..plan
    };
    workshop
        .get(&plan)
        .await
        .assert_code(128)
        .assert_has(&["Authentication failed"]);
    workshop.environment = vec![("CI_JOB_TOKEN".to_owned(), TOKEN.to_owned())];
    workshop.get_and_stay(&plan).await.assert_code(0).assert_lacks(TOKEN);
    // Not even the job's temporary directory knows it.
    assert_no_token_below(&workshop.builds());
}

#[tokio::test]
async fn ssh_addresses_of_the_instance_are_fetched_over_http_if_asked() {
    let (workshop, repository) = Workshop::with_project().await;
    let mut plan = SourcesPlan {
        submodules: Some(Workshop::submodules(false)),
        ..workshop.plan(&repository)
    };
    let with = format!("http://gitlab-ci-token:{TOKEN}@{}/", workshop.server.host());
    for (path, url) in [
        ("b", "git@gitlab.test:other/b.git"),
        ("c", "ssh://git@gitlab.test/other/b.git"),
    ] {
        let b = workshop.repository(&format!("other/{path}"));
        b.commit("b", &[("b", "b 1\n")]);
        repository.add_submodule(&b, path, &url.replace("/b.git", &format!("/{path}.git")));
    }
    plan.sha = repository.head();
    for plain in ["git@gitlab.test:", "ssh://git@gitlab.test/"] {
        plan.access.url_rules.push(UrlRule {
            plain: plain.to_owned(),
            with_credentials: Secret::new(with.clone()),
        });
    }
    workshop.get(&plan).await.assert_code(0);
    for path in ["b/b", "c/b"] {
        assert_eq!(fs::read_to_string(workshop.project().join(path)).unwrap(), "b 1\n");
    }
    assert_no_token_below(&workshop.builds());
}

#[tokio::test]
async fn requests_say_who_asks_and_which_job_for() {
    let (workshop, repository) = Workshop::with_project().await;
    let mut plan = workshop.plan(&repository);
    plan.access.correlation_id = "01ABC".to_owned();
    plan.proactive_auth = Some(format!("http.{}.proactiveAuth=basic", workshop.server.url()));
    let ran = workshop.get(&plan).await;
    ran.assert_code(0).assert_has(&["Gitaly correlation ID: 01ABC\n"]);
    let requests = workshop.server.requests();
    assert!(!requests.is_empty());
    for request in requests {
        assert!(
            request.path.starts_with(&format!("/{PROJECT}.git/")),
            "{}",
            request.path
        );
        assert_eq!(request.header("x-gitaly-correlation-id"), "01ABC");
        assert_eq!(request.header("user-agent"), "pipglr test");
        assert!(
            request.authorized,
            "credentials are sent without being asked for: {}",
            request.path
        );
    }
}

#[tokio::test]
async fn certificates_of_the_instance_are_for_its_host_only() {
    let (workshop, repository) = Workshop::with_project().await;
    let mut plan = workshop.plan(&repository);
    let file = |name: &str| Some(workshop.temp().join(name).display().to_string());
    plan.access.tls = GitTls {
        ca_file: file("CA"),
        cert_file: file("CERT"),
        key_file: file("KEY"),
    };
    let helper = HelperPlan {
        files: ["CA", "CERT", "KEY"]
            .iter()
            .map(|name| FileVariable {
                path: workshop.temp().join(name).display().to_string(),
                content: Secret::new("pem"),
            })
            .collect(),
        phases: vec![Phase::GetSources(Box::new(plan))],
        ..workshop.helper_plan()
    };
    workshop.run(helper).await.assert_code(0);
    for (key, name) in [
        ("http.sslCAInfo", "CA"),
        ("http.sslCert", "CERT"),
        ("http.sslKey", "KEY"),
    ] {
        let here = workshop.git(&["config", "--get-urlmatch", key, &workshop.server.url()]);
        assert_eq!(here.trim(), workshop.temp().join(name).display().to_string());
        let all = workshop.git(&["config", "--includes", "--get-regexp", "^http\\."]);
        assert!(
            all.lines()
                .all(|line| line.starts_with(&format!("http.{}", workshop.server.url()))),
            "{all}"
        );
    }
}

#[tokio::test]
async fn git_asks_nobody_for_a_password() {
    let (workshop, repository) = Workshop::with_project().await;
    let mut plan = workshop.plan(&repository);
    plan.access.url_rules.clear();
    let ran = workshop.get(&plan).await;
    ran.assert_code(128).assert_has(&["fatal: "]);
}
