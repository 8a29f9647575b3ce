//! Replacing a configuration by a checked one.

use super::super::Outcome;
use super::{Place, shown_difference};
use crate::error::CliError;
use crate::output;
use pipglr_runner::config::{self, Parsed};
use std::path::Path;

/// Keys that are read once, when the runner starts.
const AT_START: [&str; 3] = ["listen_address", "log_format", "session_server"];

/// A configuration the engine can use.
#[derive(Debug)]
pub(super) struct Draft {
    text: String,
}

impl Draft {
    /// Warns about what has no effect.
    ///
    /// # Errors
    /// The engine could not use it.
    pub(super) fn checked(text: String, name: &Path) -> Result<Self, CliError> {
        let name = name.display().to_string();
        let Parsed { findings, .. } = config::parse_config(&text, &name)
            .map_err(|error| CliError::with_hint(error, "nothing is changed; correct it and try again"))?;
        for finding in findings {
            output::aside(format_args!("{name}:{finding}"));
        }
        Ok(Self { text })
    }
}

/// Shows what changes and stores it.
pub(super) fn change(place: &Place, old: &str, new: Draft, restart: bool) -> Outcome {
    if old == new.text {
        output::line("nothing to do: it is the same")?;
        return Ok(0);
    }
    // What is replaced may be broken.
    if let Ok(lines) = shown_difference((old, &place.name()), (&new.text, &place.name())) {
        for line in lines {
            output::line(line)?;
        }
    }
    place.store(&new.text, restart)?;
    if matches!(place, Place::Secret(_)) && !restart {
        for key in AT_START {
            if value(old, key) != value(&new.text, key) {
                output::line(format_args!(
                    "`{key}` counts from the runner's next start on: podman restart, or --restart here"
                ))?;
            }
        }
    }
    Ok(0)
}

/// A key of the top, as text.
fn value(text: &str, key: &str) -> Option<String> {
    let document = pipglr_host::config::Document::parse(text).ok()?;
    document.get(&key.parse().ok()?).ok()
}
