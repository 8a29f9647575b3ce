//! `pipglr up`.

use super::doctor::{Leave, before_up};
use super::steps::{self, Manner};
use super::{Outcome, host};
use crate::cli::{DEFAULT_URL, UpArgs};
use crate::error::CliError;
use anyhow::Context as _;
use pipglr_host::installation::{Pull, Registration, Token, Wish, look};
use std::io::Read as _;

pub(super) fn run(args: UpArgs) -> Outcome {
    let account = host::account(&args.account)?;
    let (json, dry_run, fix) = (args.json, args.dry_run, !args.no_fix);
    let wish = wish(args)?;
    let leave = Leave {
        fix,
        dry_run,
        quiet: json,
    };
    let host = before_up(&account, &leave)?;
    let manner = Manner { dry_run, json, host };
    match look(&account, &wish) {
        Ok(facts) => steps::lead(&account, wish, facts, &manner),
        // Before the host is in order, podman need not answer.
        Err(_) if dry_run && !manner.host.is_empty() => steps::unseen(&wish, &manner),
        Err(error) => Err(error.into()),
    }
}

fn wish(args: UpArgs) -> Result<Wish, CliError> {
    let token = token(&args)?;
    let registration = match token {
        Some(token) => Some(Registration {
            url: args.url.unwrap_or_else(|| DEFAULT_URL.to_owned()),
            token,
            name: args.name.unwrap_or_else(host_name),
            options: args.register,
        }),
        None if args.url.is_some() || args.name.is_some() || !args.register.is_empty() => {
            let mut error =
                CliError::usage("--url, --name and options after -- are for registering a runner: that takes a token");
            error.hints.push("give --token-file FILE or --token-stdin".to_owned());
            return Err(error);
        }
        None => None,
    };
    for option in &args.run_option {
        if !option.starts_with("--") {
            return Err(CliError::usage(format!(
                "--run-option {option}: it has to look like --name=value"
            )));
        }
    }
    Ok(Wish {
        container: args.account.container,
        image: args.image,
        pull: Pull::Missing,
        registration,
        concurrent: args.concurrent,
        run_options: args.run_option,
        patience: None,
    })
}

fn token(args: &UpArgs) -> Result<Option<Token>, CliError> {
    let text = match &args.token_file {
        Some(file) => std::fs::read_to_string(file).with_context(|| format!("--token-file {}", file.display()))?,
        None if args.token_stdin => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("--token-stdin")?;
            text
        }
        None => return Ok(None),
    };
    let token = Token::new(&text);
    if token.expose().is_empty() || token.expose().contains(char::is_whitespace) {
        return Err(CliError::with_hint(
            anyhow::anyhow!("what was given as a token is none: it has to be one word"),
            "the page of the runner in GitLab shows it once, when the runner is created: glrt-…",
        ));
    }
    Ok(Some(token))
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
