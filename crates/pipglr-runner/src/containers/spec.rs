//! From plan to container settings. Pure.

use super::EngineSettings;
use crate::container_side::relay;
use crate::job::plan::{JobPlan, NetworkPlan, ServicePlan, VolumeMount, label};
use pipglr_podman::{
    ContainerSpec, Device, HealthConfig, Image, LogConfiguration, Mount, NamedVolume, Namespace, NetworkAttachment,
    OverlayVolume,
};

/// Where this program is found inside job containers.
pub const PROGRAM_INSIDE: &str = "/.pipglr/pipglr";
/// Where podman inside a job finds its settings.
const NESTED_CONF_INSIDE: &str = "/.pipglr/containers.conf";

/// The build container: the job's image with our init as process 1.
#[must_use]
pub fn build_container(plan: &JobPlan, image: &Image, settings: &EngineSettings) -> ContainerSpec {
    let mut spec = ContainerSpec {
        image: Some(image.id.clone()),
        entrypoint: Some(command_line(PROGRAM_INSIDE.to_owned(), "job-init", settings)),
        // The init starts as root to prepare directories, then runs scripts as the image's user.
        user: Some("0:0".to_owned()),
        ..common(plan, "build", &plan.options.build)
    };
    connect(&mut spec, plan, &["build".to_owned()]);
    mount_program(&mut spec, settings);
    mount_relay(&mut spec, settings);
    for volume in &plan.volumes {
        mount(&mut spec, volume);
    }
    if plan.privileged && settings.nested_privileged {
        allow_nested_builds(&mut spec, settings);
    }
    spec
}

/// A helper container: a read-only skeleton with the engine's own `/usr`, and the job's builds volume.
#[must_use]
pub fn helper_container(plan: &JobPlan, role: &str, settings: &EngineSettings) -> ContainerSpec {
    let below_usr = settings.program.starts_with("/usr");
    let program = if below_usr {
        settings.program.display().to_string()
    } else {
        PROGRAM_INSIDE.to_owned()
    };
    let mut spec = ContainerSpec {
        rootfs: Some(settings.helper_root.display().to_string()),
        rootfs_overlay: true,
        // The skeleton belongs to an ID that is not mapped here: nothing can be created in it, only mounted over.
        read_only_filesystem: true,
        read_write_tmpfs: Some(true),
        entrypoint: Some(command_line(program, "helper", settings)),
        user: Some("0:0".to_owned()),
        ..common(plan, role, &plan.options.helper)
    };
    connect(&mut spec, plan, &[]);
    spec.mounts.push(Mount::bind("/usr", "/usr", &["ro", "rbind"]));
    if !below_usr {
        mount_program(&mut spec, settings);
    }
    mount_relay(&mut spec, settings);
    spec.mounts
        .push(Mount::tmpfs("/root", &["mode=700", "nosuid", "nodev"]));
    spec.env.insert("HOME", "/root");
    spec.env
        .insert("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    spec
}

/// `program role`, and the way to the coordinator if there is a special one.
fn command_line(program: String, role: &str, settings: &EngineSettings) -> Vec<String> {
    let mut line = vec![program, role.to_owned()];
    if let Some(relay) = &settings.relay {
        line.extend(["--relay".to_owned(), relay.port.to_string()]);
    }
    line
}

fn mount_program(spec: &mut ContainerSpec, settings: &EngineSettings) {
    let program = settings.program.display().to_string();
    spec.mounts.push(Mount::bind(program, PROGRAM_INSIDE, &["ro"]));
}

fn mount_relay(spec: &mut ContainerSpec, settings: &EngineSettings) {
    if let Some(relay) = &settings.relay {
        let socket = relay.socket.display().to_string();
        spec.mounts.push(Mount::bind(socket, relay::SOCKET_INSIDE, &["rw"]));
    }
}

/// A service: its image as it is, with the job's volumes, found by its aliases.
#[must_use]
pub fn service_container(
    plan: &JobPlan,
    service: &ServicePlan,
    image: &Image,
    settings: &EngineSettings,
) -> ContainerSpec {
    let mut spec = ContainerSpec {
        image: Some(image.id.clone()),
        command: service.command.clone(),
        user: service.image.user.clone(),
        hostname: None,
        stdin: false,
        ..common(plan, &service.role, &plan.options.service)
    };
    if !service.image.entrypoint.is_empty() {
        // One empty string is how authors say "none".
        let entrypoint = service.image.entrypoint.iter().filter(|part| !part.is_empty());
        spec.entrypoint = Some(entrypoint.cloned().collect());
    }
    for (key, variable) in &service.environment {
        if variable.is_secret() {
            spec.env_secrets.insert(key.clone(), secret_name(plan, service, key));
        } else {
            spec.env.insert(key, variable.value.expose());
        }
    }
    spec.labels.extend(plan.labels.for_kind("service"));
    for (key, value) in [("service", &service.service), ("service.version", &service.version)] {
        spec.labels.insert(label(key), value.clone());
    }
    connect(&mut spec, plan, &service.aliases);
    for volume in &plan.volumes {
        mount(&mut spec, volume);
    }
    spec.devices.extend(service.devices.iter().map(Device::new));
    if service.privileged && settings.nested_privileged {
        allow_nested_builds(&mut spec, settings);
    }
    spec
}

/// Name of the secret that holds a hidden variable of a service.
#[must_use]
pub fn secret_name(plan: &JobPlan, service: &ServicePlan, key: &str) -> String {
    format!("{}-{}-{key}", plan.names.unique, service.role)
}

/// Puts a container into the job's network, to be found there as `aliases`.
fn connect(spec: &mut ContainerSpec, plan: &JobPlan, aliases: &[String]) {
    match &plan.network {
        NetworkPlan::Default => {}
        NetworkPlan::None => spec.netns = Some(Namespace::none()),
        NetworkPlan::Host => spec.netns = Some(Namespace::host()),
        NetworkPlan::Container(name) => spec.netns = Some(Namespace::container(name)),
        NetworkPlan::Path(path) => spec.netns = Some(Namespace::path(path)),
        NetworkPlan::Program { name, options } => {
            spec.netns = Some(if name == "pasta" {
                Namespace::pasta()
            } else {
                Namespace::slirp4netns()
            });
            spec.network_options.insert(name.clone(), options.clone());
        }
        NetworkPlan::Bridge { own, further } => {
            spec.netns = Some(Namespace::bridge());
            if let Some(network) = own {
                let attachment = NetworkAttachment {
                    aliases: aliases.to_vec(),
                    ..NetworkAttachment::default()
                };
                spec.networks.insert(network.name.clone(), attachment);
            }
            if let Some(network) = further {
                spec.networks.insert(network.clone(), NetworkAttachment::default());
            }
        }
    }
    if plan.network == NetworkPlan::Host {
        let aliases = plan.services.list.iter().flat_map(|service| &service.aliases);
        spec.hostadd.extend(aliases.map(|alias| format!("{alias}:127.0.0.1")));
    }
}

fn common(plan: &JobPlan, role: &str, options: &ContainerSpec) -> ContainerSpec {
    let mut spec = ContainerSpec {
        name: Some(format!("{}-{role}", plan.names.unique)),
        hostname: options.hostname.clone().or_else(|| Some(plan.names.base.clone())),
        stdin: true,
        // conmon's file can be replayed from the start after a lost connection; journald may not even be there.
        log_configuration: Some(LogConfiguration {
            driver: Some("k8s-file".to_owned()),
            ..LogConfiguration::default()
        }),
        stop_timeout: Some(10),
        // The image's own check needs systemd timers; for services it is run by us, for others it means nothing.
        healthconfig: Some(HealthConfig::none()),
        ..options.clone()
    };
    // A configured label does not win over what objects are found by.
    spec.labels.extend(plan.labels.for_kind(role));
    let builds = VolumeMount {
        source: plan.builds.name.clone(),
        destination: plan.builds.directory.clone(),
        options: plan.builds.options.clone(),
    };
    mount(&mut spec, &builds);
    spec
}

fn mount(spec: &mut ContainerSpec, volume: &VolumeMount) {
    let options: Vec<&str> = volume.options.iter().map(String::as_str).collect();
    if options.contains(&"O") && volume.source.starts_with('/') {
        spec.overlay_volumes.push(OverlayVolume {
            destination: volume.destination.clone(),
            source: volume.source.clone(),
            options: Vec::new(),
        });
    } else if volume.source.starts_with('/') {
        spec.mounts
            .push(Mount::bind(&volume.source, &volume.destination, &options));
    } else {
        spec.volumes
            .push(NamedVolume::new(&volume.source, &volume.destination, &options));
    }
}

/// What building images and running containers inside a job needs, and nothing more. Plain `privileged` cannot work
/// nested: it wants to mount a fresh sysfs. All of this is within the user namespaces of the sandbox.
fn allow_nested_builds(spec: &mut ContainerSpec, settings: &EngineSettings) {
    spec.cap_add
        .extend(["CAP_SYS_ADMIN".to_owned(), "CAP_NET_ADMIN".to_owned()]);
    spec.unmask.push("/proc/*".to_owned());
    spec.devices
        .extend([Device::new("/dev/fuse"), Device::new("/dev/net/tun")]);
    if let Some(conf) = &settings.nested_containers_conf {
        // There is no cgroup to manage in there.
        spec.mounts
            .push(Mount::bind(conf.display().to_string(), NESTED_CONF_INSIDE, &["ro"]));
        spec.env.insert("CONTAINERS_CONF_OVERRIDE", NESTED_CONF_INSIDE);
    }
}
