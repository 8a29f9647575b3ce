//! Volumes: what `volumes` of config.toml becomes, where the sources lie, which names and labels there are.

use crate::support::{Bench, Ran, SYSTEM_ID};
use pipglr_runner::config::DockerConfig;
use pipglr_testkit::gitlab::JobBuilder;
use pipglr_testkit::podman::Image;
use serde_json::{Value, json};

/// A volume of the slot (`KEPT`) or of the job (`OWN`), named after the path it is made for.
fn anonymous(name: &str) -> String {
    let kept = name.starts_with("runner-") && !name.contains("-concurrent-");
    let protected = if name.ends_with("-protected") { " protected" } else { "" };
    let word = if kept { "KEPT" } else { "OWN" };
    if name.contains("-cache-") {
        format!("{word}{protected}")
    } else {
        name.to_owned()
    }
}

/// What is mounted into a container at which place, but for the program and what it needs.
fn mounted(spec: &Value) -> Vec<String> {
    let list = |key: &str| spec[key].as_array().cloned().unwrap_or_default();
    let options = |value: &Value| {
        let given = value.as_array().into_iter().flatten();
        given.fold(String::new(), |all, o| format!("{all} {}", o.as_str().unwrap()))
    };
    let volumes = list("volumes").into_iter().map(|v| {
        let name = anonymous(v["Name"].as_str().unwrap());
        format!("{} = {name}{}", v["Dest"].as_str().unwrap(), options(&v["Options"]))
    });
    let binds = list("mounts")
        .into_iter()
        .filter(|m| m["type"] == "bind" && !m["destination"].as_str().unwrap().starts_with("/.pipglr"))
        .map(|m| {
            let source = m["source"].as_str().unwrap();
            format!(
                "{} = {source}{}",
                m["destination"].as_str().unwrap(),
                options(&m["options"])
            )
        });
    let overlays = list("overlay_volumes").into_iter().map(|v| {
        let source = v["source"].as_str().unwrap();
        format!("{} = {source} O", v["destination"].as_str().unwrap())
    });
    let mut all: Vec<String> = volumes.chain(binds).chain(overlays).collect();
    all.sort();
    all
}

fn job() -> JobBuilder {
    JobBuilder::new(601).script(&["x"]).variable("NAME", "value")
}

async fn run(toml: &str, payload: impl Into<Value>) -> (Bench, Ran) {
    let mut bench = Bench::start().await;
    bench.runner.docker = toml::from_str::<DockerConfig>(toml).unwrap();
    bench.podman.pullable("docker.io/library/redis:7", Image::default());
    let ran = bench.run_payload(payload.into()).await;
    (bench, ran)
}

fn spec(bench: &Bench, role: &str) -> Value {
    bench.podman.record().container(role).unwrap().spec.clone()
}

struct Case {
    name: &'static str,
    toml: &'static str,
    strategy: &'static str,
    /// In the build container.
    mounted: &'static [&'static str],
    project: &'static str,
    /// Made writable for everybody.
    open: &'static [&'static str],
}

const USUAL: &str = "/builds/group/project";
const SHARED: &str = "/builds/fake0runn/0/group/project";

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    let case = |name, toml, strategy, mounted, project, open| Case { name, toml, strategy, mounted, project, open };
    vec![
        case("no volumes", "", "fetch", &["/builds = KEPT"], USUAL, &["/builds"]),
        case("sources of clone", "", "clone", &["/builds = OWN"], USUAL, &["/builds"]),
        case("sources of none", "", "none", &["/builds = OWN"], USUAL, &["/builds"]),
        case("sources of empty", "", "empty", &["/builds = OWN"], USUAL, &["/builds"]),
        case("disable_cache", "volumes = ['/a']\ndisable_cache = true", "fetch", &["/a = OWN", "/builds = OWN"], USUAL, &["/a", "/builds"]),
        case("volume of the slot", "volumes = ['/a', '']", "clone", &["/a = KEPT", "/builds = OWN"], USUAL, &["/a", "/builds"]),
        case("mode of a made-up volume", "volumes = ['/a:ro']", "fetch", &["/a = KEPT", "/builds = KEPT"], USUAL, &["/a", "/builds"]),
        case("host path", "volumes = ['/src:/a:ro,Z,rslave']", "fetch", &["/a = /src ro Z rslave", "/builds = KEPT"], USUAL, &["/builds"]),
        case("named volume", "volumes = ['vol:/a:rw,z']", "fetch", &["/a = vol rw z", "/builds = KEPT"], USUAL, &["/builds"]),
        case("overlay", "volumes = ['/src:/a:O']", "fetch", &["/a = /src O", "/builds = KEPT"], USUAL, &["/builds"]),
        case("variables in the destination", "volumes = ['/$NAME:/$NAME/$CI_PROJECT_ID/x', '/b/$NAME']", "fetch",
            &["/b/value = KEPT", "/builds = KEPT", "/value/x = /$NAME"], USUAL, &["/b/value", "/builds"]),
        case("sources in a host path", "volumes = ['/srv/b:/builds']", "clone", &["/builds = /srv/b"], SHARED, &[]),
        case("sources in a named volume", "volumes = ['vol:/builds/:Z']", "fetch", &["/builds = vol Z"], SHARED, &[]),
        case("sources in a volume of the slot", "volumes = ['/builds']", "clone", &["/builds = KEPT"], USUAL, &["/builds"]),
        case("sources below a host path", "volumes = ['/srv:/mnt']\n", "fetch", &["/builds = KEPT", "/mnt = /srv"], USUAL, &["/builds"]),
    ]
}

#[tokio::test]
async fn volumes_become_what_they_are_written_for() {
    for case in cases() {
        let payload = job().variable("GIT_STRATEGY", case.strategy);
        let (bench, ran) = run(&format!("image = 'alpine:3.20'\n{}\n", case.toml), payload).await;
        ran.assert_ending("success", "", 0);
        assert_eq!(mounted(&spec(&bench, "-build")), case.mounted, "{}", case.name);
        let plan = bench.podman.plan("-build");
        let suffix = |dir: &str| dir.strip_suffix("-empty").unwrap_or(dir).to_owned();
        assert_eq!(
            suffix(plan["project_dir"].as_str().unwrap()),
            case.project,
            "{}",
            case.name
        );
        assert_eq!(plan["open_directories"], json!(case.open), "{}", case.name);
        bench.assert_clean();
    }
}

/// Helpers see the sources wherever they lie; services see all volumes.
#[tokio::test]
async fn sources_and_volumes_are_where_they_are_needed() {
    let payload = job().artifacts(&["a"], "always").service("redis:7", json!({}));
    let (bench, ran) = run("volumes = ['/srv/b:/builds', '/a', 'vol:/c']\n", payload).await;
    ran.assert_ending("success", "", 0);
    for role in ["-build", "-redis-0"] {
        let expected = ["/a = KEPT", "/builds = /srv/b", "/c = vol"];
        assert_eq!(mounted(&spec(&bench, role)), expected, "{role}");
    }
    for role in ["-helper-prepare", "-helper-finish"] {
        let all = mounted(&spec(&bench, role));
        assert!(all.contains(&"/builds = /srv/b".to_owned()), "{role}: {all:?}");
    }
    bench.assert_clean();
    let volumes: Vec<String> = bench.podman.volumes().into_keys().map(|v| anonymous(&v)).collect();
    assert_eq!(volumes, ["KEPT", "vol"], "named volumes stay, a host path is none");
}

#[tokio::test]
async fn volumes_that_mean_nothing_end_the_job() {
    for (entry, why) in [
        ("relative", "no [source:]/destination[:options]"),
        ("/src:dst", "no [source:]/destination[:options]"),
        ("/src:/dst:fast", "no [source:]/destination[:options]"),
        ("/", "no path below /"),
        ("/src:/a/..", "no path below /"),
        (
            "/src:/twice/",
            "volume for container path \"/twice\" is already defined",
        ),
    ] {
        let (bench, ran) = run(&format!("volumes = ['/twice', '{entry}']\n"), job()).await;
        ran.assert_ending("failed", "runner_configuration_error", 0);
        ran.assert_log_has(&format!(
            "config.toml of this runner: volume {entry:?} of [runners.docker]: {why}"
        ));
        bench.assert_clean();
    }
}

/// (name, git_info.protected, keys of caches, CI_COMMIT_REF_PROTECTED in order, protected)
type Protection = (
    &'static str,
    Value,
    &'static [&'static str],
    &'static [&'static str],
    bool,
);

#[tokio::test]
async fn volumes_of_protected_jobs_are_kept_apart() {
    let cases: [Protection; 9] = [
        ("unprotected ref", json!(false), &[], &[], false),
        ("protected ref", json!(true), &[], &[], true),
        (
            "protected ref, key of another kind",
            json!(true),
            &["k-non_protected"],
            &[],
            true,
        ),
        ("key says protected", json!(false), &["k", "k-protected"], &[], true),
        ("key says unprotected", json!(false), &["k-non_protected"], &[], false),
        (
            "the word of the coordinator counts",
            json!(false),
            &[],
            &["true"],
            false,
        ),
        ("an older coordinator", Value::Null, &[], &["true"], true),
        (
            "a job cannot make itself protected",
            Value::Null,
            &[],
            &["false", "true"],
            false,
        ),
        ("nobody says it", Value::Null, &[], &[], false),
    ];
    for (name, of_ref, keys, variables, protected) in cases {
        let caches: Vec<Value> = keys.iter().map(|k| json!({"key": k, "paths": ["p"]})).collect();
        let mut payload = job().with("/git_info/protected", of_ref).with("/cache", json!(caches));
        for value in variables {
            payload = payload.variable("CI_COMMIT_REF_PROTECTED", value);
        }
        let (bench, ran) = run("volumes = ['/a']\n", payload).await;
        ran.assert_ending("success", "", 0);
        let word = if protected { "KEPT protected" } else { "KEPT" };
        let expected = [format!("/a = {word}"), format!("/builds = {word}")];
        assert_eq!(mounted(&spec(&bench, "-build")), expected, "{name}");
        for labels in bench.podman.volumes().into_values() {
            let said = &labels["com.gitlab.gitlab-runner.protected"];
            assert_eq!(said, &protected.to_string(), "{name}");
        }
    }
}

/// The labels every object of a job has, in gitlab-runner's words.
#[tokio::test]
async fn objects_carry_the_labels_operators_look_for() {
    let payload = job().timeout(7200).service("redis:7", json!({}));
    let (bench, ran) = run("volumes = ['/a']\n[container_labels]\nteam = '$NAME'\n", payload).await;
    ran.assert_ending("success", "", 0);
    let common = [
        ("job.id", "601"),
        ("job.url", "http://gitlab.test/group/project/-/jobs/601"),
        ("job.sha", "1ecfd275763eff1d6b4844ea3168962458c9f27a"),
        ("job.before_sha", "0000000000000000000000000000000000000000"),
        ("job.ref", "main"),
        ("job.timeout", "2h0m0s"),
        ("project.id", "1"),
        ("project.runner_id", "0"),
        ("pipeline.id", "5"),
        ("runner.id", "fake0runn"),
        ("runner.local_id", "0"),
        ("runner.system_id", SYSTEM_ID),
        ("managed", "true"),
    ];
    let service = [("service", "redis"), ("service.version", "7"), ("team", "value")];
    for (role, kind, more) in [
        ("-build", "build", &[][..]),
        ("-helper-prepare", "predefined", &[]),
        ("-redis-0", "service", &service),
    ] {
        let labels = spec(&bench, role)["labels"].clone();
        let theirs = labels.as_object().unwrap().iter().filter_map(|(key, value)| {
            let key = key.strip_prefix("com.gitlab.gitlab-runner.")?;
            Some((key.to_owned(), value.as_str().unwrap().to_owned()))
        });
        let mut theirs: Vec<(String, String)> = theirs.collect();
        theirs.sort();
        let mut expected: Vec<(String, String)> = common
            .iter()
            .chain(more)
            .chain(&[("type", kind)])
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        expected.sort();
        assert_eq!(theirs, expected, "{role}");
        assert_eq!(labels["team"], "value", "{role}");
    }
    for (name, labels) in bench.podman.volumes() {
        let of = |key: &str| labels[&format!("com.gitlab.gitlab-runner.{key}")].clone();
        assert_eq!(
            (of("type"), of("reusable")),
            ("cache".to_owned(), "true".to_owned()),
            "{name}"
        );
        assert!(["/a", "/builds"].contains(&of("destination").as_str()), "{labels:?}");
        assert_eq!(of("job.id"), "601");
    }
}

/// Names by which people find what belongs to which job.
#[tokio::test]
async fn objects_are_named_after_runner_project_and_slot() {
    let payload = job().service("redis:7", json!({}));
    let (bench, ran) = run("", payload).await;
    ran.assert_ending("success", "", 0);
    let record = bench.podman.record();
    for created in &record.created {
        let rest = created
            .name
            .strip_prefix("runner-fake0runn-project-1-concurrent-0-")
            .unwrap();
        let (unique, role) = rest.split_once('-').unwrap();
        assert!(
            unique.len() == 16 && unique.bytes().all(|b| b.is_ascii_hexdigit()),
            "{rest}"
        );
        assert!(["build", "helper-prepare", "redis-0"].contains(&role), "{role}");
    }
    for role in ["-build", "-helper-prepare"] {
        assert_eq!(
            spec(&bench, role)["hostname"],
            "runner-fake0runn-project-1-concurrent-0",
            "{role}"
        );
    }
    assert_eq!(spec(&bench, "-redis-0").get("hostname"), None);
}
