//! What a person asks for.

use std::fmt;

/// A token of a runner. It is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Of a text as it is in a file: blanks around it do not count.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The token itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it belongs to a runner that is there already; another kind makes one.
    #[must_use]
    pub fn is_of_a_runner(&self) -> bool {
        self.0.starts_with("glrt-")
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[MASKED]")
    }
}

/// A runner that is to be in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    pub url: String,
    pub token: Token,
    pub name: String,
    /// More options of `gitlab-runner register`, as they were written.
    pub options: Vec<String>,
}

/// When the registry is asked for the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    /// Even if one of that name is on this host.
    Newer,
    /// If there is none of that name.
    Missing,
    Never,
}

/// A runner as it is to be on this host. What is `None` or empty stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The container's name.
    pub container: String,
    pub image: Option<String>,
    pub pull: Pull,
    pub registration: Option<Registration>,
    /// Jobs at the same time.
    pub concurrent: Option<u32>,
    /// More options of `podman run`, each `--name=value`.
    pub run_options: Vec<String>,
    /// Longest time running jobs have when their container makes room for another, in seconds; as long as the container
    /// was made for if it is not given.
    pub patience: Option<u32>,
}
