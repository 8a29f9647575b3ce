//! Settings of config.toml for containers: which of them reach which containers, and what is said about the others.

use crate::support::{Bench, Ran};
use pipglr_runner::config::DockerConfig;
use pipglr_runner::job::plan::RegistriesFile;
use pipglr_runner::job::run_job;
use pipglr_testkit::gitlab::JobBuilder;
use pipglr_testkit::podman::Image;
use serde_json::{Value, json};

/// A job with all kinds of containers, run with this `[runners.docker]`.
async fn run(docker: &str) -> (Bench, Ran) {
    let mut bench = Bench::start().await;
    bench.runner.docker = toml::from_str::<DockerConfig>(docker).unwrap();
    bench.podman.pullable("docker.io/library/redis:7", Image::default());
    let payload = JobBuilder::new(201)
        .script(&["x"])
        .variable("NAME", "value")
        .service("redis:7", json!({}));
    let ran = bench.run(payload).await;
    (bench, ran)
}

/// What a field of the specification is in the build, helper and service container.
fn field(bench: &Bench, pointer: &str) -> [Value; 3] {
    let record = bench.podman.record();
    ["-build", "-helper-prepare", "-redis-0"].map(|role| {
        let spec = &record.container(role).unwrap().spec;
        spec.pointer(pointer).cloned().unwrap_or_default()
    })
}

struct Case {
    /// Named in docs/compatibility.md.
    key: &'static str,
    toml: &'static str,
    pointer: &'static str,
    value: Value,
    /// Build, helper, service.
    containers: [bool; 3],
}

const ALL: [bool; 3] = [true, true, true];
const JOBS: [bool; 3] = [true, true, false];
const BUILD: [bool; 3] = [true, false, false];
const SERVICES: [bool; 3] = [false, false, true];

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    let case = |key, toml, pointer, value, containers| Case { key, toml, pointer, value, containers };
    vec![
        case("memory", "memory = '128m'", "/resource_limits/memory/limit", json!(128 << 20), JOBS),
        case("memory_swap", "memory_swap = '1g'", "/resource_limits/memory/swap", json!(1 << 30), JOBS),
        case("memory_reservation", "memory_reservation = '64m'", "/resource_limits/memory/reservation", json!(64 << 20), JOBS),
        case("cpus", "cpus = '1.5'", "/resource_limits/cpu", json!({"quota": 150_000, "period": 100_000}), JOBS),
        case("cpuset_cpus", "cpuset_cpus = '0,1'", "/resource_limits/cpu/cpus", json!("0,1"), JOBS),
        case("cpuset_mems", "cpuset_mems = '0'", "/resource_limits/cpu/mems", json!("0"), JOBS),
        case("cpu_shares", "cpu_shares = 512", "/resource_limits/cpu/shares", json!(512), JOBS),
        case("cgroup_parent", "cgroup_parent = 'jobs'", "/cgroup_parent", json!("jobs"), JOBS),
        case("service_memory", "service_memory = '128m'", "/resource_limits/memory/limit", json!(128 << 20), SERVICES),
        case("service_memory_swap", "service_memory_swap = '1g'", "/resource_limits/memory/swap", json!(1 << 30), SERVICES),
        case("service_memory_reservation", "service_memory_reservation = '64m'", "/resource_limits/memory/reservation", json!(64 << 20), SERVICES),
        case("service_cpus", "service_cpus = '0.5'", "/resource_limits/cpu/quota", json!(50_000), SERVICES),
        case("service_cpuset_cpus", "service_cpuset_cpus = '0'", "/resource_limits/cpu/cpus", json!("0"), SERVICES),
        case("service_cpu_shares", "service_cpu_shares = 2", "/resource_limits/cpu/shares", json!(2), SERVICES),
        case("service_cgroup_parent", "service_cgroup_parent = 'beside'", "/cgroup_parent", json!("beside"), SERVICES),
        case("cap_add", "cap_add = ['NET_RAW']", "/cap_add", json!(["NET_RAW"]), JOBS),
        case("cap_drop", "cap_drop = ['ALL']", "/cap_drop", json!(["ALL"]), JOBS),
        case("devices", "devices = ['/dev/fuse:/dev/fuse:rw', 'vendor.com/class=name']", "/devices",
            json!([{"path": "/dev/fuse:/dev/fuse:rw"}, {"path": "vendor.com/class=name"}]), JOBS),
        case("gpus", "gpus = 'all'", "/devices", json!([{"path": "nvidia.com/gpu=all"}]), BUILD),
        case("gpus by number", "gpus = '2'", "/devices", json!([{"path": "nvidia.com/gpu=0"}, {"path": "nvidia.com/gpu=1"}]), BUILD),
        case("gpus by name", "gpus = '\"device=0,GPU-7\"'", "/devices", json!([{"path": "nvidia.com/gpu=0"}, {"path": "nvidia.com/gpu=GPU-7"}]), BUILD),
        case("service_gpus", "service_gpus = 'device=1'", "/devices", json!([{"path": "nvidia.com/gpu=1"}]), SERVICES),
        case("shm_size", "shm_size = 300000", "/shm_size", json!(300_000), ALL),
        case("ulimit", "ulimit = { core = '0' }", "/r_limits", json!([{"type": "core", "soft": 0, "hard": 0}]), JOBS),
        case("sysctls", "sysctls = { 'net.core.somaxconn' = '9' }", "/sysctl", json!({"net.core.somaxconn": "9"}), JOBS),
        case("dns", "dns = ['1.1.1.1', 'fd00::1']", "/dns_server", json!(["1.1.1.1", "fd00::1"]), ALL),
        case("dns_search", "dns_search = ['a.test']", "/dns_search", json!(["a.test"]), ALL),
        case("extra_hosts", "extra_hosts = ['a:1.2.3.4']", "/hostadd", json!(["a:1.2.3.4"]), ALL),
        case("services_tmpfs", "services_tmpfs = { '/data' = 'rw,size=1m' }", "/mounts/0",
            json!({"destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": ["rw", "size=1m"]}), SERVICES),
        case("tmpfs", "tmpfs = { '/scratch' = '' }", "/mounts/0", json!({"destination": "/scratch", "type": "tmpfs", "source": "tmpfs"}), JOBS),
        case("no-new-privileges", "security_opt = ['no-new-privileges']", "/no_new_privileges", json!(true), JOBS),
        case("seccomp", "security_opt = ['seccomp=unconfined']", "/seccomp_profile_path", json!("unconfined"), JOBS),
        case("seccomp file", "security_opt = ['seccomp:/etc/p.json']", "/seccomp_profile_path", json!("/etc/p.json"), JOBS),
        case("apparmor", "security_opt = ['apparmor=mine']", "/apparmor_profile", json!("mine"), JOBS),
        case("label", "security_opt = ['label=disable', 'label=type:x']", "/selinux_opts", json!(["disable", "type:x"]), JOBS),
        case("unmask", "security_opt = ['unmask=/a:/b']", "/unmask", json!(["/a", "/b"]), JOBS),
        case("services_security_opt", "services_security_opt = ['mask=/a']", "/mask", json!(["/a"]), SERVICES),
        case("userns_mode", "userns_mode = 'keep-id'", "/userns", json!({"nsmode": "keep-id"}), ALL),
        case("ipcmode", "ipcmode = 'shareable'", "/ipcns", json!({"nsmode": "shareable"}), JOBS),
        case("hostname", "hostname = 'me'", "/hostname", json!("me"), JOBS),
        case("runtime", "runtime = 'runc'", "/oci_runtime", json!("runc"), ALL),
        case("volumes_from", "volumes_from = ['data:ro']", "/volumes_from", json!(["data:ro"]), JOBS),
        case("oom_score_adjust", "oom_score_adjust = 500", "/oom_score_adj", json!(500), JOBS),
        case("container_labels", "container_labels = { team = '<$NAME>' }", "/labels/team", json!("<value>"), ALL),
        case("container_labels of services", "container_labels = { team = 'a' }", "/labels/com.gitlab.gitlab-runner.team", json!("a"), SERVICES),
        case("our own labels win", "container_labels = { 'pipglr.job' = '1' }", "/labels/pipglr.job", json!("201"), ALL),
        case("overlay volume", "volumes = ['/host:/dst:O']", "/overlay_volumes", json!([{"destination": "/dst", "source": "/host"}]), [true, false, true]),
    ]
}

#[tokio::test]
async fn settings_reach_the_containers_they_are_for() {
    for Case {
        key,
        toml,
        pointer,
        value,
        containers,
    } in cases()
    {
        let (bench, ran) = run(&format!("image = 'alpine:3.20'\n{toml}\n")).await;
        ran.assert_ending("success", "", 0);
        let found = field(&bench, pointer).map(|found| found == value);
        assert_eq!(found, containers, "{key}: {:?}", field(&bench, pointer));
        assert!(!ran.log().contains("WARNING"), "{key}: {}", ran.log());
        bench.assert_clean();
    }
}

/// Keys that do something else here, or nothing: the log names them, the job runs.
#[tokio::test]
async fn settings_without_effect_are_named_in_the_log() {
    for (toml, words) in [
        (
            "oom_kill_disable = true",
            "oom_kill_disable of [runners.docker] has no effect",
        ),
        (
            "device_cgroup_rules = ['c 81:* rmw']",
            "device_cgroup_rules of [runners.docker] has no effect",
        ),
        (
            "mac_address = '92:d0:c6:0a:29:33'",
            "mac_address of [runners.docker] has no effect",
        ),
        ("links = ['a:b']", "links of [runners.docker] has no effect"),
        ("pid_mode = 'host'", "pid_mode of [runners.docker] has no effect"),
        (
            "cache_dir = '/var/cache'",
            "cache_dir of [runners.docker] has no effect",
        ),
        ("isolation = 'hyperv'", "isolation of [runners.docker] has no effect"),
        (
            "log_options = { env = 'A' }",
            "log_options of [runners.docker] has no effect",
        ),
        ("userns_mode = 'auto'", "userns_mode of [runners.docker] has no effect"),
        (
            "ipcmode = 'host'",
            "ipcmode \"host\" of [runners.docker] shares the IPC namespace of the runner's own container",
        ),
    ] {
        let (bench, ran) = run(toml).await;
        ran.assert_ending("success", "", 0);
        ran.assert_log_has(&format!("WARNING: {words}"));
        bench.assert_clean();
    }
}

/// What means nothing ends the job with key and value.
#[tokio::test]
async fn settings_that_mean_nothing_end_the_job() {
    for (toml, words) in [
        (
            "dns = ['resolver']",
            "dns of [runners.docker] is \"resolver\", but must be an IP address",
        ),
        (
            "memory = '12 parsecs'",
            "memory of [runners.docker] is \"12 parsecs\", but must be a size",
        ),
        (
            "service_cpus = 'many'",
            "service_cpus of [runners.docker] is \"many\", but must be a number of processors",
        ),
        (
            "ulimit = { nofile = 'x' }",
            "ulimit nofile of [runners.docker] is \"x\"",
        ),
        ("isolation = 'glass'", "isolation of [runners.docker] is \"glass\""),
        (
            "log_options = { max-size = '1m' }",
            "log_options of [runners.docker] is \"max-size\", but must be env or labels",
        ),
        (
            "security_opt = ['systempaths=unconfined']",
            "security_opt of [runners.docker] is \"systempaths=unconfined\"",
        ),
        ("security_opt = ['seccomp={}']", "podman takes no profile as text"),
        ("gpus = 'some'", "gpus of [runners.docker] is \"some\""),
        ("userns_mode = 'own'", "userns_mode of [runners.docker] is \"own\""),
        (
            "ipcmode = 'container:'",
            "ipcmode of [runners.docker] is \"container:\"",
        ),
    ] {
        let (bench, ran) = run(toml).await;
        ran.assert_ending("failed", "runner_configuration_error", 0);
        ran.assert_log_has(words);
        bench.assert_clean();
    }
}

/// A limit that cannot be enforced is a loud warning, never silence and never a failed job.
#[tokio::test]
async fn limits_that_cannot_be_enforced_are_loud_and_left_out() {
    let mut bench = Bench::start().await;
    bench.podman.has_controllers(&["pids", "cpu"]);
    bench.runner.docker =
        toml::from_str("image = 'x'\nmemory = '1g'\ncpus = '1'\nservice_cpuset_cpus = '0'\n").unwrap();
    let ran = bench.run(JobBuilder::new(202).without_sources().script(&["x"])).await;
    ran.assert_ending("success", "", 0);
    for (key, controller) in [("memory", "memory"), ("service_cpuset_cpus", "cpuset")] {
        ran.assert_log_has(&format!(
            "WARNING: {key} of [runners.docker] IS NOT ENFORCED: the cgroup controller \"{controller}\" is not delegated"
        ));
    }
    assert!(
        !ran.log().contains("cpus of [runners.docker] IS NOT") || ran.log().matches("IS NOT ENFORCED").count() == 2
    );
    let limits = bench.podman.record().created[0].spec["resource_limits"].clone();
    assert_eq!(limits, json!({"cpu": {"quota": 100_000, "period": 100_000}}));
    bench.assert_clean();
}

#[tokio::test]
async fn processes_are_limited_where_the_controller_is_delegated() {
    for (controllers, expected) in [
        (
            &["pids", "memory"][..],
            json!({"memory": {"limit": 1 << 30}, "pids": {"limit": 64}}),
        ),
        (&["memory"][..], json!({"memory": {"limit": 1 << 30}})),
    ] {
        let mut bench = Bench::start().await;
        bench.podman.has_controllers(controllers);
        bench.runner.docker = toml::from_str("image = 'x'\nmemory = '1g'\n").unwrap();
        bench.runner.podman = toml::from_str("pids_limit = 64\n").unwrap();
        let ran = bench.run(JobBuilder::new(204).without_sources().script(&["x"])).await;
        ran.assert_ending("success", "", 0);
        let created = bench.podman.record().created;
        assert!(
            created
                .iter()
                .all(|container| container.spec["resource_limits"] == expected),
            "{created:?}"
        );
        let warning = "WARNING: pids_limit of [runners.podman] IS NOT ENFORCED: the cgroup controller \"pids\" is not";
        assert_eq!(ran.log().matches(warning).count(), usize::from(controllers.len() == 1));
    }
}

#[tokio::test]
async fn a_job_without_limits_does_not_ask_podman_for_them() {
    let bench = Bench::start().await;
    bench.run(JobBuilder::new(203).without_sources().script(&["x"])).await;
    assert!(bench.podman.record().calls.iter().all(|call| call.path != "/info"));
}

#[tokio::test]
async fn volumes_are_made_and_kept_as_configured() {
    let (bench, ran) = run("volume_driver = 'image'\nvolume_driver_ops = { size = '1g' }\nvolume_keep = true\n").await;
    ran.assert_ending("success", "", 0);
    let record = bench.podman.record();
    let created = record.calls.iter().find(|call| call.path == "/volumes/create").unwrap();
    let body: Value = serde_json::from_slice(&created.body).unwrap();
    assert_eq!(
        (&body["Driver"], &body["Options"]),
        (&json!("image"), &json!({"size": "1g"}))
    );
    let removal = record
        .calls
        .iter()
        .find(|call| call.line().starts_with("DELETE /containers/"))
        .unwrap();
    assert!(removal.query.contains("volumes=false"), "{}", removal.query);
}

#[tokio::test]
async fn groups_are_added_to_the_scripts_user() {
    let (bench, ran) = run("group_add = ['video', '44']\n").await;
    ran.assert_ending("success", "", 0);
    assert_eq!(bench.podman.plan("-build")["groups"], json!(["video", "44"]));
}

/// allowed_privileged_images, whether the job may build images.
#[tokio::test]
async fn privileged_images_can_be_listed() {
    for (list, privileged) in [
        ("[]", true),
        ("['alpine:*']", true),
        ("['docker:*']", false),
        ("['**', '!alpine:*']", false),
    ] {
        let (bench, ran) = run(&format!("privileged = true\nallowed_privileged_images = {list}\n")).await;
        ran.assert_ending("success", "", 0);
        let has = field(&bench, "/cap_add")[0].to_string().contains("CAP_SYS_ADMIN");
        assert_eq!(has, privileged, "{list}");
    }
}

/// Of the runner's certificates, drop-ins and insecure registries, only jobs that may build images hear.
#[tokio::test]
async fn podman_inside_a_job_goes_by_the_runners_rules() {
    for privileged in [true, false] {
        let mut bench = Bench::start().await;
        bench.runner.docker.privileged = privileged;
        bench.runner.podman.insecure_registries = vec!["10.0.2.2:5000".to_owned()];
        let payload = bench
            .gitlab
            .assign(JobBuilder::new(48).without_sources().script(&["x"]));
        let mut accepted = bench.accepted(payload);
        accepted.ca_certificates = Some("PEM".to_owned());
        accepted.operator_certificates = Some("PEM of all".to_owned());
        accepted.registries = vec![RegistriesFile {
            name: "10-own.conf".to_owned(),
            content: "[[registry]]\nlocation = \"a.example\"\n".to_owned(),
        }];
        run_job(accepted, bench.world(48)).await;
        let told = json!([
            {
                "path": "/etc/containers/registries.conf.d/00-pipglr-insecure.conf",
                "content": "[[registry]]\nlocation = \"10.0.2.2:5000\"\ninsecure = true\n",
            },
            {
                "path": "/etc/containers/registries.conf.d/10-own.conf",
                "content": "[[registry]]\nlocation = \"a.example\"\n",
            },
            { "path": "/.pipglr/certs/operator.crt", "content": "PEM of all" },
            { "path": "/.pipglr/certs/runner.crt", "content": "PEM" },
        ]);
        let expected = if privileged { told } else { json!([]) };
        let plan = bench.podman.plan("-build");
        assert_eq!(plan["settings"], expected);
        let trusted = json!(["SSL_CERT_DIR", "/etc/ssl/certs:/etc/pki/tls/certs:/.pipglr/certs"]);
        assert_eq!(plan["environment"][0] == trusted, privileged);
    }
}
