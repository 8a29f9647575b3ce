//! From a job's variables and the runner's configuration to the plan for git. Nothing is run.

use crate::support::SYSTEM_ID;
use pipglr_protocol::Secret;
use pipglr_runner::config::{CustomBuildDirConfig, RunnerConfig};
use pipglr_runner::container_side::helper::{CleanUpPlan, Pauses, Phase, SourcesPlan, Strategy, SubmodulesPlan};
use pipglr_runner::job::plan::{AcceptedJob, ClientIdentity, JobPlan, Seed, lower};
use pipglr_runner::job::{JobError, SlotNumbers};
use pipglr_testkit::gitlab::JobBuilder;
use std::sync::Arc;

pub(crate) const ID: u64 = 71;
/// What all jobs here have for a token.
const TOKEN: &str = "glcbt-64_job71token";

pub(crate) fn job(variables: &[(&str, &str)], change: impl FnOnce(&mut AcceptedJob)) -> AcceptedJob {
    let builder = JobBuilder::new(ID)
        .script(&["true"])
        .variable("CI_PROJECT_PATH", "group/project");
    let builder = variables
        .iter()
        .fold(builder, |builder, (key, value)| builder.variable(key, value));
    let mut job = AcceptedJob {
        seed: Seed::now(),
        payload: Arc::new(serde_json::from_value(builder.into()).unwrap()),
        runner: Arc::new(RunnerConfig {
            url: "https://gitlab.test/".to_owned(),
            ..RunnerConfig::default()
        }),
        slot: SlotNumbers::default(),
        system_id: SYSTEM_ID.to_owned(),
        nested_privileged: true,
        ca_certificates: None,
        registry_auth: Vec::new(),
        operator_certificates: None,
        registries: Vec::new(),
        secrets: Vec::new(),
        client_identity: None,
        correlation_id: "01CORRELATION".to_owned(),
    };
    change(&mut job);
    job
}

fn plan(variables: &[(&str, &str)]) -> JobPlan {
    lower(&job(variables, |_| {})).unwrap()
}

fn sources(plan: &JobPlan) -> &SourcesPlan {
    match plan.prepare_phases.first() {
        Some(Phase::GetSources(sources)) => sources,
        other => panic!("no sources but {other:?}"),
    }
}

fn flags(flags: &[&str]) -> Vec<String> {
    flags.iter().map(|f| (*f).to_owned()).collect()
}

/// What a variable changes in the plan, and the warning it earns.
struct Case {
    name: &'static str,
    variables: &'static [(&'static str, &'static str)],
    change: fn(&mut SourcesPlan),
    warning: &'static str,
}

fn submodules(change: fn(&mut SubmodulesPlan)) -> Option<SubmodulesPlan> {
    let mut plan = SubmodulesPlan {
        depth: 20,
        foreach_clean_flags: Some(flags(&["-ffdx"])),
        ..SubmodulesPlan::default()
    };
    change(&mut plan);
    Some(plan)
}

const CASES: [Case; 25] = [
    Case {
        name: "GIT_STRATEGY fetch",
        variables: &[("GIT_STRATEGY", "fetch")],
        change: |_| {},
        warning: "",
    },
    Case {
        name: "GIT_STRATEGY clone",
        variables: &[("GIT_STRATEGY", "clone")],
        change: |plan| plan.strategy = Strategy::Clone,
        warning: "",
    },
    Case {
        name: "GIT_STRATEGY that is none of these",
        variables: &[("GIT_STRATEGY", "borrow")],
        change: |_| {},
        warning: "GIT_STRATEGY: expected clone, fetch, none or empty, got \"borrow\", using default value: fetch",
    },
    Case {
        name: "GIT_DEPTH is the coordinator's business",
        variables: &[("GIT_DEPTH", "3")],
        change: |_| {},
        warning: "",
    },
    Case {
        name: "GIT_CHECKOUT",
        variables: &[("GIT_CHECKOUT", "false")],
        change: |plan| plan.checkout = false,
        warning: "",
    },
    Case {
        name: "GIT_CHECKOUT that is no bool",
        variables: &[("GIT_CHECKOUT", "no")],
        change: |_| {},
        warning: "GIT_CHECKOUT: expected bool got \"no\", using default value: true",
    },
    Case {
        name: "GIT_CLEAN_FLAGS",
        variables: &[("GIT_CLEAN_FLAGS", " -ffdx  -e cache/ ")],
        change: |plan| plan.clean_flags = Some(flags(&["-ffdx", "-e", "cache/"])),
        warning: "",
    },
    Case {
        name: "GIT_CLEAN_FLAGS none",
        variables: &[("GIT_CLEAN_FLAGS", "none")],
        change: |plan| plan.clean_flags = None,
        warning: "",
    },
    Case {
        name: "GIT_FETCH_EXTRA_FLAGS",
        variables: &[("GIT_FETCH_EXTRA_FLAGS", "--no-tags")],
        change: |plan| plan.fetch_flags = flags(&["--no-tags"]),
        warning: "",
    },
    Case {
        name: "GIT_FETCH_EXTRA_FLAGS none",
        variables: &[("GIT_FETCH_EXTRA_FLAGS", "none")],
        change: |plan| plan.fetch_flags = Vec::new(),
        warning: "",
    },
    Case {
        name: "GIT_CLONE_EXTRA_FLAGS",
        variables: &[
            ("GIT_CLONE_EXTRA_FLAGS", "--no-tags --single-branch"),
            ("GIT_STRATEGY", "clone"),
            ("FF_USE_GIT_NATIVE_CLONE", "true"),
        ],
        change: |plan| {
            plan.strategy = Strategy::Clone;
            plan.native_clone = Some(flags(&["--no-tags", "--single-branch"]));
        },
        warning: "",
    },
    Case {
        name: "GIT_CLONE_EXTRA_FLAGS without native clone",
        variables: &[("GIT_CLONE_EXTRA_FLAGS", "--no-tags"), ("GIT_STRATEGY", "clone")],
        change: |plan| plan.strategy = Strategy::Clone,
        warning: "",
    },
    Case {
        name: "GIT_LFS_SKIP_SMUDGE",
        variables: &[("GIT_LFS_SKIP_SMUDGE", "1")],
        change: |plan| plan.skip_lfs = true,
        warning: "",
    },
    Case {
        name: "GIT_SUBMODULE_STRATEGY none",
        variables: &[("GIT_SUBMODULE_STRATEGY", "none"), ("GIT_SUBMODULE_DEPTH", "1")],
        change: |_| {},
        warning: "",
    },
    Case {
        name: "GIT_SUBMODULE_STRATEGY normal",
        variables: &[("GIT_SUBMODULE_STRATEGY", "normal")],
        change: |plan| plan.submodules = submodules(|_| {}),
        warning: "",
    },
    Case {
        name: "GIT_SUBMODULE_STRATEGY recursive",
        variables: &[("GIT_SUBMODULE_STRATEGY", "recursive")],
        change: |plan| plan.submodules = submodules(|s| s.recursive = true),
        warning: "",
    },
    Case {
        name: "GIT_SUBMODULE_DEPTH",
        variables: &[("GIT_SUBMODULE_STRATEGY", "normal"), ("GIT_SUBMODULE_DEPTH", "1")],
        change: |plan| plan.submodules = submodules(|s| s.depth = 1),
        warning: "",
    },
    Case {
        name: "GIT_SUBMODULE_DEPTH that is no number",
        variables: &[("GIT_SUBMODULE_STRATEGY", "normal"), ("GIT_SUBMODULE_DEPTH", "deep")],
        change: |plan| plan.submodules = submodules(|_| {}),
        warning: "GIT_SUBMODULE_DEPTH: expected int got \"deep\", using default value: 20",
    },
    Case {
        name: "GIT_SUBMODULE_PATHS",
        variables: &[
            ("GIT_SUBMODULE_STRATEGY", "normal"),
            ("GIT_SUBMODULE_PATHS", "libs :(exclude)libs/big"),
        ],
        change: |plan| plan.submodules = submodules(|s| s.paths = flags(&["libs", ":(exclude)libs/big"])),
        warning: "",
    },
    Case {
        name: "GIT_SUBMODULE_UPDATE_FLAGS",
        variables: &[
            ("GIT_SUBMODULE_STRATEGY", "normal"),
            ("GIT_SUBMODULE_UPDATE_FLAGS", "--remote --jobs 4"),
        ],
        change: |plan| plan.submodules = submodules(|s| s.update_flags = flags(&["--remote", "--jobs", "4"])),
        warning: "",
    },
    Case {
        name: "GET_SOURCES_ATTEMPTS",
        variables: &[("GET_SOURCES_ATTEMPTS", "3")],
        change: |plan| plan.attempts = 3,
        warning: "",
    },
    Case {
        name: "GET_SOURCES_ATTEMPTS out of range",
        variables: &[("GET_SOURCES_ATTEMPTS", "11")],
        change: |plan| plan.attempts = 10,
        warning: "GET_SOURCES_ATTEMPTS: number of attempts out of the range [1, 10], clamping to: 10",
    },
    Case {
        name: "FF_USE_GIT_BUNDLE_URIS off",
        variables: &[("FF_USE_GIT_BUNDLE_URIS", "false")],
        change: |plan| plan.access.bundle_uris = false,
        warning: "",
    },
    Case {
        name: "FF_USE_GITALY_CORRELATION_ID off",
        variables: &[("FF_USE_GITALY_CORRELATION_ID", "false")],
        change: |plan| plan.access.correlation_id = String::new(),
        warning: "",
    },
    Case {
        name: "FF_USE_GIT_PROACTIVE_AUTH",
        variables: &[("FF_USE_GIT_PROACTIVE_AUTH", "true")],
        change: |plan| plan.proactive_auth = Some("http.http://gitlab.test.proactiveAuth=basic".to_owned()),
        warning: "",
    },
];

#[test]
fn variables_change_the_plan() {
    let usual = plan(&[]);
    assert_eq!(usual.warnings, Vec::<String>::new());
    for case in CASES {
        let mut expected = sources(&usual).clone();
        (case.change)(&mut expected);
        let plan = plan(case.variables);
        assert_eq!(*sources(&plan), expected, "{}", case.name);
        assert_eq!(plan.warnings.join("\n"), case.warning, "{}", case.name);
    }
}

#[test]
fn a_job_is_fetched_by_default_and_the_volume_is_kept() {
    let plan = plan(&[]);
    let expected = SourcesPlan {
        strategy: Strategy::Fetch,
        project_dir: "/builds/group/project".to_owned(),
        temp_dir: "/builds/group/project.tmp".to_owned(),
        remote_url: "http://gitlab.test/group/project.git".to_owned(),
        access: sources(&plan).access.clone(),
        refspecs: flags(&["+refs/heads/main:refs/remotes/origin/main"]),
        depth: 20,
        sha: "1ecfd275763eff1d6b4844ea3168962458c9f27a".to_owned(),
        reference: "main".to_owned(),
        object_format: "sha1".to_owned(),
        checkout: true,
        clean_flags: Some(flags(&["-ffdx"])),
        clean_config: true,
        trust_directory: true,
        fetch_flags: flags(&["--prune", "--quiet"]),
        user_agent: sources(&plan).user_agent.clone(),
        attempts: 1,
        ..SourcesPlan::default()
    };
    assert_eq!(*sources(&plan), expected);
    assert_eq!(sources(&plan).access.correlation_id, "01CORRELATION");
    assert!(plan.builds.reusable);
    assert_eq!(plan.pauses, Pauses::default());
    assert!(!super::plan_sources::plan(&[("GIT_STRATEGY", "clone")]).builds.reusable);
}

#[test]
fn a_project_that_may_not_be_fetched_is_cloned() {
    let payload = JobBuilder::new(ID)
        .script(&["true"])
        .with("/allow_git_fetch", serde_json::json!(false));
    let job = job(&[], |job| {
        job.payload = Arc::new(serde_json::from_value(payload.into()).unwrap());
    });
    assert_eq!(sources(&lower(&job).unwrap()).strategy, Strategy::Clone);
}

#[test]
fn strategies_without_git_need_no_helper() {
    for (value, strategy, project) in [
        ("none", Strategy::None, "/builds/group/project"),
        ("empty", Strategy::Empty, "/builds/group/project-empty"),
    ] {
        // Neither looks at what is for git only.
        let variables = [("GIT_STRATEGY", value), ("GIT_SUBMODULE_STRATEGY", "nonsense")];
        let plan = plan(&variables);
        assert_eq!((plan.prepare_phases.len(), plan.skipped_sources), (0, Some(strategy)));
        assert_eq!(plan.build.project_dir, project);
        assert!(!plan.builds.reusable);
    }
}

#[test]
fn slots_that_share_a_builds_directory_are_told_apart() {
    for (volumes, shared) in [
        (&[][..], false),
        (&["/builds"], false),
        (&["/srv:/mnt"], false),
        (&["/srv/builds:/builds"], true),
        (&["named:/builds"], true),
        (&["/srv:/$CI_PROJECT_NAMESPACE", "/srv:/${PLACE}"], true),
    ] {
        // The same slot of a project can have any number among all of the runner's.
        let slot = |number, project| {
            let variables = [("CI_PROJECT_NAMESPACE", "mnt"), ("PLACE", "builds")];
            let job = job(&variables, |job| {
                let runner = Arc::make_mut(&mut job.runner);
                runner.docker.volumes = volumes.iter().map(|v| (*v).to_owned()).collect();
                job.slot = SlotNumbers {
                    runner: number,
                    project,
                };
            });
            lower(&job).unwrap().builds.slot
        };
        assert_eq!(slot(0, 0) != slot(1, 1), shared, "{volumes:?}");
        assert_eq!(slot(0, 0), slot(2, 0), "{volumes:?}");
        assert_eq!(slot(0, 0).is_empty(), !shared, "{volumes:?}");
    }
}

#[test]
fn clone_paths_stay_below_the_builds_directory() {
    for (path, expected) in [
        ("/builds/elsewhere", Some("/builds/elsewhere")),
        ("$CI_BUILDS_DIR/a/../$CI_JOB_ID/./go/", Some("/builds/71/go")),
        ("/builds", None),
        ("/builds/../etc", None),
        ("/buildsx/y", None),
        ("relative", None),
        ("/somewhere", None),
    ] {
        let lowered = lower(&job(&[("GIT_CLONE_PATH", path)], |_| {}));
        match (lowered, expected) {
            (Ok(plan), Some(expected)) => {
                assert_eq!(sources(&plan).project_dir, expected);
                assert_eq!(plan.build.project_dir, expected);
                assert_eq!(plan.build.remove_at_end, [format!("{expected}.tmp")]);
                let seen = plan.build.environment.iter().rev().find(|(k, _)| k == "CI_PROJECT_DIR");
                assert_eq!(seen.map(|(_, v)| v.expose()), Some(expected));
            }
            (Err(JobError::Configuration(reason)), None) => {
                let text = format!("the GIT_CLONE_PATH=\"{path}\" has to be within \"/builds\"");
                assert_eq!(reason, text);
            }
            (other, _) => panic!("{path}: {other:?}"),
        }
    }
}

#[test]
fn the_directory_follows_the_address_of_the_repository() {
    for (address, expected) in [
        ("https://gitlab.test/group/sub/project.git", "/builds/group/sub/project"),
        ("https://gitlab.test/project", "/builds/project"),
        ("https://gitlab.test/", "/builds/project-1"),
        ("https://gitlab.test/a/%2e%2e/../../b.git", "/builds/b"),
        ("no address", "/builds/project-1"),
    ] {
        let payload = JobBuilder::new(ID)
            .script(&["true"])
            .with("/git_info/repo_url", serde_json::json!(address));
        let job = job(&[], |job| {
            job.payload = Arc::new(serde_json::from_value(payload.into()).unwrap());
        });
        assert_eq!(lower(&job).unwrap().build.project_dir, expected, "{address}");
    }
}

#[test]
fn clone_paths_can_be_forbidden() {
    let job = job(&[("GIT_CLONE_PATH", "/builds/x")], |job| {
        job.runner = Arc::new(RunnerConfig {
            custom_build_dir: CustomBuildDirConfig { enabled: Some(false) },
            ..(*job.runner).clone()
        });
    });
    let reason = lower(&job).unwrap_err().to_string();
    assert_eq!(
        reason,
        "setting GIT_CLONE_PATH is not allowed, enable `custom_build_dir` feature"
    );
}

#[test]
fn submodule_settings_that_cannot_be_meant_are_refused() {
    for (variables, expected) in [
        (
            vec![("GIT_SUBMODULE_STRATEGY", "all")],
            "unknown GIT_SUBMODULE_STRATEGY \"all\": use none, normal or recursive",
        ),
        (
            vec![
                ("GIT_SUBMODULE_STRATEGY", "normal"),
                ("GIT_SUBMODULE_PATHS", ":(exclude) libs"),
            ],
            "GIT_SUBMODULE_PATHS: `:(exclude)` must be followed by a path, without a space between them",
        ),
    ] {
        assert_eq!(lower(&job(&variables, |_| {})).unwrap_err().to_string(), expected);
    }
}

/// Rules as `plain <- with credentials`, the token cut out.
fn rules(plan: &JobPlan) -> Vec<String> {
    let shown = |secret: &Secret| secret.expose().replace(TOKEN, "TOKEN");
    let rules = sources(plan).access.url_rules.iter();
    rules
        .map(|rule| format!("{} <- {}", rule.plain, shown(&rule.with_credentials)))
        .collect()
}

const PROJECT_RULE: &str =
    "http://gitlab.test/group/project.git <- http://gitlab-ci-token:TOKEN@gitlab.test/group/project.git";

#[test]
fn credentials_are_added_on_the_way_for_the_whole_instance() {
    let plan = plan(&[]);
    assert_eq!(
        rules(&plan),
        [
            PROJECT_RULE,
            // The slash keeps the token from a host whose name only begins like this one.
            "https://gitlab.test/ <- https://gitlab-ci-token:TOKEN@gitlab.test/",
            "http://gitlab.test/ <- http://gitlab-ci-token:TOKEN@gitlab.test/",
        ]
    );
    assert_eq!(
        sources(&plan).access.hosts,
        ["http://gitlab.test", "https://gitlab.test"]
    );
}

#[test]
fn force_https_covers_the_ways_to_write_ssh() {
    let https = "https://gitlab-ci-token:TOKEN@gitlab.test/";
    for (variables, expected) in [
        (
            vec![("CI_SERVER_HOST", "gitlab.test")],
            vec![
                format!("git@gitlab.test: <- {https}"),
                format!("ssh://git@gitlab.test/ <- {https}"),
            ],
        ),
        (
            vec![
                ("CI_SERVER_HOST", "gitlab.test"),
                ("CI_SERVER_SHELL_SSH_HOST", "ssh.test"),
                ("CI_SERVER_SHELL_SSH_PORT", "22"),
            ],
            vec![
                format!("git@ssh.test: <- {https}"),
                format!("ssh://git@ssh.test/ <- {https}"),
            ],
        ),
        (
            vec![
                ("CI_SERVER_SHELL_SSH_HOST", "ssh.test"),
                ("CI_SERVER_SHELL_SSH_PORT", "2222"),
            ],
            vec![format!("ssh://git@ssh.test:2222/ <- {https}")],
        ),
        (vec![], vec![]),
    ] {
        let mut all = vec![("GIT_SUBMODULE_FORCE_HTTPS", "true")];
        all.extend(&variables);
        let ssh: Vec<String> = rules(&plan(&all))
            .into_iter()
            .filter(|r| r.contains("git@") || r.starts_with("ssh"))
            .collect();
        assert_eq!(ssh, expected, "{variables:?}");
        assert!(
            !rules(&plan(&variables))
                .iter()
                .any(|r| r.starts_with("ssh") || r.starts_with("git@"))
        );
    }
}

#[test]
fn clone_url_replaces_the_address_gitlab_names() {
    for (clone_url, remote, first_rule) in [
        (
            "https://mirror.test",
            "https://mirror.test/group/project.git",
            "https://mirror.test/group/project.git <- https://gitlab-ci-token:TOKEN@mirror.test/group/project.git",
        ),
        (
            "https://mirror.test/gitlab/",
            "https://mirror.test/gitlab/group/project.git",
            "https://mirror.test/gitlab/group/project.git <- https://gitlab-ci-token:TOKEN@mirror.test/gitlab/group/project.git",
        ),
        (
            "ssh://mirror.test",
            "ssh://git@mirror.test/group/project.git",
            "https://gitlab.test/ <- https://gitlab-ci-token:TOKEN@gitlab.test/",
        ),
        ("mirror.test", "http://gitlab.test/group/project.git", PROJECT_RULE),
    ] {
        let job = job(&[], |job| {
            job.runner = Arc::new(RunnerConfig {
                clone_url: clone_url.to_owned(),
                ..(*job.runner).clone()
            });
        });
        let plan = lower(&job).unwrap();
        assert_eq!(sources(&plan).remote_url, remote, "{clone_url}");
        assert_eq!(rules(&plan)[0], first_rule, "{clone_url}");
    }
}

#[test]
fn without_tokens_in_addresses_a_helper_answers() {
    let on = ("FF_GIT_URLS_WITHOUT_TOKENS", "true");
    let plan = plan(&[on]);
    assert_eq!(rules(&plan), Vec::<String>::new());
    assert!(sources(&plan).access.credential_helper);
    let text = format!("{:?}", sources(&plan));
    assert!(!text.contains(TOKEN));
    let seen = |key: &str| {
        let found = plan.build.environment.iter().rev().find(|(k, _)| k == key);
        found.map(|(_, v)| v.expose().to_owned())
    };
    assert_eq!(seen("GIT_CONFIG_KEY_0").as_deref(), Some("include.path"));
    let file = "/builds/group/project.tmp/.gitlab-runner.ext.conf";
    assert_eq!(seen("GIT_CONFIG_VALUE_0").as_deref(), Some(file));
    // Where no helper writes the file, the build container does.
    let plan = super::plan_sources::plan(&[on, ("GIT_STRATEGY", "none")]);
    let content = plan
        .build
        .files
        .iter()
        .find(|f| f.path == file)
        .unwrap()
        .content
        .expose();
    assert!(content.contains("[credential \"https://gitlab.test\"]"), "{content}");
}

#[test]
fn certificates_reach_git_as_files() {
    let job = job(&[], |job| {
        job.ca_certificates = Some("ca pem".to_owned());
        job.client_identity = Some(ClientIdentity {
            certificate: "cert pem".to_owned(),
            key: Secret::new("key pem"),
        });
    });
    let plan = lower(&job).unwrap();
    let tls = &sources(&plan).access.tls;
    let temp = "/builds/group/project.tmp";
    for (path, name, content) in [
        (&tls.ca_file, "CI_SERVER_TLS_CA_FILE", "ca pem"),
        (&tls.cert_file, "CI_SERVER_TLS_CERT_FILE", "cert pem"),
        (&tls.key_file, "CI_SERVER_TLS_KEY_FILE", "key pem"),
    ] {
        let expected = format!("{temp}/{name}");
        assert_eq!(path.as_deref(), Some(expected.as_str()));
        let file = plan.build.files.iter().find(|f| f.path == expected).unwrap();
        assert_eq!(file.content.expose(), content);
    }
}

#[test]
fn the_operator_may_leave_what_jobs_configured_and_who_owns_it_alone() {
    let job = job(&[], |job| {
        job.runner = Arc::new(RunnerConfig {
            clean_git_config: Some(false),
            safe_directory_checkout: Some(false),
            ..(*job.runner).clone()
        });
    });
    let plan = lower(&job).unwrap();
    assert!(!sources(&plan).clean_config && !sources(&plan).trust_directory);
}

#[test]
fn hooks_of_operator_and_project_are_nested() {
    let payload = JobBuilder::new(ID).script(&["true"]).with(
        "/hooks",
        serde_json::json!([
            {"name": "pre_get_sources_script", "script": ["echo project before"]},
            {"name": "post_get_sources_script", "script": ["echo project after"]},
        ]),
    );
    let job = job(&[], |job| {
        job.payload = Arc::new(serde_json::from_value(payload.into()).unwrap());
        job.runner = Arc::new(RunnerConfig {
            pre_get_sources_script: "echo operator before".to_owned(),
            post_get_sources_script: "echo operator after".to_owned(),
            ..(*job.runner).clone()
        });
    });
    let plan = lower(&job).unwrap();
    let order = |scripts: &[String], words: [&str; 2]| {
        assert_eq!(scripts.len(), 2);
        for (script, word) in scripts.iter().zip(words) {
            assert!(script.contains(&format!("echo {word}")), "{word}: {script}");
            assert!(script.contains("$ echo"), "commands are shown: {script}");
        }
    };
    order(&sources(&plan).pre_scripts, ["operator before", "project before"]);
    order(&sources(&plan).post_scripts, ["project after", "operator after"]);
}

#[test]
fn pauses_between_tries_are_the_flags_choice() {
    let plan = plan(&[("FF_USE_EXPONENTIAL_BACKOFF_STAGE_RETRY", "false")]);
    let seconds = |pauses: Pauses| [1, 2, 3, 9].map(|attempt| pauses.after(attempt).as_secs());
    assert_eq!(seconds(plan.pauses), [1, 2, 4, 5]);
    assert_eq!(seconds(Pauses::default()), [5, 10, 20, 300]);
}

#[test]
fn the_project_directory_is_tidied_if_the_flag_says_so() {
    assert!(plan(&[]).clean_up.is_none());
    let plan = plan(&[
        ("FF_ENABLE_JOB_CLEANUP", "true"),
        ("GIT_SUBMODULE_STRATEGY", "recursive"),
        ("GIT_CLEAN_FLAGS", "-fd"),
    ]);
    let Some(Phase::CleanUp(clean_up)) = plan.clean_up else {
        panic!("no clean-up");
    };
    let expected = CleanUpPlan {
        strategy: Strategy::Fetch,
        project_dir: "/builds/group/project".to_owned(),
        clean_flags: Some(flags(&["-fd"])),
        submodules: true,
        recursive: true,
    };
    assert_eq!(clean_up, expected);
}
