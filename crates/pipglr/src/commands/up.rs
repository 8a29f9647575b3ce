//! `pipglr up`.

use super::{Outcome, host};
use crate::cli::{DEFAULT_URL, UpArgs};
use crate::error::CliError;
use crate::output;
use anyhow::Context as _;
use pipglr_host::account::Account;
use pipglr_host::installation::{Facts, Plan, Registration, Step, Token, Wish, Worker, look, plan};
use serde_json::json;
use std::io::Read as _;

pub(super) fn run(args: UpArgs) -> Outcome {
    let account = host::account(&args.account)?;
    let (json, dry_run) = (args.json, args.dry_run);
    let wish = wish(args)?;
    let (facts, first) = planned(&account, &wish)?;
    let steps = if dry_run {
        first.steps
    } else {
        carry_out_all(&account, &wish, facts, first, json)?
    };
    if json {
        output::line(
            json!({ "container": wish.container, "dry_run": dry_run, "changed": !dry_run && !steps.is_empty(), "steps": steps }),
        )?;
        return Ok(0);
    }
    if steps.is_empty() {
        output::line(format_args!(
            "nothing to do: {} is healthy and as wished",
            wish.container
        ))?;
    } else if dry_run {
        for step in &steps {
            output::line(format_args!("would {step}"))?;
        }
    } else {
        output::line(format_args!("{} is up and healthy", wish.container))?;
    }
    Ok(0)
}

fn planned(account: &Account, wish: &Wish) -> Result<(Facts, Plan), CliError> {
    let facts = look(account, wish)?;
    let plan = plan(&facts, wish).map_err(|obstacle| {
        let hint = obstacle.hint();
        CliError::with_hint(obstacle, hint)
    })?;
    Ok((facts, plan))
}

/// Carries out plans until one does not end with another look. Gives all steps.
fn carry_out_all(
    account: &Account,
    wish: &Wish,
    mut facts: Facts,
    mut plan: Plan,
    quiet: bool,
) -> Result<Vec<Step>, CliError> {
    let mut done = Vec::new();
    loop {
        let mut worker = Worker::new(account, &facts, wish, &plan);
        for step in &plan.steps {
            if !quiet {
                output::line(step)?;
            }
            worker.take(step).map_err(|error| {
                let hint = error.hint();
                CliError::with_hint(anyhow::Error::new(error).context(format!("cannot {step}")), hint)
            })?;
        }
        let again = plan.steps.last() == Some(&Step::LookAgain);
        done.append(&mut plan.steps);
        if !again {
            return Ok(done);
        }
        (facts, plan) = planned(account, wish)?;
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
        registration,
        concurrent: args.concurrent,
        run_options: args.run_option,
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
