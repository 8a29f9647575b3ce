//! Where a configuration is: a file, or the podman secret of an account and the copy its runner has.

use super::super::host;
use crate::cli::{AccountArgs, WhereArgs};
use crate::error::CliError;
use crate::output;
use pipglr_host::config::{ConfigSecret, Reached, bring};
use pipglr_host::podman::Podman;
use pipglr_host::running::Running;
use pipglr_host::sandbox::{CONFIG_SECRET, IMAGE};
use pipglr_runner::config;
use std::path::{Path, PathBuf};

/// A configuration that can be read and replaced.
#[derive(Debug)]
pub(in super::super) enum Place {
    File(PathBuf),
    Secret(Box<Owner>),
}

/// Whose secret it is.
#[derive(Debug)]
pub(in super::super) struct Owner {
    pub(in super::super) podman: Podman,
    secret: ConfigSecret,
    running: Running,
    pub(in super::super) container: String,
    /// Reads the secret.
    image: String,
}

impl Place {
    pub(in super::super) fn of(args: &WhereArgs) -> Result<Self, CliError> {
        match &args.file {
            Some(file) => Ok(Self::File(file.clone())),
            None => Ok(Self::Secret(Box::new(Owner::of(&args.account, args.image.as_deref())?))),
        }
    }

    /// As errors call it.
    pub(in super::super) fn name(&self) -> PathBuf {
        match self {
            Self::File(file) => file.clone(),
            Self::Secret(_) => Path::new(CONFIG_SECRET).to_owned(),
        }
    }

    /// # Errors
    /// There is none, or it cannot be read.
    pub(in super::super) fn read(&self) -> Result<String, CliError> {
        match self {
            Self::File(file) => Ok(config::read(file)?),
            Self::Secret(owner) => owner.read()?.ok_or_else(|| {
                CliError::with_hint(
                    anyhow::anyhow!("there is no secret {CONFIG_SECRET}"),
                    "pipglr up registers a runner, pipglr config apply FILE stores a file",
                )
            }),
        }
    }

    /// Keeps `text`, which must have been checked, and brings it to the runner.
    ///
    /// # Errors
    /// The old text stays if it cannot be stored.
    pub(super) fn store(&self, text: &str, restart: bool) -> Result<(), CliError> {
        match self {
            Self::File(file) => {
                config::file::write(file, text)?;
                output::line(format_args!("{} is written", file.display()))
            }
            Self::Secret(owner) => owner.store(text, restart),
        }
    }
}

impl Owner {
    pub(in super::super) fn of(args: &AccountArgs, image: Option<&str>) -> Result<Self, CliError> {
        let account = host::account(args)?;
        let podman = Podman::of(&account);
        let image = match image {
            Some(image) => image.to_owned(),
            None => image_of(&podman, &args.container)?,
        };
        Ok(Self {
            secret: ConfigSecret::of(&account),
            running: Running::new(&account, &args.container),
            podman,
            container: args.container.clone(),
            image,
        })
    }

    pub(in super::super) fn read(&self) -> Result<Option<String>, CliError> {
        self.secret
            .read(&self.image)
            .map_err(|error| CliError::with_hint(error, "name an image of pipglr that is here: --image IMAGE"))
    }

    pub(in super::super) fn store(&self, text: &str, restart: bool) -> Result<(), CliError> {
        self.secret.store(text)?;
        output::line(format_args!("the secret {CONFIG_SECRET} is stored"))?;
        let name = &self.container;
        let reached = bring(&self.podman, name, text).map_err(|error| {
            CliError::with_hint(
                error,
                format!("the secret is stored, but {name} still has the old configuration: pipglr up makes it anew"),
            )
        })?;
        match reached {
            Reached::Running if restart => {
                output::aside(format_args!("{name} restarts when its jobs have ended"));
                self.running.restart(None).map_err(|error| {
                    CliError::with_hint(
                        error,
                        format!(
                            "the secret is stored; what needs a restart counts after: pipglr restart --container {name}"
                        ),
                    )
                })?;
                output::line(format_args!("{name} runs with it, restarted"))
            }
            Reached::Running => output::line(format_args!("{name} runs with it, without a restart")),
            Reached::Stopped => output::line(format_args!(
                "{name} is stopped and has the old configuration: pipglr up makes it anew"
            )),
            Reached::Missing => output::line(format_args!("there is no container {name} yet: pipglr up starts one")),
        }
    }
}

/// The image of the container, if there is one.
fn image_of(podman: &Podman, container: &str) -> Result<String, CliError> {
    if podman.says_yes(&["container", "exists", container])? {
        Ok(podman.text(&["container", "inspect", "--format={{.Image}}", container])?)
    } else {
        Ok(IMAGE.to_owned())
    }
}
