//! `pipglr exec`.

use super::{Outcome, host};
use crate::cli::ExecArgs;
use pipglr_host::running::Running;

/// The command's own exit code is ours.
pub(super) fn run(args: &ExecArgs) -> Outcome {
    let running = Running::new(&host::account(&args.account)?, &args.account.container);
    running.must_run().map_err(host::explained)?;
    let terminal = rustix::termios::isatty(rustix::stdio::stdin()) && rustix::termios::isatty(rustix::stdio::stdout());
    let mut options = vec!["--interactive"];
    options.extend(terminal.then_some("--tty"));
    let command: Vec<&str> = if args.command.is_empty() {
        vec!["bash"]
    } else {
        args.command.iter().map(String::as_str).collect()
    };
    let status = running.exec(&options, &command).status()?;
    Ok(status.code().map_or(1, super::exit_code))
}
