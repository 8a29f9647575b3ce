//! The container specification as JSON, field names as in podman's `pkg/specgen/specgen.go`.

use pipglr_podman::{
    ContainerSpec, CpuLimits, Device, Environment, HealthConfig, LogConfiguration, MemoryLimits, Mount, NamedVolume,
    Namespace, OverlayVolume, PidsLimit, ResourceLimits, Rlimit,
};
use serde_json::{Value, json};

#[track_caller]
fn check(spec: ContainerSpec, expected: Value) {
    assert_eq!(serde_json::to_value(&spec).unwrap(), expected);
}

#[test]
fn an_empty_specification_says_nothing() {
    check(ContainerSpec::default(), json!({}));
}

#[test]
fn the_root_may_be_a_directory_under_an_overlay() {
    check(
        ContainerSpec {
            rootfs: Some("/root".to_owned()),
            rootfs_overlay: true,
            read_only_filesystem: true,
            volatile: true,
            ..ContainerSpec::default()
        },
        json!({"rootfs": "/root", "rootfs_overlay": true, "read_only_filesystem": true, "volatile": true}),
    );
}

#[test]
fn storage_has_podmans_mixture_of_cases() {
    check(
        ContainerSpec {
            mounts: vec![
                Mount::bind("/s", "/d", &["ro", "rbind"]),
                Mount::tmpfs("/t", &["size=1m"]),
            ],
            volumes: vec![
                NamedVolume::new("v", "/v", &["nocopy"]),
                NamedVolume::new("w", "/w", &[]),
            ],
            overlay_volumes: vec![OverlayVolume {
                destination: "/o".to_owned(),
                source: "/src".to_owned(),
                options: vec![],
            }],
            devices: vec![Device::new("/dev/fuse")],
            image_volume_mode: Some("ignore".to_owned()),
            shm_size: Some(1 << 26),
            ..ContainerSpec::default()
        },
        json!({
            "mounts": [
                {"destination": "/d", "type": "bind", "source": "/s", "options": ["ro", "rbind"]},
                {"destination": "/t", "type": "tmpfs", "source": "tmpfs", "options": ["size=1m"]},
            ],
            "volumes": [{"Name": "v", "Dest": "/v", "Options": ["nocopy"]}, {"Name": "w", "Dest": "/w"}],
            "overlay_volumes": [{"destination": "/o", "source": "/src"}],
            "devices": [{"path": "/dev/fuse"}],
            "image_volume_mode": "ignore",
            "shm_size": 67_108_864,
        }),
    );
}

#[test]
fn namespaces_have_a_mode_and_a_value() {
    check(
        ContainerSpec {
            netns: Some(Namespace::container("c1")),
            pidns: Some(Namespace::private()),
            ipcns: Some(Namespace::shareable()),
            utsns: Some(Namespace::host()),
            userns: Some(Namespace::auto(Some("size=1000".to_owned()))),
            cgroupns: Some(Namespace::path("/run/ns")),
            ..ContainerSpec::default()
        },
        json!({
            "netns": {"nsmode": "container", "value": "c1"},
            "pidns": {"nsmode": "private"},
            "ipcns": {"nsmode": "shareable"},
            "utsns": {"nsmode": "host"},
            "userns": {"nsmode": "auto", "value": "size=1000"},
            "cgroupns": {"nsmode": "path", "value": "/run/ns"},
        }),
    );
}

#[test]
fn limits_have_the_names_podman_reads() {
    check(
        ContainerSpec {
            resource_limits: Some(ResourceLimits {
                memory: Some(MemoryLimits {
                    limit: Some(1024),
                    swap: Some(-1),
                    disable_oom_killer: Some(true),
                    ..MemoryLimits::default()
                }),
                cpu: Some(CpuLimits {
                    quota: Some(50_000),
                    period: Some(100_000),
                    cpus: Some("0".to_owned()),
                    ..CpuLimits::default()
                }),
                pids: Some(PidsLimit { limit: 64 }),
            }),
            r_limits: vec![Rlimit::new("RLIMIT_NOFILE", 1, 2), Rlimit::new("core", 0, 0)],
            oom_score_adj: Some(-5),
            ..ContainerSpec::default()
        },
        json!({
            "resource_limits": {
                "memory": {"limit": 1024, "swap": -1, "disableOOMKiller": true},
                "cpu": {"quota": 50_000, "period": 100_000, "cpus": "0"},
                "pids": {"limit": 64},
            },
            "r_limits": [{"type": "nofile", "hard": 2, "soft": 1}, {"type": "core", "hard": 0, "soft": 0}],
            "oom_score_adj": -5,
        }),
    );
}

#[test]
fn security_and_the_rest_are_flat() {
    let text = |text: &str| Some(text.to_owned());
    let list = |items: &[&str]| items.iter().map(|&item| item.to_owned()).collect::<Vec<_>>();
    check(
        ContainerSpec {
            privileged: Some(false),
            init: Some(false),
            terminal: true,
            cap_add: list(&["sys_admin"]),
            cap_drop: list(&["all"]),
            selinux_opts: list(&["disable"]),
            apparmor_profile: text("unconfined"),
            seccomp_profile_path: text("/p.json"),
            no_new_privileges: true,
            mask: list(&["/proc/x"]),
            unmask: list(&["/proc/*"]),
            log_configuration: Some(LogConfiguration {
                driver: text("k8s-file"),
                path: text("/l"),
                ..LogConfiguration::default()
            }),
            healthconfig: Some(HealthConfig::none()),
            cgroups_mode: text("disabled"),
            stop_timeout: Some(0),
            stop_signal: Some(15),
            timeout: Some(60),
            umask: text("0000"),
            timezone: text("local"),
            oci_runtime: text("crun"),
            ..ContainerSpec::default()
        },
        json!({
            "privileged": false,
            "init": false,
            "terminal": true,
            "cap_add": ["sys_admin"],
            "cap_drop": ["all"],
            "selinux_opts": ["disable"],
            "apparmor_profile": "unconfined",
            "seccomp_profile_path": "/p.json",
            "no_new_privileges": true,
            "mask": ["/proc/x"],
            "unmask": ["/proc/*"],
            "log_configuration": {"driver": "k8s-file", "path": "/l"},
            "healthconfig": {"Test": ["NONE"]},
            "cgroups_mode": "disabled",
            "stop_timeout": 0,
            "stop_signal": 15,
            "timeout": 60,
            "umask": "0000",
            "timezone": "local",
            "oci_runtime": "crun",
        }),
    );
}

#[test]
fn values_of_variables_are_not_shown() {
    let spec = ContainerSpec {
        env: Environment::from_iter([("TOKEN", "hunter2")]),
        ..ContainerSpec::default()
    };
    let shown = format!("{spec:?}");
    assert!(shown.contains("TOKEN") && !shown.contains("hunter2"), "{shown}");
}
