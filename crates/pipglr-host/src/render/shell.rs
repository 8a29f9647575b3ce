//! A command for a shell.

use crate::sandbox::Sandbox;

/// `podman run …`, an option a line.
#[must_use]
pub fn shell(sandbox: &Sandbox) -> String {
    let arguments = sandbox.run_arguments();
    let quoted = arguments.iter().map(|argument| quoted(argument));
    format!("podman {}\n", quoted.collect::<Vec<_>>().join(" \\\n  "))
}

/// A word as sh(1) reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=/.,:@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::{quoted, shell};
    use crate::sandbox::Sandbox;

    #[test]
    fn words_are_quoted_where_a_shell_would_change_them() {
        for (word, expected) in [
            ("--name=pipglr", "--name=pipglr"),
            ("unmask=/proc/*", "'unmask=/proc/*'"),
            ("it's", "'it'\\''s'"),
            ("", "''"),
            ("$HOME", "'$HOME'"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }

    #[test]
    fn a_shell_reads_the_very_arguments() {
        let mut sandbox = Sandbox::new("a", "image:1");
        sandbox.environment.push(("A".to_owned(), "x 'y' $Z \\".to_owned()));
        let line = shell(&sandbox).replacen("podman", "printf '%s\\n'", 1);
        let said = std::process::Command::new("sh").args(["-c", &line]).output().unwrap();
        assert_eq!(
            String::from_utf8(said.stdout).unwrap(),
            sandbox.run_arguments().join("\n") + "\n"
        );
    }
}
