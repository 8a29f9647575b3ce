//! The container a runner lives in, as a plain value: what `podman run`, Quadlet and Kubernetes are told, from one place.

/// What everything is called where nobody says otherwise, as the image's runlabels call it.
pub const NAME: &str = "pipglr";
pub const IMAGE: &str = "registry.gitlab.com/qontainers/pipglr:latest";
pub const CONFIG_SECRET: &str = "config.toml";
pub const STORAGE_VOLUME: &str = "pipglr-storage";
pub const CACHE_VOLUME: &str = "pipglr-cache";
pub const STATE_VOLUME: &str = "pipglr-state";

/// How long running jobs are waited for where nobody says otherwise, in seconds.
pub const STOP_TIMEOUT: u32 = 7200;

/// The runner's user inside the image.
pub const RUNNER_UID: u32 = 1001;
/// The engine's user inside the image.
pub const ENGINE_UID: u32 = 1000;

/// Options of `podman run` that a second container cannot have at the same time, or that go against having no network.
const NOT_FOR_TRIALS: [&str; 20] = [
    "--network",
    "--net",
    "--network-alias",
    "--publish",
    "-p",
    "--publish-all",
    "-P",
    "--ip",
    "--ip6",
    "--mac-address",
    "--dns",
    "--dns-option",
    "--dns-search",
    "--add-host",
    "--pod",
    "--cidfile",
    "--pidfile",
    "--conmon-pidfile",
    "--restart",
    "--hostname",
];

/// Options of `podman run` that a command about the runner needs as the runner itself does: certificates, settings, the way to
/// GitLab.
const FOR_COMMANDS: [&str; 13] = [
    "--volume",
    "-v",
    "--mount",
    "--secret",
    "--env",
    "-e",
    "--env-file",
    "--add-host",
    "--dns",
    "--dns-option",
    "--dns-search",
    "--network",
    "--net",
];

/// A volume and where it is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    pub volume: String,
    pub target: &'static str,
}

/// A volume and whom it belongs to in the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedVolume {
    pub mount: Mount,
    /// A user of the image.
    pub owner: &'static str,
    /// As chmod(1) takes it.
    pub mode: &'static str,
}

impl OwnedVolume {
    /// The owner's number inside.
    #[must_use]
    pub fn uid(&self) -> u32 {
        if self.owner == "runner" { RUNNER_UID } else { ENGINE_UID }
    }
}

/// A secret of podman's and the file it is in the container, in /run/secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFile {
    pub secret: String,
    pub owner: u32,
    /// As chmod(1) takes it.
    pub mode: &'static str,
}

/// The container of a runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    pub name: String,
    pub image: String,
    pub config: SecretFile,
    pub mounts: Vec<Mount>,
    pub devices: Vec<&'static str>,
    /// Values of `--security-opt`.
    pub security: Vec<&'static str>,
    /// How long `podman stop` waits for jobs, in seconds.
    pub stop_timeout: u32,
    /// Names and values, in order; secrets have no place here.
    pub environment: Vec<(String, String)>,
    /// More options of `podman run`, as the person wrote them.
    pub extra: Vec<String>,
    /// Whether podman is to ask for the runner's health by itself: it needs the session's systemd for that.
    pub health_checks: bool,
}

impl Sandbox {
    /// As the runlabel `run` makes it.
    #[must_use]
    pub fn new(name: &str, image: &str) -> Self {
        let mount = |volume: &str, target| Mount {
            volume: volume.to_owned(),
            target,
        };
        Self {
            name: name.to_owned(),
            image: image.to_owned(),
            config: SecretFile {
                secret: CONFIG_SECRET.to_owned(),
                owner: RUNNER_UID,
                mode: "0400",
            },
            mounts: vec![
                mount(STORAGE_VOLUME, "/home/podman/.local/share/containers"),
                mount(CACHE_VOLUME, "/cache"),
                mount(STATE_VOLUME, "/var/lib/pipglr"),
            ],
            devices: vec!["/dev/fuse", "/dev/net/tun"],
            security: vec!["label=disable", "unmask=/proc/*"],
            stop_timeout: STOP_TIMEOUT,
            environment: Vec::new(),
            extra: Vec::new(),
            health_checks: true,
        }
    }

    /// The arguments of podman that make and start it.
    #[must_use]
    pub fn run_arguments(&self) -> Vec<String> {
        let mut all: Vec<String> = ["run", "--detach", "--tty", "--systemd=always", "--restart=always"]
            .map(str::to_owned)
            .into();
        let mut option = |name: &str, value: &str| all.push(format!("--{name}={value}"));
        option("name", &self.name);
        option("stop-timeout", &self.stop_timeout.to_string());
        option("pids-limit", "-1");
        for device in &self.devices {
            option("device", device);
        }
        for value in &self.security {
            option("security-opt", value);
        }
        option("seccomp-policy", "image");
        let SecretFile { secret, owner, mode } = &self.config;
        option("secret", &format!("{secret},uid={owner},gid={owner},mode={mode}"));
        for Mount { volume, target } in &self.mounts {
            option("volume", &format!("{volume}:{target}"));
        }
        for (name, value) in &self.environment {
            option("env", &format!("{name}={value}"));
        }
        option("health-cmd", "pipglr health");
        option("health-interval", if self.health_checks { "30s" } else { "disable" });
        option("health-start-period", "60s");
        all.extend(self.extra.iter().cloned());
        all.push(self.image.clone());
        all
    }

    /// The same container beside this one, to try it out: on volumes of its own, without a network, and so without jobs. What
    /// a person added counts as far as it does not speak of the network or of being started again.
    #[must_use]
    pub fn trial(&self) -> Self {
        let mut trial = self.clone();
        trial.name = format!("{}-trial", self.name);
        for mount in &mut trial.mounts {
            mount.volume = format!("{}-trial-{}", self.name, mount.volume.trim_start_matches("pipglr-"));
        }
        trial.extra.retain(|option| !NOT_FOR_TRIALS.contains(&name_of(option)));
        trial
            .extra
            .extend(["--network=none", "--restart=no"].map(str::to_owned));
        trial.health_checks = false;
        trial
    }

    /// What a person added, as far as a short-lived container beside this one needs it, too, which has files of its own at
    /// `occupied`.
    #[must_use]
    pub fn options_for_commands(&self, occupied: &[&str]) -> Vec<&str> {
        let free = |option: &str| {
            let target = option
                .strip_prefix("--volume=")
                .or_else(|| option.strip_prefix("-v="))
                .and_then(|value| value.split(':').nth(1));
            target.is_none_or(|target| !occupied.contains(&target.trim_end_matches('/')))
        };
        let wanted = |option: &&str| FOR_COMMANDS.contains(&name_of(option)) && free(option);
        self.extra.iter().map(String::as_str).filter(wanted).collect()
    }

    /// The name a container of this name has while another takes its place.
    #[must_use]
    pub fn aside(name: &str) -> String {
        format!("{name}-before")
    }

    /// The arguments of podman that make a volume belong to its user in the container.
    #[must_use]
    pub fn prepare_arguments(&self, volume: &OwnedVolume) -> Vec<String> {
        let OwnedVolume { mount, owner, mode } = volume;
        let mut all: Vec<String> = ["run", "--rm", "--network=none", "--log-driver=none"]
            .map(str::to_owned)
            .into();
        all.push(format!("--volume={}:{}", mount.volume, mount.target));
        all.push(self.image.clone());
        all.extend(["install", "-d", "-o", owner, "-g", owner, "-m", mode, mount.target].map(str::to_owned));
        all
    }

    /// The volumes and whom they belong to inside.
    #[must_use]
    pub fn volumes(&self) -> Vec<OwnedVolume> {
        let owned = self.mounts.iter().map(|mount| {
            let (owner, mode) = match mount.target {
                "/cache" => ("podman", "777"),
                "/var/lib/pipglr" => ("runner", "700"),
                _ => ("podman", "700"),
            };
            OwnedVolume {
                mount: mount.clone(),
                owner,
                mode,
            }
        });
        owned.collect()
    }
}

/// `--env` of `--env=NAME=value`.
pub(crate) fn name_of(option: &str) -> &str {
    option.split_once('=').map_or(option, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::Sandbox;

    #[test]
    fn commands_see_certificates_and_the_network_as_the_runner_does() {
        let mut sandbox = Sandbox::new("pipglr", "i:1");
        sandbox.extra = [
            "--publish=8093:8093",
            "--env=CA_CERTIFICATES_PATH=/etc/own.crt",
            "--volume=./certs:/etc/gitlab-runner/certs:ro",
            "--volume=./all:/etc/gitlab-runner:ro",
            "--add-host=gitlab.example:192.0.2.1",
            "--memory=4g",
            "--network=host",
            "--secret=own.crt,target=/etc/own.crt",
        ]
        .map(str::to_owned)
        .into();
        assert_eq!(
            sandbox.options_for_commands(&["/etc/gitlab-runner"]),
            [
                "--env=CA_CERTIFICATES_PATH=/etc/own.crt",
                "--volume=./certs:/etc/gitlab-runner/certs:ro",
                "--add-host=gitlab.example:192.0.2.1",
                "--network=host",
                "--secret=own.crt,target=/etc/own.crt",
            ]
        );
    }

    #[test]
    fn a_trial_shares_nothing_with_the_container_in_service() {
        let mut sandbox = Sandbox::new("pipglr", "i:2");
        sandbox.extra = [
            "--publish=8093:8093",
            "--env=A=b",
            "--network=host",
            "--volume=certs:/certs",
        ]
        .map(str::to_owned)
        .into();
        let trial = sandbox.trial();
        assert_eq!((trial.name.as_str(), trial.image.as_str()), ("pipglr-trial", "i:2"));
        let volumes: Vec<&str> = trial.mounts.iter().map(|mount| mount.volume.as_str()).collect();
        assert_eq!(
            volumes,
            ["pipglr-trial-storage", "pipglr-trial-cache", "pipglr-trial-state"]
        );
        assert_eq!(
            trial.extra,
            ["--env=A=b", "--volume=certs:/certs", "--network=none", "--restart=no"]
        );
        assert_eq!(trial.config, sandbox.config);
    }
}
