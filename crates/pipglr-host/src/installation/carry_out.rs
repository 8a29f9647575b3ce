//! Doing what a plan says. Every step can be done again, so a plan that broke off is made anew and goes on.

use super::configuration::{Configuration, ConfigurationError};
use super::look::{Config, Facts, RESTART_UNIT};
use super::plan::{Plan, Step};
use super::trial::{TrialError, try_out};
use super::wish::{Registration, Wish};
use crate::account::Account;
use crate::config::{ConfigSecret, SecretError};
use crate::podman::{Podman, PodmanError};
use crate::running::{drain, drain_and_stop, remove_stopped};
use crate::sandbox::{STATE_VOLUME, Sandbox};
use crate::service::{self, ServiceError};

/// In a container of the image: the token and the configuration so far come in, the new configuration goes out. Nothing of
/// it is an argument or on a disk.
const REGISTER: &str = "IFS= read -r REGISTRATION_TOKEN && export REGISTRATION_TOKEN && \
    cat >/etc/gitlab-runner/config.toml && /usr/lib/pipglr/register \"$@\" </dev/null >&2 && \
    cat /etc/gitlab-runner/config.toml";

/// Where the runner keeps its identity.
const STATE_DIRECTORY: &str = "/var/lib/pipglr";

/// A step failed. What was done before stays done.
#[derive(Debug, thiserror::Error)]
pub enum CarryOutError {
    #[error(transparent)]
    Podman(#[from] PodmanError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Trial(#[from] TrialError),
    #[error("the runner cannot be registered: {said}")]
    Register { said: String },
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    #[error("{name} is not healthy after {limit} s: {said}")]
    Unhealthy { name: String, limit: u32, said: String },
    #[error("the image {image} cannot be removed: {said}")]
    Image { image: String, said: String },
    #[error(transparent)]
    Service(#[from] ServiceError),
    #[error("systemctl --user {command}: {said}")]
    Systemctl { command: String, said: String },
    #[error("a plan without a token has a step that registers")]
    NoToken,
}

impl CarryOutError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Register { said } if said.to_ascii_lowercase().contains("certificate") => {
                "the runner's container trusts the *.crt of a directory that is mounted: \
                 --run-option=--volume=DIRECTORY:/etc/gitlab-runner/certs:ro, with the same command again"
            }
            Self::Register { .. } => {
                "correct --url, the token or the options after --, and give the same command again"
            }
            Self::Unhealthy { .. } => "pipglr logs shows why; the same command again waits once more",
            Self::Trial(_) => "nothing was changed: the container in service goes on",
            Self::Image { .. } => "the runner needs it no more; podman image prune removes what has no name",
            Self::Configuration(_) => "podman container runlabel dumpconfig IMAGE shows it; correct and store it again",
            Self::Podman(_) | Self::Secret(_) | Self::Service(_) | Self::Systemctl { .. } | Self::NoToken => {
                "the same command again goes on from here"
            }
        }
    }
}

/// Carries out one plan.
#[derive(Debug)]
pub struct Worker {
    account: Account,
    podman: Podman,
    secret: ConfigSecret,
    sandbox: Sandbox,
    registration: Option<Registration>,
    configuration: Configuration,
}

impl Worker {
    #[must_use]
    pub fn new(account: &Account, facts: &Facts, wish: &Wish, plan: &Plan) -> Self {
        let configuration = match &facts.config {
            Config::Stored { configuration, .. } => Configuration::clone(configuration),
            Config::Missing | Config::Unread => Configuration::empty(),
        };
        // What is made anew reaches the servers that the one before reached, whoever gives the command.
        let before = facts.container.as_ref().or(facts.aside.as_ref());
        let proxies = before.map_or(&[][..], |container| &container.proxies);
        Self {
            account: account.clone(),
            podman: Podman::of(account).with_proxies(proxies),
            secret: ConfigSecret::of(account),
            sandbox: plan.sandbox.clone(),
            registration: wish.registration.clone(),
            configuration,
        }
    }

    /// Takes one step; they have to be taken in order.
    ///
    /// # Errors
    /// [`CarryOutError`].
    pub fn take(&mut self, step: &Step) -> Result<(), CarryOutError> {
        match step {
            Step::PullImage { image } => self.podman(&["pull", "--quiet", image]),
            // The caller looks.
            Step::LookAgain => Ok(()),
            Step::PrepareVolume { volume, .. } => {
                let volumes = self.sandbox.volumes();
                let owned = volumes.iter().filter(|owned| owned.mount.volume == *volume);
                for owned in owned {
                    self.podman(&words(&self.sandbox.prepare_arguments(owned)))?;
                }
                Ok(())
            }
            Step::Register { .. } => self.register(),
            Step::SetConcurrent { to, .. } => {
                self.configuration.set_concurrent(*to);
                Ok(())
            }
            Step::StoreConfiguration => Ok(self.secret.store(&self.configuration.expose())?),
            Step::TryOut { .. } => Ok(try_out(&self.podman, &self.sandbox)?),
            Step::StopContainer { name, limit, .. } => Ok(drain_and_stop(&self.podman, name, *limit)?),
            Step::RenameContainer { from, to } => self.podman(&["rename", from, to]),
            Step::RemoveContainer { name } => Ok(remove_stopped(&self.podman, name)?),
            Step::RunContainer { .. } => self.podman(&words(&self.sandbox.run_arguments())),
            Step::RemoveImage { image } => self.remove_image(image),
            Step::WriteUnit { file, text } => self.of_service(service::Step::Write {
                file: file.clone(),
                text: text.clone(),
            }),
            Step::ReloadUnits => self.of_service(service::Step::Reload),
            Step::StartUnit { unit } => self.of_service(service::Step::Start { unit: unit.clone() }),
            Step::RestartUnit { unit, name, limit, .. } => {
                drain(&self.podman, name, *limit)?;
                self.of_service(service::Step::Restart {
                    unit: unit.clone(),
                    limit: *limit,
                })
            }
            Step::TagImage { id, name } => self.podman(&["tag", id, name]),
            Step::EnableRestart => self.systemctl(&["enable", "--quiet", RESTART_UNIT]),
            Step::StartContainer { name } => self.podman(&["start", name]),
            Step::WaitForHealth { name, limit } => self.wait_for_health(name, *limit),
        }
    }

    fn podman(&self, arguments: &[&str]) -> Result<(), CarryOutError> {
        self.podman.text(arguments)?;
        Ok(())
    }

    fn of_service(&self, step: service::Step) -> Result<(), CarryOutError> {
        Ok(step.take(&self.account)?)
    }

    fn systemctl(&self, arguments: &[&str]) -> Result<(), CarryOutError> {
        self.account
            .systemctl(arguments)
            .map_err(|said| CarryOutError::Systemctl {
                command: arguments.join(" "),
                said,
            })
    }

    fn register(&mut self) -> Result<(), CarryOutError> {
        let wanted = self.registration.as_ref().ok_or(CarryOutError::NoToken)?;
        let token = wanted.token.expose();
        let arguments = register_arguments(&self.sandbox, wanted);
        let input = format!("{token}\n{}", self.configuration.expose());
        let output = self.podman.output(&words(&arguments), Some(input.as_bytes()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).replace(token, "[MASKED]");
            return Err(CarryOutError::Register {
                said: said.trim().to_owned(),
            });
        }
        self.configuration = Configuration::parse(&String::from_utf8_lossy(&output.stdout))?;
        Ok(())
    }

    fn remove_image(&self, image: &str) -> Result<(), CarryOutError> {
        let output = self.podman.output(&["image", "rm", image], None)?;
        match output.status.code() {
            // 1: there is none; 2: a container or an image is made of it. podman-rmi(1)
            Some(0..=2) => Ok(()),
            _ => Err(CarryOutError::Image {
                image: image.to_owned(),
                said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            }),
        }
    }

    fn wait_for_health(&self, name: &str, limit: u32) -> Result<(), CarryOutError> {
        let seconds = limit.to_string();
        let output = self
            .podman
            .output(&["exec", name, "pipglr", "health", "--wait", &seconds], None)?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(CarryOutError::Unhealthy {
            name: name.to_owned(),
            limit,
            said: said
                .lines()
                .next()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned(),
        })
    }
}

/// The container that registers: its state and what it trusts are the runner's, its configuration is in memory.
fn register_arguments(sandbox: &Sandbox, wanted: &Registration) -> Vec<String> {
    let state = format!("--volume={STATE_VOLUME}:{STATE_DIRECTORY}");
    let state_directory = format!("--env=PIPGLR_STATE_DIR={STATE_DIRECTORY}");
    let mut all = vec![
        "run",
        "--rm",
        "--interactive",
        "--uts=host",
        "--log-driver=none",
        &state,
        "--tmpfs=/etc/gitlab-runner",
        "--tmpfs=/tmp",
        "--security-opt=label=disable",
    ];
    all.extend(sandbox.options_for_commands(&["/etc/gitlab-runner", "/tmp", STATE_DIRECTORY]));
    all.extend([&*state_directory, &*sandbox.image, "sh", "-c", REGISTER, "register"]);
    all.extend(["--non-interactive", "--url", &wanted.url, "--name", &wanted.name]);
    all.extend(wanted.options.iter().map(String::as_str));
    all.into_iter().map(str::to_owned).collect()
}

pub(super) fn words(owned: &[String]) -> Vec<&str> {
    owned.iter().map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::{CarryOutError, Registration, register_arguments};
    use crate::installation::Token;
    use crate::sandbox::Sandbox;

    #[test]
    fn who_registers_trusts_what_the_runner_trusts() {
        let mut sandbox = Sandbox::new("pipglr", "i:1");
        let certificates = "--volume=/home/ci/certs:/etc/gitlab-runner/certs:ro";
        sandbox.extra = vec![certificates.into(), "--publish=8093:8093".into()];
        let wanted = Registration {
            url: "https://g.example".into(),
            token: Token::new("glrt-secret"),
            name: "r".into(),
            options: vec!["--tls-ca-file=/etc/gitlab-runner/certs/g.crt".into()],
        };
        let arguments = register_arguments(&sandbox, &wanted);
        let at = |word: &str| arguments.iter().position(|there| there == word);
        assert!(
            at(certificates) < at("i:1") && at(certificates).is_some(),
            "{arguments:?}"
        );
        assert_eq!(at("--publish=8093:8093"), None);
        assert_eq!(arguments.last(), wanted.options.first());
        assert!(!arguments.concat().contains("glrt-"), "{arguments:?}");
    }

    #[test]
    fn an_unknown_authority_has_its_hint() {
        for (said, hint) in [
            ("invalid peer certificate: UnknownIssuer", "/etc/gitlab-runner/certs"),
            ("403 Forbidden", "correct --url"),
        ] {
            let error = CarryOutError::Register { said: said.into() };
            assert!(error.hint().contains(hint), "{said}");
        }
    }
}
