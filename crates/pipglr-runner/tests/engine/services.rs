//! Services: which containers they become, when they count as ready, what the job's author sees of them.

use crate::support::{Bench, Ran};
use pipglr_runner::config::ServiceConfig;
use pipglr_testkit::Gate;
use pipglr_testkit::gitlab::JobBuilder;
use pipglr_testkit::podman::{Act, Created, Image, Ports};
use serde_json::{Value, json};

const POSTGRES: &str = "docker.io/library/postgres:16";

fn job(id: u64) -> JobBuilder {
    JobBuilder::new(id).without_sources().script(&["x"])
}

/// An image that names ports and nothing else.
fn listening(ports: &[&str]) -> Image {
    let ports: serde_json::Map<String, Value> = ports.iter().map(|p| ((*p).to_owned(), json!({}))).collect();
    Image {
        config: json!({"ExposedPorts": ports, "Env": ["PATH=/bin"]}),
        ..Image::default()
    }
}

async fn bench() -> Bench {
    let bench = Bench::start().await;
    bench.podman.pullable(POSTGRES, listening(&["5432/tcp"]));
    bench
}

/// The containers of services, by the part of their names that is not random.
fn services(bench: &Bench) -> Vec<(String, Created)> {
    let created = bench.podman.record().created;
    let services = created
        .into_iter()
        .filter(|c| c.spec["labels"]["pipglr.type"] == "service");
    let mut services: Vec<_> = services.map(|c| (role(&c.name), c)).collect();
    services.sort_by_key(|(role, _)| role.rsplit('-').next().map(str::to_owned));
    services
}

/// What follows `runner-…-concurrent-0-<16 hexadecimal digits>-`.
fn role(name: &str) -> String {
    let rest = name.split("-concurrent-0-").nth(1).unwrap();
    rest[17..].to_owned()
}

/// Names by which a container is found in the only network it joins.
fn aliases(spec: &Value) -> Vec<String> {
    let networks = spec["Networks"].as_object().unwrap();
    assert_eq!(networks.len(), 1);
    let aliases = networks.values().next().unwrap()["aliases"].as_array();
    let aliases = aliases.into_iter().flatten();
    aliases.map(|a| a.as_str().unwrap().to_owned()).collect()
}

fn assert_passed(bench: &Bench, ran: &Ran) {
    ran.assert_ending("success", "", 0);
    bench.assert_clean();
}

#[tokio::test]
async fn a_job_without_services_has_no_network_of_its_own() {
    let bench = bench().await;
    assert_passed(&bench, &bench.run(job(101)).await);
    let record = bench.podman.record();
    assert_eq!(record.networks_created, Vec::<Value>::new());
    assert_eq!(record.created[0].spec.get("netns"), None);
}

#[tokio::test]
async fn all_containers_of_a_job_with_services_share_a_network() {
    let bench = bench().await;
    let payload = JobBuilder::new(102)
        .script(&["x"])
        .artifacts(&["a"], "always")
        .service("postgres:16", json!({"alias": "db, cache"}));
    assert_passed(&bench, &bench.run(payload).await);
    let record = bench.podman.record();
    let [network] = record.networks_created.as_slice() else {
        panic!("{:?}", record.networks_created);
    };
    assert_eq!(network["driver"], "bridge");
    assert_eq!(network["dns_enabled"], true);
    assert_eq!(network["labels"]["pipglr.job"], "102");
    assert_eq!(record.created.len(), 4, "two helpers, build, service");
    for created in &record.created {
        let spec = &created.spec;
        assert_eq!(spec["netns"]["nsmode"], "bridge", "{}", created.name);
        let networks = spec["Networks"].as_object().unwrap();
        assert!(networks.contains_key(network["name"].as_str().unwrap()));
        let expected: &[&str] = match role(&created.name).as_str() {
            "build" => &["build"],
            "postgres-0" => &["postgres", "db", "cache"],
            _ => &[],
        };
        assert_eq!(aliases(spec), expected, "{}", created.name);
    }
}

/// Which aliases the services of a job get, and which are skipped. A service without aliases is not started.
#[tokio::test]
async fn aliases_are_given_once() {
    // services as (image, alias), expected as "role: aliases", parts of warnings
    type Case = (
        &'static [(&'static str, &'static str)],
        &'static [&'static str],
        &'static [&'static str],
    );
    let cases: [Case; 5] = [
        (&[("postgres:16", "")], &["postgres-0: postgres"], &[]),
        (
            &[("alpine:3.20", "service-1"), ("alpine:3.20", "service-2")],
            &["alpine-0: alpine service-1", "alpine-1: service-2"],
            &[
                r#"Skipping alias "alpine" for service "alpine:3.20" (services[1]): alias is already in use by another service."#,
            ],
        ),
        (
            &[("alpine:3.20", "svc-1 svc-1"), ("alpine:3.20", "svc-1")],
            &["alpine-0: alpine svc-1"],
            &[
                r#"Skipping alias "svc-1" for service "alpine:3.20" (services[1])"#,
                r#"service "alpine:3.20" (services[1]) is not started: it has no name left"#,
            ],
        ),
        (
            &[("reg.test:5000/ns/db:1", "${ALIAS},x\ty")],
            &["reg.test__ns__db-0: reg.test__ns__db reg.test-ns-db from-variable x y"],
            &[],
        ),
        (&[("$IMAGE", "")], &["postgres-0: postgres"], &[]),
    ];
    for (given, expected, warnings) in cases {
        let bench = bench().await;
        bench.podman.pullable("reg.test:5000/ns/db:1", Image::default());
        let mut payload = job(103)
            .variable("ALIAS", "from-variable")
            .variable("IMAGE", "postgres:16");
        for (image, alias) in given {
            payload = payload.service(image, json!({"alias": alias}));
        }
        let ran = bench.run(payload).await;
        assert_passed(&bench, &ran);
        let found: Vec<String> = services(&bench)
            .iter()
            .map(|(role, created)| format!("{role}: {}", aliases(&created.spec).join(" ")))
            .collect();
        assert_eq!(found, expected, "{given:?}");
        for warning in warnings {
            ran.assert_log_has(&format!("WARNING: {warning}"));
        }
    }
}

#[tokio::test]
async fn a_service_runs_as_it_was_described() {
    let mut bench = bench().await;
    bench.runner.docker.volumes = vec!["/cache".to_owned()];
    let more = json!({
        "alias": "db", "command": ["postgres", "-c", "fsync=off"], "entrypoint": ["", "start.sh"],
        "executor_opts": {"docker": {"user": "70:$GROUP"}},
        "variables": [
            {"key": "OWN", "value": "<$PLAIN $OTHER $HIDDEN>", "public": true},
            {"key": "OTHER", "value": "other", "public": true},
            {"key": "RAW", "value": "$PLAIN", "public": true, "raw": true},
            {"key": "PLAIN", "value": "of the service", "public": true},
        ],
    });
    let payload = job(104)
        .variable("PLAIN", "of the job")
        .variable("GROUP", "71")
        .masked_variable("HIDDEN", "s3cret-value")
        .file_variable("FILE", "content")
        .service("postgres:16", more);
    let ran = bench.run(payload).await;
    assert_passed(&bench, &ran);
    let [(role, created)] = services(&bench).try_into().unwrap();
    let spec = &created.spec;
    assert_eq!(role, "postgres-0");
    assert_eq!(spec["command"], json!(["postgres", "-c", "fsync=off"]));
    assert_eq!(spec["entrypoint"], json!(["start.sh"]));
    assert_eq!(spec["user"], "70:71");
    assert_eq!(spec["env"]["RAW"], "$PLAIN");
    assert_eq!(spec["env"]["PLAIN"], "of the service");
    assert_eq!(spec["env"]["CI_PROJECT_DIR"], "/builds/group/project");
    for absent in ["HIDDEN", "FILE", "CI_JOB_TOKEN", "OWN"] {
        assert_eq!(spec["env"].get(absent), None, "{absent}");
    }
    assert_eq!(spec["labels"]["com.gitlab.gitlab-runner.service"], "postgres");
    assert_eq!(spec["labels"]["com.gitlab.gitlab-runner.service.version"], "16");
    let volumes: Vec<&str> = spec["volumes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["Dest"].as_str().unwrap())
        .collect();
    assert_eq!(volumes, ["/builds", "/cache"]);
    // What must not show in the container's configuration is podman's secret.
    let secrets = bench.podman.record().secrets_created;
    let name = spec["secret_env"]["OWN"].as_str().unwrap().to_owned();
    assert_eq!(secrets, [(name, "<of the service other s3cret-value>".to_owned())]);
    assert!(!spec.to_string().contains("s3cret-value"));
    ran.assert_log_has("Starting service postgres:16...\n");
}

#[tokio::test]
async fn entrypoints_of_services_can_be_refused() {
    for (disabled, entrypoint) in [(true, Value::Null), (false, json!(["/bin/sh", "-c", "echo mine"]))] {
        let mut bench = bench().await;
        bench.runner.docker.disable_entrypoint_overwrite = disabled;
        let own = json!({"entrypoint": ["/bin/sh", "-c", "echo mine"]});
        let ran = bench.run(job(109).service("postgres:16", own)).await;
        assert_passed(&bench, &ran);
        let [(_, created)] = services(&bench).try_into().unwrap();
        assert_eq!(created.spec["entrypoint"], entrypoint);
        assert_eq!(ran.log().contains("WARNING: Entrypoint override disabled\n"), disabled);
    }
}

#[tokio::test]
async fn a_service_can_be_for_another_platform() {
    let bench = Bench::start().await;
    let arm = Image {
        architecture: "arm64".to_owned(),
        ..Image::default()
    };
    bench.podman.pullable(POSTGRES, arm);
    let options = json!({"executor_opts": {"docker": {"platform": "linux/$ARCH"}}});
    let payload = job(108).variable("ARCH", "arm64").service("postgres:16", options);
    let ran = bench.run(payload).await;
    assert_passed(&bench, &ran);
    ran.assert_log_has("Pulling docker image postgres:16 for platform linux/arm64 ...\n");
    let record = bench.podman.record();
    let pull = record.pulls.iter().find(|p| p.reference == POSTGRES).unwrap();
    for (key, value) in [("OS", "linux"), ("Arch", "arm64")] {
        assert!(
            pull.query.contains(&(key.to_owned(), value.to_owned())),
            "{:?}",
            pull.query
        );
    }
}

#[tokio::test]
async fn services_of_the_configuration_come_first() {
    let mut bench = bench().await;
    bench.runner.docker.allowed_services = vec!["alpine:*".to_owned()];
    bench.runner.docker.services = vec![ServiceConfig {
        name: "postgres:16".to_owned(),
        alias: "$NAME".to_owned(),
        environment: vec!["A=<$NAME>".to_owned(), "no value".to_owned()],
        ..ServiceConfig::default()
    }];
    let payload = job(105).variable("NAME", "db").service("alpine:3.20", json!({}));
    assert_passed(&bench, &bench.run(payload).await);
    let found = services(&bench);
    assert_eq!(
        found.iter().map(|(role, _)| role.as_str()).collect::<Vec<_>>(),
        ["postgres-0", "alpine-1"]
    );
    assert_eq!(aliases(&found[0].1.spec), ["postgres", "db"]);
    assert_eq!(found[0].1.spec["env"]["A"], "<db>");
}

/// Jobs that are not run, with the reason.
#[tokio::test]
async fn services_that_are_not_allowed_or_make_no_sense_end_the_job() {
    type Change = fn(&mut pipglr_runner::config::DockerConfig);
    let cases: [(&str, Change, Value, &str); 6] = [
        (
            "too many",
            |d| d.services_limit = Some(0),
            json!({}),
            "too many services requested: 1, only 0 allowed",
        ),
        (
            "not allowed",
            |d| d.allowed_services = vec!["mysql:*".to_owned()],
            json!({}),
            "disallowed image: the \"postgres:16\" image is not present on list of allowed services (mysql:*)",
        ),
        ("no name", |_| {}, json!({"name": ""}), "invalid service image name: "),
        (
            "not a port",
            |_| {},
            json!({"variables": [{"key": "healthcheck_tcp_port", "value": "http"}]}),
            "HEALTHCHECK_TCP_PORT of service postgres:16 is not a port: \"http\"",
        ),
        (
            "missing",
            |_| {},
            json!({"name": "nowhere:1"}),
            "failed to pull image \"nowhere:1\" with specified policies [always]",
        ),
        (
            "policy",
            |_| {},
            json!({"pull_policy": ["never"]}),
            "invalid pull policy for image \"postgres:16\"",
        ),
    ];
    for (case, change, more, message) in cases {
        let mut bench = bench().await;
        change(&mut bench.runner.docker);
        let ran = bench.run(job(106).service("postgres:16", more)).await;
        ran.assert_ending("failed", "runner_configuration_error", 0);
        assert!(ran.log().contains(message), "{case}: {}", ran.log());
        bench.assert_clean();
    }
}

#[tokio::test]
async fn a_service_that_cannot_start_is_tried_again() {
    let bench = bench().await;
    bench.podman.refuse("POST /networks/create", 1, 500, "no subnet left");
    let ran = bench.run(job(107).service("postgres:16", json!({}))).await;
    assert_passed(&bench, &ran);
    ran.assert_log_has("Preparation failed: create the job's network");
}

/// A case's name, the image, variables of the service, what is probed.
fn images_and_probes() -> Vec<(&'static str, Image, Value, String)> {
    let check = json!({"Test": ["CMD-SHELL", "pg_isready"]});
    let many: Vec<String> = (1..=25).map(|n| format!("{}/tcp", 1000 + n)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let with_env = |entry: &str| Image {
        config: json!({"ExposedPorts": {"80/tcp": {}}, "Env": [entry]}),
        ..Image::default()
    };
    let first_twenty: Vec<String> = (1001..=1020).map(|n| n.to_string()).collect();
    vec![
        ("no ports", listening(&[]), json!([]), String::new()),
        ("udp only", listening(&["53/udp"]), json!([]), String::new()),
        (
            "ports",
            listening(&["80/tcp", "53/udp", "443"]),
            json!([]),
            "80,443".to_owned(),
        ),
        ("many ports", listening(&many), json!([]), first_twenty.join(",")),
        (
            "variable of the image",
            with_env("HealthCheck_TCP_port=81"),
            json!([]),
            "81".to_owned(),
        ),
        (
            "variable of the service",
            with_env("HEALTHCHECK_TCP_PORT=81"),
            json!([{"key": "HEALTHCHECK_TCP_PORT", "value": "82", "public": true}]),
            "82".to_owned(),
        ),
        (
            "check",
            Image {
                healthcheck: check,
                ..listening(&["80/tcp"])
            },
            json!([]),
            "/bin/sh -c pg_isready".to_owned(),
        ),
        (
            "check without shell",
            Image {
                healthcheck: json!({"Test": ["CMD", "ready", "x"], "Interval": 30_000_000_000_u64}),
                ..listening(&[])
            },
            json!([]),
            "ready x".to_owned(),
        ),
        (
            "no check",
            Image {
                healthcheck: json!({"Test": ["NONE"]}),
                ..listening(&["80/tcp"])
            },
            json!([]),
            "80".to_owned(),
        ),
    ]
}

/// What is probed: the image's healthcheck, ports and variables; none of which costs a container.
#[tokio::test]
async fn readiness_is_what_the_image_says() {
    for (case, image, variables, expected) in images_and_probes() {
        let bench = bench().await;
        bench.podman.pullable(POSTGRES, image);
        let ran = bench
            .run(job(108).service("postgres:16", json!({"variables": variables})))
            .await;
        assert_passed(&bench, &ran);
        let record = bench.podman.record();
        let waited = "Waiting for services to be up and running (timeout 30 seconds)...\n";
        assert_eq!(
            ran.log().contains(waited),
            !expected.is_empty(),
            "{case}: {}",
            ran.log()
        );
        let probed: Vec<String> = record
            .execs
            .iter()
            .map(|exec| match exec.command.as_slice() {
                [program, probe, timeout, target] if probe == "probe-ports" => {
                    assert_eq!(
                        (program.as_str(), timeout.as_str()),
                        ("/.pipglr/pipglr", "--timeout=30")
                    );
                    let (host, ports) = target.split_once(':').unwrap();
                    assert!(services(&bench)[0].1.id.starts_with(host) && host.len() == 12, "{host}");
                    ports.to_owned()
                }
                command => {
                    assert_eq!(role(&exec.container), "postgres-0");
                    command.join(" ")
                }
            })
            .collect();
        assert_eq!(probed.join("|"), expected, "{case}");
        assert_eq!(record.created.len(), 2, "{case}: build and service");
    }
}

#[tokio::test]
async fn scripts_begin_when_all_services_are_ready() {
    let bench = bench().await;
    bench
        .podman
        .pullable("docker.io/library/redis:7", listening(&["6379/tcp"]));
    let gate = Gate::closed();
    bench.podman.on_ports("redis", Ports::After(gate.clone()));
    let payload = JobBuilder::new(109)
        .script(&["x"])
        .service("postgres:16", json!({}))
        .service("redis:7", json!({}));
    let (ran, ()) = tokio::join!(bench.run(payload), async {
        // Sources do not wait for services.
        bench
            .podman
            .wait_for("the sources", |r| r.has_begun("get_sources"))
            .await;
        bench.podman.wait_for("the probe", |r| !r.execs.is_empty()).await;
        assert!(!bench.podman.record().has_begun("step_script"));
        gate.open();
    });
    assert_passed(&bench, &ran);
    assert!(!ran.log().contains("probably didn't start"), "{}", ran.log());
    assert_eq!(bench.podman.record().execs.len(), 1, "one process for all");
}

#[tokio::test]
async fn a_service_that_is_not_ready_is_told_with_its_last_lines() {
    let bench = bench().await;
    bench
        .podman
        .on_service("postgres", [Act::out("starting\n"), Act::err("FATAL: no space\n")]);
    bench.podman.on_ports("postgres", Ports::Never);
    let ran = bench.run(job(110).service("postgres:16", json!({}))).await;
    assert_passed(&bench, &ran);
    let log = ran.log();
    let name = &services(&bench)[0].1.name;
    let expected = format!(
        "\n*** WARNING: Service {name} probably didn't start properly.\n\nHealth check error:\nservice \"{name}\": \
         none of its ports [5432] accepted a connection within 30s\n\nService container logs:\n\
         2026-01-02T03:04:05Z starting\n2026-01-02T03:04:05Z FATAL: no space\n\n*********\n\n"
    );
    assert!(log.contains(&expected), "{log}");
}

#[tokio::test]
async fn a_service_that_ends_is_not_waited_for_any_longer() {
    let bench = bench().await;
    bench
        .podman
        .on_service("postgres", [Act::err("no password\n"), Act::Die(3)]);
    let never = Gate::closed();
    bench.podman.on_ports("postgres", Ports::After(never));
    let ran = bench.run(job(111).service("postgres:16", json!({}))).await;
    assert_passed(&bench, &ran);
    ran.assert_log_has(": it ended with exit code 3\n");
    ran.assert_log_has("no password\n");
}

#[tokio::test]
async fn an_images_own_check_is_run_until_it_succeeds() {
    for (codes, limit, warning) in [
        (vec![1, 1, 0], 30, ""),
        (
            vec![1; 50],
            1,
            "its health check did not succeed within 1s (exit code 1)",
        ),
    ] {
        let mut bench = bench().await;
        bench.runner.docker.wait_for_services_timeout = limit;
        let image = Image {
            healthcheck: json!({"Test": ["CMD", "check"]}),
            ..Image::default()
        };
        bench.podman.pullable(POSTGRES, image);
        bench.podman.on_checks("postgres", codes);
        let ran = bench.run(job(112).service("postgres:16", json!({}))).await;
        assert_passed(&bench, &ran);
        if warning.is_empty() {
            assert_eq!(bench.podman.record().execs.len(), 3);
            assert!(!ran.log().contains("WARNING"), "{}", ran.log());
        } else {
            ran.assert_log_has(warning);
        }
    }
}

#[tokio::test]
async fn nothing_is_waited_for_where_nobody_wants_it() {
    let mut bench = bench().await;
    bench.runner.docker.wait_for_services_timeout = -1;
    let ran = bench.run(job(113).service("postgres:16", json!({}))).await;
    assert_passed(&bench, &ran);
    assert_eq!(bench.podman.record().execs.len(), 0);
    assert!(!ran.log().contains("Waiting for services"), "{}", ran.log());
}

/// Value of CI_DEBUG_SERVICES, whether the operator forbids it, whether output shows, a warning.
#[tokio::test]
async fn output_of_services_shows_when_asked_for() {
    let cases = [
        ("true", false, true, ""),
        ("false", false, false, ""),
        ("", false, false, ""),
        (
            "true",
            true,
            false,
            "CI_DEBUG_SERVICES: usage is disabled on this Runner",
        ),
        (
            "blammo",
            false,
            false,
            "CI_DEBUG_SERVICES: expected bool got \"blammo\", using default value: false",
        ),
    ];
    for (value, forbidden, shows, warning) in cases {
        let mut bench = bench().await;
        bench.runner.debug_trace_disabled = forbidden;
        let gate = Gate::closed();
        bench
            .podman
            .on_service("postgres", [Act::out("ready to accept connections\nnext\n")]);
        bench.podman.on_stage("step_script", [Act::WaitFor(gate.clone())]);
        let payload = job(114)
            .variable("CI_DEBUG_SERVICES", value)
            .service("postgres:16", json!({"alias": "db"}));
        let line = "\x1b[0;90m[service:postgres-db] 2026-01-02T03:04:05Z next\x1b[0;m\n";
        let (ran, ()) = tokio::join!(bench.run(payload), async {
            bench
                .podman
                .wait_for("the script", |r| r.has_begun("step_script"))
                .await;
            if shows {
                let shown =
                    |r: &pipglr_testkit::gitlab::Record| r.jobs.get(&114).is_some_and(|j| j.text().contains(line));
                bench.gitlab.wait_for("the output", shown).await;
            }
            gate.open();
        });
        assert_passed(&bench, &ran);
        assert_eq!(
            ran.log().contains("[service:"),
            shows,
            "{value} {forbidden}: {}",
            ran.log()
        );
        if !warning.is_empty() {
            ran.assert_log_has(&format!("WARNING: {warning}\n"));
        }
    }
}

/// podman tells of new output a moment late, or its connection is lost.
#[tokio::test]
async fn what_was_not_followed_of_a_service_shows_at_the_end() {
    for lost in [0, 1] {
        let bench = bench().await;
        bench.podman.lose_connection("/logs", lost);
        bench
            .podman
            .on_service("postgres", [Act::out("ready to accept connections\nnext\n")]);
        let payload = job(120)
            .variable("CI_DEBUG_SERVICES", "true")
            .service("postgres:16", json!({"alias": "db"}));
        let ran = bench.run(payload).await;
        assert_passed(&bench, &ran);
        for line in ["ready to accept connections", "next"] {
            let shown = format!("[service:postgres-db] 2026-01-02T03:04:05Z {line}");
            assert_eq!(ran.log().matches(&shown).count(), 1, "{lost}: {}", ran.log());
        }
        assert!(!ran.log().contains("is lost"), "{}", ran.log());
    }
}

#[tokio::test]
async fn on_the_hosts_network_services_are_found_on_loopback() {
    let mut bench = bench().await;
    bench.runner.docker.network_mode = "host".to_owned();
    let ran = bench.run(job(115).service("postgres:16", json!({"alias": "db"}))).await;
    assert_passed(&bench, &ran);
    let record = bench.podman.record();
    for created in &record.created {
        assert_eq!(created.spec["netns"]["nsmode"], "host");
        assert_eq!(created.spec["hostadd"], json!(["postgres:127.0.0.1", "db:127.0.0.1"]));
    }
    assert!(record.execs[0].command.contains(&"127.0.0.1:5432".to_owned()));
}

/// A service's `(privileged capability, devices)` by what config.toml says.
#[tokio::test]
async fn privileged_services_and_devices() {
    type Change = fn(&mut pipglr_runner::config::DockerConfig);
    let cases: [(Change, bool, Value); 6] = [
        (|_| {}, false, Value::Null),
        (
            |d| d.privileged = true,
            true,
            json!([{"path": "/dev/fuse"}, {"path": "/dev/net/tun"}]),
        ),
        (
            |d| {
                d.privileged = true;
                d.services_privileged = Some(false);
            },
            false,
            Value::Null,
        ),
        (
            |d| {
                d.services_privileged = Some(true);
                d.allowed_privileged_services = vec!["postgres:*".to_owned()];
            },
            true,
            json!([{"path": "/dev/fuse"}, {"path": "/dev/net/tun"}]),
        ),
        (
            |d| {
                d.services_privileged = Some(true);
                d.allowed_privileged_services = vec!["docker:*".to_owned()];
            },
            false,
            Value::Null,
        ),
        (
            |d| {
                d.services_devices = [
                    ("post*:*".to_owned(), vec!["/dev/a:/dev/b:r".to_owned()]),
                    ("redis:*".to_owned(), vec!["/dev/c".to_owned()]),
                ]
                .into();
            },
            false,
            json!([{"path": "/dev/a:/dev/b:r"}]),
        ),
    ];
    for (number, (change, privileged, devices)) in cases.into_iter().enumerate() {
        let mut bench = bench().await;
        change(&mut bench.runner.docker);
        assert_passed(&bench, &bench.run(job(116).service("postgres:16", json!({}))).await);
        let spec = &services(&bench)[0].1.spec;
        let has = spec["cap_add"].to_string().contains("CAP_SYS_ADMIN");
        assert_eq!((has, &spec["devices"]), (privileged, &devices), "case {number}");
    }
}
