//! `pipglr service …`: the runner as a service of the account's systemd.

use super::{Outcome, host};
use crate::cli::{SandboxArgs, ServiceArgs, ServiceCommand};
use crate::error::CliError;
use crate::output;
use pipglr_host::account::Account;
use pipglr_host::render::quadlet;
use pipglr_host::service::{Step, Wish, install, look, uninstall};

pub(super) fn run(command: &ServiceCommand) -> Outcome {
    match command {
        ServiceCommand::Install(args) => {
            let (account, steps) = planned(args, true)?;
            carry_out(&account, &steps, args.dry_run)?;
            if steps.is_empty() {
                output::line(format_args!(
                    "nothing to do: systemd keeps {} as it is wished",
                    args.sandbox.container
                ))?;
            }
        }
        ServiceCommand::Uninstall(args) => {
            let (account, steps) = planned(args, false)?;
            carry_out(&account, &steps, args.dry_run)?;
            output::line(if steps.is_empty() {
                "nothing to do: there is no unit that pipglr wrote"
            } else {
                "the configuration, the volumes and linger stay"
            })?;
        }
    }
    Ok(0)
}

fn planned(args: &ServiceArgs, wanted: bool) -> Result<(Account, Vec<Step>), CliError> {
    let account = host::account_named(args.user.as_deref())?;
    let SandboxArgs { container, image, env } = &args.sandbox;
    let wish = Wish {
        container: container.clone(),
        image: image.clone(),
        environment: env.clone(),
        options: args.run_option.clone(),
    };
    let sandbox = wish.sandbox(&account)?;
    let quadlet = quadlet(&sandbox);
    let facts = look(&account, &sandbox, &quadlet)?;
    let steps = if wanted {
        install(&facts, &sandbox, &quadlet).map_err(|obstacle| {
            let hint = obstacle.hint();
            CliError::with_hint(obstacle, hint)
        })?
    } else {
        uninstall(&facts, &sandbox, &quadlet)
    };
    Ok((account, steps))
}

fn carry_out(account: &Account, steps: &[Step], dry_run: bool) -> Result<(), CliError> {
    for step in steps {
        if dry_run {
            output::line(format_args!("would {step}"))?;
            continue;
        }
        output::line(step)?;
        step.take(account).map_err(|error| {
            let hint = match step {
                Step::EnableLinger { account } => format!("as root: loginctl enable-linger {account}"),
                Step::Start { unit } | Step::Restart { unit, .. } => {
                    format!("as {}: journalctl --user --unit {unit}", account.name)
                }
                _ => "the same command again goes on from here".to_owned(),
            };
            CliError::with_hint(error, hint)
        })?;
    }
    Ok(())
}
