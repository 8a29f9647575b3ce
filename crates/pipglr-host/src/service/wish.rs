//! The container a person wants systemd to keep, with what the one that is there was given.

use super::kept::{Kept, sets};
use super::look::unit_file;
use crate::account::Account;
use crate::installation::command_line::options;
use crate::podman::{Podman, PodmanError};
use crate::sandbox::{IMAGE, Sandbox};
use serde::Deserialize;

/// What is empty or `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    pub container: String,
    pub image: Option<String>,
    /// Names and values.
    pub environment: Vec<(String, String)>,
    /// More options of `podman run`.
    pub options: Vec<String>,
}

impl Wish {
    /// The container it comes to, by the unit's file, else by the container of the name.
    ///
    /// # Errors
    /// podman cannot be asked.
    pub fn sandbox(&self, account: &Account) -> Result<Sandbox, PodmanError> {
        let file = unit_file(account, &self.container);
        let there = match file.as_deref().and_then(Kept::of_file) {
            Some(kept) => kept,
            None => of_container(&Podman::of(account), &self.container)?,
        };
        Ok(self.with(&there, &proxies(account)))
    }

    fn with(&self, there: &Kept, proxies: &[(String, String)]) -> Sandbox {
        let image = self.image.as_ref().or(there.image.as_ref());
        let mut sandbox = Sandbox::new(&self.container, image.map_or(IMAGE, String::as_str));
        sandbox.environment.clone_from(&self.environment);
        sandbox.extra.clone_from(&self.options);
        there.add_to(&mut sandbox);
        // A container that is there knows its proxies; a first one gets those of the account.
        for (name, value) in proxies.iter().filter(|_| there.image.is_none()) {
            if !sets(&sandbox, name) {
                sandbox.environment.push((name.clone(), value.clone()));
            }
        }
        sandbox
    }
}

/// Variables for proxies as the account's commands see them, which podman hands to containers that are started by hand.
fn proxies(account: &Account) -> Vec<(String, String)> {
    let output = account.command("env").output();
    let text = output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    );
    crate::account::proxies(text.lines())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    image_name: String,
    config: Config,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    #[serde(default)]
    create_command: Option<Vec<String>>,
    #[serde(default)]
    env: Option<Vec<String>>,
    #[serde(default)]
    labels: Option<std::collections::BTreeMap<String, String>>,
}

fn of_container(podman: &Podman, name: &str) -> Result<Kept, PodmanError> {
    if !podman.says_yes(&["container", "exists", name])? {
        return Ok(Kept::default());
    }
    let all: Vec<Inspected> = podman.json(&["container", "inspect", name])?;
    Ok(all.into_iter().next().map(kept).unwrap_or_default())
}

/// The proxies are those podman gave the container when it was made, which no option says.
fn kept(there: Inspected) -> Kept {
    // What a unit that is not ours made it by is that unit's matter.
    if there
        .config
        .labels
        .is_some_and(|labels| labels.contains_key("PODMAN_SYSTEMD_UNIT"))
    {
        return Kept::default();
    }
    let command = there.config.create_command.unwrap_or_default();
    Kept {
        options: options(&command, &there.image_name),
        environment: crate::account::proxies(there.config.env.iter().flatten().map(String::as_str)),
        image: Some(there.image_name),
    }
}

#[cfg(test)]
mod tests {
    use super::{Inspected, Kept, Wish, kept};
    use crate::sandbox::{IMAGE, Sandbox};

    fn wish() -> Wish {
        Wish {
            container: "pipglr".into(),
            image: None,
            environment: Vec::new(),
            options: Vec::new(),
        }
    }

    fn proxy() -> (String, String) {
        ("https_proxy".to_owned(), "http://p:3128".to_owned())
    }

    #[test]
    fn what_up_was_given_is_not_lost() {
        let mut first = Sandbox::new("pipglr", "own:1");
        first.extra = ["--volume=/certs:/etc/gitlab-runner/certs:ro", "--env=LOG_LEVEL=debug"]
            .map(str::to_owned)
            .into();
        let command = [vec!["podman".to_owned()], first.run_arguments()].concat();
        let json = serde_json::json!({
            "ImageName": "own:1",
            "Config": { "CreateCommand": command, "Env": ["PATH=/bin", "https_proxy=http://p:3128", "LOG_LEVEL=debug"] },
        });
        let there = kept(serde_json::from_value::<Inspected>(json).unwrap());
        let sandbox = wish().with(&there, &[]);
        assert_eq!((&sandbox.image, &sandbox.extra), (&first.image, &first.extra));
        assert_eq!(sandbox.environment, [proxy()]);
        let other = Wish {
            image: Some("own:2".into()),
            options: vec!["--env=LOG_LEVEL=info".into()],
            ..wish()
        };
        let sandbox = other.with(&there, &[]);
        assert_eq!(sandbox.image, "own:2");
        assert_eq!(
            sandbox.extra,
            ["--env=LOG_LEVEL=info", "--volume=/certs:/etc/gitlab-runner/certs:ro"]
        );
    }

    #[test]
    fn a_first_container_has_the_accounts_proxies() {
        let sandbox = wish().with(&Kept::default(), &[proxy()]);
        assert_eq!((sandbox.image.as_str(), sandbox.environment), (IMAGE, vec![proxy()]));
        let there = Kept {
            image: Some("i".into()),
            ..Kept::default()
        };
        assert_eq!(wish().with(&there, &[proxy()]).environment, []);
    }
}
