//! `[session_server]`: where web terminals of jobs are served.

use serde::Deserialize;
use std::time::Duration;

/// Compat: gitlab-runner common/consts.go `DefaultSessionTimeout`.
const DEFAULT_TIMEOUT: u64 = 1800;

/// `[session_server]`, checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct SessionServerConfig {
    /// `host:port`; without it nothing is served.
    pub listen_address: Option<String>,
    /// What GitLab is told to connect to, `host[:port]`; `None` is where it is listened.
    pub advertise_address: Option<String>,
    /// Seconds; 0 is the default.
    session_timeout: u64,
}

/// As in the file.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Written {
    listen_address: Option<String>,
    advertise_address: Option<String>,
    session_timeout: u64,
}

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
enum Wrong {
    #[error("`session_server.advertise_address` is `host:port`, without `http://` or `https://`")]
    Scheme,
    #[error(
        "`session_server` needs a host for its certificate: give one in `advertise_address`, as GitLab reaches this runner"
    )]
    NoHost,
}

impl TryFrom<Written> for SessionServerConfig {
    type Error = Wrong;

    fn try_from(written: Written) -> Result<Self, Wrong> {
        let config = Self {
            listen_address: written.listen_address,
            advertise_address: written.advertise_address,
            session_timeout: written.session_timeout,
        };
        let advertised = config.advertise_address.as_deref().unwrap_or_default();
        if advertised.starts_with("http://") || advertised.starts_with("https://") {
            return Err(Wrong::Scheme);
        }
        if config.listen_address.is_some() && config.host().is_empty() {
            return Err(Wrong::NoHost);
        }
        Ok(config)
    }
}

impl SessionServerConfig {
    /// How long a connected terminal may keep a job open after its scripts.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(match self.session_timeout {
            0 => DEFAULT_TIMEOUT,
            seconds => seconds,
        })
    }

    /// The name or address the certificate is for: of what is advertised, else of what is listened on.
    #[must_use]
    pub fn host(&self) -> &str {
        let addresses = [&self.advertise_address, &self.listen_address];
        host_of(addresses.into_iter().flatten().next().map_or("", String::as_str))
    }
}

/// Without port, and without the brackets of an IPv6 address.
fn host_of(address: &str) -> &str {
    if let Some(rest) = address.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    match address.split_once(':') {
        // More than one colon and no brackets: all of it is an address.
        Some((_, rest)) if rest.contains(':') => address,
        Some((host, _)) => host,
        None => address,
    }
}

#[cfg(test)]
mod tests {
    use super::host_of;
    use crate::config::{check_config, parse_config};

    #[test]
    fn hosts_are_found_in_addresses() {
        for (address, host) in [
            ("runner.test:8093", "runner.test"),
            ("runner.test", "runner.test"),
            ("0.0.0.0:8093", "0.0.0.0"),
            ("[::1]:8093", "::1"),
            ("::1", "::1"),
            (":8093", ""),
            ("", ""),
        ] {
            assert_eq!(host_of(address), host, "{address}");
        }
    }

    #[test]
    fn addresses_that_cannot_be_told_to_gitlab_are_refused() {
        let scheme = "`session_server.advertise_address` is `host:port`, without `http://` or `https://`";
        let host = "`session_server` needs a host for its certificate: give one in `advertise_address`, as GitLab \
                    reaches this runner";
        for (keys, wrong) in [
            (
                "listen_address = \":8093\"\nadvertise_address = \"https://x\"",
                Some(scheme),
            ),
            ("advertise_address = \"http://x\"", Some(scheme)),
            ("listen_address = \":8093\"", Some(host)),
            ("listen_address = \":8093\"\nadvertise_address = \"x\"", None),
            ("session_timeout = 5", None),
        ] {
            let checked = check_config(&format!("concurrent = 1\n[session_server]\n{keys}\n"));
            let said: Vec<String> = checked.findings.iter().map(ToString::to_string).collect();
            let expected: Vec<String> = wrong.iter().map(|w| format!("2:1: error: {w}")).collect();
            assert_eq!(said, expected, "{keys}");
        }
    }

    #[test]
    fn terminals_hold_jobs_for_half_an_hour_unless_said_otherwise() {
        for (keys, seconds) in [("", 1800), ("session_timeout = 0", 1800), ("session_timeout = 60", 60)] {
            let text = format!("[session_server]\n{keys}\n");
            let config = parse_config(&text, "config.toml").unwrap().config;
            assert_eq!(config.session_server.timeout().as_secs(), seconds, "{keys}");
        }
    }
}
