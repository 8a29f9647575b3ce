//! A container as the file of its unit describes it: what a person asked for when systemd was to keep it.

use super::MARK;
use crate::installation::command_line::{added, options, own};
use crate::render::{plain, settings, unquoted};
use crate::sandbox::Sandbox;

/// What of a container is a person's matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept {
    pub image: Option<String>,
    /// Names and values.
    pub environment: Vec<(String, String)>,
    /// Options of `podman run`, some of which may be ours.
    pub options: Vec<String>,
}

impl Kept {
    /// Of a file that pipglr wrote.
    #[must_use]
    pub fn of_file(text: &str) -> Option<Self> {
        let mut kept = Self::default();
        for (name, value) in settings(text.strip_prefix(MARK)?, "Container") {
            match name {
                "Image" => kept.image = Some(plain(value)),
                "Environment" => kept.environment.extend(pair(&unquoted(value))),
                "PodmanArgs" => kept.options.push(unquoted(value)),
                _ => {}
            }
        }
        kept.image.is_some().then_some(kept)
    }

    /// Adds to `sandbox` what it says nothing else about.
    pub fn add_to(&self, sandbox: &mut Sandbox) {
        let bare = Sandbox::new(&sandbox.name, &sandbox.image);
        let base = options(&bare.run_arguments(), &bare.image);
        let volumes = base.iter().filter(|option| option.starts_with("--volume="));
        let spoken: Vec<String> = volumes.chain(&sandbox.extra).cloned().collect();
        sandbox.extra.extend(own(&added(&self.options, &base), &spoken));
        for (name, value) in &self.environment {
            if !sets(sandbox, name) {
                sandbox.environment.push((name.clone(), value.clone()));
            }
        }
    }
}

/// Whether the container has a variable already.
pub(super) fn sets(sandbox: &Sandbox, name: &str) -> bool {
    let of_option = |option: &String| {
        option
            .strip_prefix("--env=")
            .and_then(pair)
            .is_some_and(|(there, _)| there == name)
    };
    sandbox.environment.iter().any(|(there, _)| there == name) || sandbox.extra.iter().any(of_option)
}

/// `NAME=value`.
fn pair(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    Some((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::content;
    use super::Kept;
    use crate::render::quadlet;
    use crate::sandbox::Sandbox;

    #[test]
    fn a_file_leads_back_to_the_container_it_was_written_for() {
        let mut sandbox = Sandbox::new("pipglr", "i:1");
        sandbox
            .environment
            .push(("https_proxy".to_owned(), "http://u:p%40@p:1 $x".to_owned()));
        sandbox.extra = [
            "--stop-timeout=60",
            "--memory=4g",
            "--env=A=b c",
            "--volume=/certs:/etc/gitlab-runner/certs:ro",
        ]
        .map(str::to_owned)
        .into();
        let text = content(&quadlet(&sandbox).files[0].1);
        let kept = Kept::of_file(&text).unwrap();
        assert_eq!(kept.image.as_deref(), Some("i:1"));
        let mut again = Sandbox::new("pipglr", "i:1");
        kept.add_to(&mut again);
        assert_eq!(again, sandbox);
        // What is given now counts.
        let mut other = Sandbox::new("pipglr", "i:2");
        other.extra = vec!["--memory=8g".to_owned(), "--env=A=d".to_owned()];
        other.environment.push(("https_proxy".to_owned(), String::new()));
        kept.add_to(&mut other);
        assert_eq!(
            other.extra,
            [
                "--memory=8g",
                "--env=A=d",
                "--stop-timeout=60",
                "--volume=/certs:/etc/gitlab-runner/certs:ro"
            ]
        );
        assert_eq!(other.environment, [("https_proxy".to_owned(), String::new())]);
    }

    #[test]
    fn a_file_of_somebody_else_says_nothing() {
        assert_eq!(Kept::of_file("[Container]\nImage=i:1\n"), None);
    }
}
