//! Answers as podman writes them, shortened to what is read and what lies around it.

use std::collections::BTreeMap;

use crate::fake::{Fake, Step, answer};
use pipglr_podman::{Client, ContainerSummary, Filters, ImageSummary, Info, Network, Volume};

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn once(body: &str) -> Fake {
    Fake::start(vec![vec![Step::Request, answer("200 OK", body)]])
}

#[tokio::test]
async fn info_is_read() {
    let fake = once(
        r#"{"host":{"arch":"amd64","cgroupManager":"cgroupfs","cgroupVersion":"v2","cgroupControllers":null,
        "networkBackend":"netavark","ociRuntime":{"name":"crun","path":"/usr/bin/crun"},"security":{"rootless":true,"seccompEnabled":true}},
        "store":{"graphDriverName":"overlay","graphRoot":"/g"},"registries":{},"plugins":{},
        "version":{"APIVersion":"4.3.1","Version":"4.3.1","Os":"linux"}}"#,
    );
    let expected = Info {
        version: "4.3.1".to_owned(),
        arch: "amd64".to_owned(),
        cgroup_version: "v2".to_owned(),
        cgroup_manager: "cgroupfs".to_owned(),
        cgroup_controllers: Vec::new(),
        graph_driver: "overlay".to_owned(),
        graph_root: "/g".to_owned(),
        network_backend: "netavark".to_owned(),
        oci_runtime: "crun".to_owned(),
        rootless: true,
    };
    assert_eq!(Client::new(fake.socket()).info().await.unwrap(), expected);
    fake.finish().await;
}

#[tokio::test]
async fn an_image_is_read() {
    let fake = once(
        r#"{"Id":"abc","Digest":"sha256:1","RepoTags":["reg/i:1"],"RepoDigests":["reg/i@sha256:1"],"Architecture":"arm64","Os":"linux",
        "Config":{"User":"postgres","ExposedPorts":{"5432/tcp":{},"53/udp":{}},"Env":["A=b"],"Entrypoint":["e"],"Cmd":null,
        "Volumes":{"/data":{}},"WorkingDir":"/w","Labels":null,"StopSignal":"SIGINT"},"Labels":null,
        "Healthcheck":{"Test":["CMD","true"]},"Size":1}"#,
    );
    let image = Client::new(fake.socket()).image("abc").await.unwrap().unwrap();
    assert_eq!(
        (
            image.id.as_str(),
            image.os.as_str(),
            image.architecture.as_str(),
            &image.repo_digests[..]
        ),
        ("abc", "linux", "arm64", &["reg/i@sha256:1".to_owned()][..])
    );
    let config = &image.config;
    assert_eq!(
        (
            config.user.as_str(),
            config.working_dir.as_str(),
            config.stop_signal.as_str()
        ),
        ("postgres", "/w", "SIGINT")
    );
    assert_eq!((&config.entrypoint, &config.cmd), (&Some(vec!["e".to_owned()]), &None));
    assert_eq!(config.exposed_ports().collect::<Vec<_>>(), ["53/udp", "5432/tcp"]);
    assert_eq!(config.volumes().collect::<Vec<_>>(), ["/data"]);
    assert_eq!((&config.env[..], &config.labels), (&["A=b".to_owned()][..], &map(&[])));
    assert!(image.healthcheck.is_some());
    fake.finish().await;
}

#[tokio::test]
async fn a_container_is_read() {
    let fake = once(
        r#"{"Id":"c1","Name":"n","Image":"abc","ImageName":"reg/i:1","State":{"Status":"exited","Running":false,"OOMKilled":true,
        "ExitCode":137,"Error":"","Pid":0,"StartedAt":"2026-01-01T00:00:00.5Z","FinishedAt":"2026-01-01T00:00:01Z"},
        "Config":{"Labels":{"a":"b"},"Tty":false,"Entrypoint":"e"},
        "NetworkSettings":{"IPAddress":"","Networks":{"net":{"IPAddress":"10.89.0.2","GlobalIPv6Address":"","Aliases":["db"]}}}}"#,
    );
    let container = Client::new(fake.socket()).inspect_container("n").await.unwrap();
    assert_eq!(
        (container.id.as_str(), container.image_name.as_str()),
        ("c1", "reg/i:1")
    );
    let state = &container.state;
    assert_eq!(
        (state.status.as_str(), state.running, state.exit_code),
        ("exited", false, 137)
    );
    assert!(state.oom_killed);
    assert_eq!(state.started_at, "2026-01-01T00:00:00.5Z");
    assert_eq!(container.config.labels, map(&[("a", "b")]));
    assert_eq!(container.network_settings.address(), Some("10.89.0.2"));
    assert_eq!(container.network_settings.networks["net"].aliases, ["db"]);
    fake.finish().await;
}

const BY_LABEL: &str = "filters=%7B%22label%22%3A%5B%22a%3Db%22%5D%7D";

/// Checks the one request a fake got, then ends it.
async fn asked(fake: Fake, path_and_query: &str) {
    let lines: Vec<String> = fake.finish().await.into_iter().map(|request| request.line).collect();
    assert_eq!(lines, [format!("GET /v4.0.0/libpod{path_and_query}")]);
}

#[tokio::test]
async fn containers_are_listed_by_label() {
    let fake = once(
        r#"[{"Id":"c1","Names":["n"],"Labels":{"a":"b"},"State":"running","Image":"i","ImageID":"e1","ExitCode":0,"Ports":null}]"#,
    );
    let containers = Client::new(fake.socket())
        .containers(&Filters::label("a=b"), true)
        .await
        .unwrap();
    assert_eq!(
        containers,
        [ContainerSummary {
            id: "c1".to_owned(),
            names: vec!["n".to_owned()],
            labels: map(&[("a", "b")]),
            state: "running".to_owned(),
            image: "i".to_owned(),
            image_id: "e1".to_owned(),
            exit_code: 0,
        }]
    );
    asked(fake, &format!("/containers/json?all=true&{BY_LABEL}")).await;
}

#[tokio::test]
async fn volumes_are_listed_by_label() {
    let fake =
        once(r#"[{"Name":"v","Driver":"local","Mountpoint":"/m","CreatedAt":"t","Labels":{"a":"b"},"Options":null}]"#);
    let volumes = Client::new(fake.socket())
        .volumes(&Filters::label("a=b"))
        .await
        .unwrap();
    assert_eq!(
        volumes,
        [Volume {
            name: "v".to_owned(),
            mountpoint: "/m".to_owned(),
            labels: map(&[("a", "b")]),
            options: map(&[]),
            created_at: "t".to_owned(),
        }]
    );
    asked(fake, &format!("/volumes/json?{BY_LABEL}")).await;
}

#[tokio::test]
async fn images_are_listed_by_label() {
    let fake = once(r#"[{"Id":"i1","RepoTags":null,"RepoDigests":["x"],"Labels":null,"Size":7,"Created":8}]"#);
    let images = Client::new(fake.socket()).images(&Filters::label("a=b")).await.unwrap();
    assert_eq!(
        images,
        [ImageSummary {
            id: "i1".to_owned(),
            repo_tags: Vec::new(),
            repo_digests: vec!["x".to_owned()],
            labels: map(&[]),
            size: 7,
            created: 8,
        }]
    );
    asked(fake, &format!("/images/json?{BY_LABEL}")).await;
}

#[tokio::test]
async fn networks_are_listed_by_label() {
    let fake = once(
        r#"[{"name":"n","id":"1","driver":"bridge","network_interface":"podman1","created":"t",
        "subnets":[{"subnet":"10.89.0.0/24","gateway":"10.89.0.1"}],"ipv6_enabled":false,"internal":true,"dns_enabled":false,
        "labels":{"a":"b"},"options":{"mtu":"1400"},"ipam_options":{"driver":"host-local"}}]"#,
    );
    let networks = Client::new(fake.socket())
        .networks(&Filters::label("a=b"))
        .await
        .unwrap();
    assert_eq!(
        networks,
        [Network {
            id: "1".to_owned(),
            name: "n".to_owned(),
            driver: "bridge".to_owned(),
            labels: map(&[("a", "b")]),
            dns_enabled: false,
            internal: true,
            ipv6_enabled: false,
            options: map(&[("mtu", "1400")]),
        }]
    );
    asked(fake, &format!("/networks/json?{BY_LABEL}")).await;
}
