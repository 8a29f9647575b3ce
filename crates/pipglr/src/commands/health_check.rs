//! `gitlab-runner health-check`: waits until one of the ports named by the environment accepts a connection.
//!
//! Compat: gitlab-runner commands/helpers/health_check.go.

use super::Outcome;
use crate::error::CliError;
use crate::output;
use pipglr_runner::container_side::probe;

pub(super) async fn run() -> Outcome {
    let Some((host, ports)) = target(std::env::vars()) else {
        return Err(CliError::with_hint(
            anyhow::anyhow!("No HOST or PORT found"),
            "set WAIT_FOR_SERVICE_TCP_ADDR and WAIT_FOR_SERVICE_TCP_PORT",
        ));
    };
    output::line(format_args!("waiting for TCP connection to {host} on {ports:?}..."))?;
    probe::until_open(&host, &ports).await;
    Ok(0)
}

/// The last address, and all ports.
fn target(variables: impl Iterator<Item = (String, String)>) -> Option<(String, Vec<u16>)> {
    let (mut host, mut ports) = (None, Vec::new());
    for (name, value) in variables {
        if name.ends_with("_TCP_ADDR") {
            host = Some(value);
        } else if name.ends_with("_TCP_PORT") {
            ports.extend(value.parse::<u16>().ok());
        }
    }
    host.filter(|host| !host.is_empty() && !ports.is_empty())
        .map(|host| (host, ports))
}

#[cfg(test)]
mod tests {
    use super::target;

    #[test]
    fn addresses_come_from_the_environment() {
        let of = |pairs: &[(&str, &str)]| {
            let owned = pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            target(owned)
        };
        let found = of(&[
            ("WAIT_FOR_SERVICE_80_TCP_PORT", "80"),
            ("WAIT_FOR_SERVICE_TCP_ADDR", "db"),
            ("WAIT_FOR_SERVICE_TCP_PORT", "5432"),
            ("DB_TCP", "no"),
        ]);
        assert_eq!(found, Some(("db".to_owned(), vec![80, 5432])));
        assert_eq!(of(&[("X_TCP_ADDR", "db")]), None);
        assert_eq!(of(&[("X_TCP_PORT", "1")]), None);
    }
}
