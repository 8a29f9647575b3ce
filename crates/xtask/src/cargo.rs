//! Running cargo from a program that cargo runs.

use std::process::Command;

/// A cargo that sees nothing of what `cargo xtask` set for this program: build scripts look at those variables, and
/// would run again for each change.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).current_dir(pipglr_e2e::repository());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") || text.starts_with("CARGO_BIN_") {
            command.env_remove(&name);
        }
    }
    command
}
