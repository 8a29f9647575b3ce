//! Quadlet units: a container and its volumes, kept by the account's systemd.

use super::unit::{Section, Unit};
use crate::sandbox::{Mount, Sandbox, SecretFile};

/// Files of a directory that podman's generator reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quadlet {
    /// Names and contents; the container comes first.
    pub files: Vec<(String, Unit)>,
}

/// Seconds that systemd waits beyond the container's own time-out.
const PATIENCE: u32 = 60;
/// Seconds for a start, which may pull the image.
const START: u32 = 900;

/// Until there is a way out of the host, but a minute at most: what podman gives the container is what the host has then.
const NETWORK: &str = "for i in $(seq 60); do cut -f 2 /proc/net/route | grep -qx 00000000 && exit; \
                       grep -v ' lo$' /proc/net/ipv6_route 2>/dev/null | grep -Eq '^0{32} 00 ' && exit; sleep 1; done";

/// Options that Quadlet gives by itself, or has a setting for below.
const OTHERWISE: [&str; 7] = [
    "--detach",
    "--restart=",
    "--name=",
    "--device=",
    "--secret=",
    "--volume=",
    "--env=",
];

/// What `podman run` is told, for Quadlet. Settings that every version since podman 4.4 knows are used; everything else is
/// handed to podman as it is, so it means the same.
#[must_use]
pub fn quadlet(sandbox: &Sandbox) -> Quadlet {
    let SecretFile { secret, owner, mode } = &sandbox.config;
    let mut container = Section::new("Container")
        .with("Image", &*sandbox.image)
        .with("ContainerName", &*sandbox.name);
    for device in &sandbox.devices {
        container = container.with("AddDevice", *device);
    }
    container = container.with("Secret", format!("{secret},uid={owner},gid={owner},mode={mode}"));
    for Mount { volume, target } in &sandbox.mounts {
        container = container.with("Volume", format!("{volume}.volume:{target}"));
    }
    for (name, value) in &sandbox.environment {
        container = container.with_words("Environment", vec![format!("{name}={value}")]);
    }
    let arguments = sandbox.run_arguments();
    let options = arguments.iter().skip(1).take(arguments.len().saturating_sub(2));
    for option in options.filter(|option| !is_otherwise(option, sandbox)) {
        container = container.with_words("PodmanArgs", vec![option.clone()]);
    }
    let unit = Section::new("Unit").with("Description", "GitLab CI jobs in rootless podman (pipglr)");
    let service = Section::new("Service")
        .with("Restart", "always")
        .with_words("ExecStartPre", ["/bin/sh", "-c", NETWORK].map(str::to_owned).into())
        .with("TimeoutStartSec", START.to_string())
        // Jobs are waited for.
        .with("TimeoutStopSec", (sandbox.stop_timeout + PATIENCE).to_string());
    let install = Section::new("Install").with("WantedBy", "default.target");
    let mut files = vec![(
        format!("{}.container", sandbox.name),
        Unit {
            sections: vec![unit, alone(), container, service, install],
        },
    )];
    for Mount { volume, .. } in &sandbox.mounts {
        let sections = vec![alone(), Section::new("Volume").with("VolumeName", &**volume)];
        files.push((format!("{volume}.volume"), Unit { sections }));
    }
    Quadlet { files }
}

/// Without podman's own wait, for a target of systemd's that many hosts never reach: a minute and a half of each boot. systemd
/// ignores the section where podman is older than it (5.3) and does not take it out.
fn alone() -> Section {
    Section::new("Quadlet").with("DefaultDependencies", "false")
}

/// An option of the person's own is always handed on.
fn is_otherwise(option: &str, sandbox: &Sandbox) -> bool {
    OTHERWISE.iter().any(|start| option.starts_with(start)) && !sandbox.extra.iter().any(|extra| extra == option)
}

#[cfg(test)]
mod tests {
    use super::quadlet;
    use crate::sandbox::Sandbox;

    const EXPECTED: &str = "[Unit]\nDescription=GitLab CI jobs in rootless podman (pipglr)\n\n\
        [Quadlet]\nDefaultDependencies=false\n\n[Container]\nImage=i:1\nContainerName=ci\nAddDevice=/dev/fuse\nAddDevice=/dev/net/tun\n\
        Secret=config.toml,uid=1001,gid=1001,mode=0400\n\
        Volume=pipglr-storage.volume:/home/podman/.local/share/containers\nVolume=pipglr-cache.volume:/cache\n\
        Volume=pipglr-state.volume:/var/lib/pipglr\nEnvironment=\"A=b c\"\nPodmanArgs=--tty\nPodmanArgs=--systemd=always\n\
        PodmanArgs=--stop-timeout=7200\nPodmanArgs=--pids-limit=-1\nPodmanArgs=--security-opt=label=disable\n\
        PodmanArgs=--security-opt=unmask=/proc/*\nPodmanArgs=--seccomp-policy=image\n\
        PodmanArgs=\"--health-cmd=pipglr health\"\nPodmanArgs=--health-interval=30s\nPodmanArgs=--health-start-period=60s\n\
        PodmanArgs=--volume=/etc/ssl/own:/etc/ssl/own\n\n\
        [Service]\nRestart=always\nExecStartPre=/bin/sh -c \"for i in $$(seq 60); do cut -f 2 /proc/net/route | grep -qx 00000000 && exit; \
        grep -v ' lo$$' /proc/net/ipv6_route 2>/dev/null | grep -Eq '^0{32} 00 ' && exit; sleep 1; done\"\nTimeoutStartSec=900\nTimeoutStopSec=7260\n\n[Install]\nWantedBy=default.target\n";

    #[test]
    fn a_container_and_its_volumes() {
        let mut sandbox = Sandbox::new("ci", "i:1");
        sandbox.environment.push(("A".to_owned(), "b c".to_owned()));
        sandbox.extra.push("--volume=/etc/ssl/own:/etc/ssl/own".to_owned());
        let files = quadlet(&sandbox).files;
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "ci.container",
                "pipglr-storage.volume",
                "pipglr-cache.volume",
                "pipglr-state.volume"
            ]
        );
        assert_eq!(files[0].1.text(), EXPECTED);
        assert_eq!(
            files[2].1.text(),
            "[Quadlet]\nDefaultDependencies=false\n\n[Volume]\nVolumeName=pipglr-cache\n"
        );
    }
}
