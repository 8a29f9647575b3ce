//! Doing what a plan says. Every step can be done again, so a plan that broke off is made anew and goes on.

use super::configuration::{Configuration, ConfigurationError};
use super::look::{Config, Facts};
use super::plan::{Plan, Step};
use super::trial::{TrialError, try_out};
use super::wish::{Registration, Wish};
use crate::account::Account;
use crate::config::{ConfigSecret, SecretError};
use crate::podman::{Podman, PodmanError};
use crate::running::{drain_and_stop, remove_stopped};
use crate::sandbox::{STATE_VOLUME, Sandbox};

/// In a container of the image: the token and the configuration so far come in, the new configuration goes out. Nothing of
/// it is an argument or on a disk.
const REGISTER: &str = "IFS= read -r REGISTRATION_TOKEN && export REGISTRATION_TOKEN && \
    cat >/etc/gitlab-runner/config.toml && /usr/lib/pipglr/register \"$@\" </dev/null >&2 && \
    cat /etc/gitlab-runner/config.toml";

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
    #[error("a plan without a token has a step that registers")]
    NoToken,
}

impl CarryOutError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Register { .. } => {
                "correct --url, the token or the options after --, and give the same command again"
            }
            Self::Unhealthy { .. } => "pipglr logs shows why; the same command again waits once more",
            Self::Trial(_) => "nothing was changed: the container in service goes on",
            Self::Image { .. } => "the runner needs it no more; podman image prune removes what has no name",
            Self::Configuration(_) => "podman container runlabel dumpconfig IMAGE shows it; correct and store it again",
            Self::Podman(_) | Self::Secret(_) | Self::NoToken => "the same command again goes on from here",
        }
    }
}

/// Carries out one plan.
#[derive(Debug)]
pub struct Worker {
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
        Self {
            podman: Podman::of(account),
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
            Step::StartContainer { name } => self.podman(&["start", name]),
            Step::WaitForHealth { name, limit } => self.wait_for_health(name, *limit),
        }
    }

    fn podman(&self, arguments: &[&str]) -> Result<(), CarryOutError> {
        self.podman.text(arguments)?;
        Ok(())
    }

    fn register(&mut self) -> Result<(), CarryOutError> {
        let wanted = self.registration.as_ref().ok_or(CarryOutError::NoToken)?;
        let token = wanted.token.expose();
        let state = format!("--volume={STATE_VOLUME}:/var/lib/pipglr");
        let mut arguments = vec![
            "run",
            "--rm",
            "--interactive",
            "--uts=host",
            "--log-driver=none",
            &state,
        ];
        arguments.extend([
            "--env=PIPGLR_STATE_DIR=/var/lib/pipglr",
            "--tmpfs=/etc/gitlab-runner",
            "--tmpfs=/tmp",
        ]);
        arguments.extend([
            "--security-opt=label=disable",
            &self.sandbox.image,
            "sh",
            "-c",
            REGISTER,
            "register",
        ]);
        arguments.extend(["--non-interactive", "--url", &wanted.url, "--name", &wanted.name]);
        arguments.extend(wanted.options.iter().map(String::as_str));
        let input = format!("{token}\n{}", self.configuration.expose());
        let output = self.podman.output(&arguments, Some(input.as_bytes()))?;
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

pub(super) fn words(owned: &[String]) -> Vec<&str> {
    owned.iter().map(String::as_str).collect()
}
