//! The shell text of a step. Pure.
//!
//! Compat: gitlab-runner shells/bash.go `Finish`, shells/abstract.go `writeCommands`: one `eval` in a subshell with
//! `errexit` and, where the shell has it, `pipefail`; each command is echoed in green before it runs.

/// What goes into one step.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScriptParts<'a> {
    /// Where the script starts.
    pub directory: &'a str,
    /// Printed first, in green.
    pub notice: Option<&'a str>,
    /// `pre_build_script`, the step's commands, `post_build_script`, each with its name in section markers.
    pub commands: &'a [(&'a str, Vec<String>)],
    /// Commands of several lines are shown whole, in a collapsed section (`FF_SCRIPT_SECTIONS`).
    pub sections: bool,
    /// `CI_DEBUG_TRACE`.
    pub trace_commands: bool,
    /// `FF_ENABLE_BASH_EXIT_CODE_CHECK`.
    pub check_each_exit_code: bool,
}

/// Renders a script for bash or a POSIX shell, to be read from stdin.
#[must_use]
pub(super) fn render_script(parts: &ScriptParts<'_>) -> String {
    let mut body = format!("cd {}\n", quote(parts.directory));
    if let Some(notice) = parts.notice {
        body.push_str(&echo(notice));
    }
    let commands = parts.commands.iter().flat_map(|(name, list)| {
        list.iter()
            .enumerate()
            .map(move |(index, command)| (name, index, command))
    });
    for (name, index, command) in commands {
        let command = command.trim();
        if parts.sections && command.contains('\n') {
            body.push_str(&section(&format!("section_{name}_{index}"), command));
        } else {
            body.push_str(&announce(command));
        }
        body.push_str(command);
        body.push('\n');
        if parts.check_each_exit_code && !command.is_empty() {
            body.push_str("_runner_exit_code=$?; if [ $_runner_exit_code -ne 0 ]; then exit $_runner_exit_code; fi\n");
        }
    }
    let trace = if parts.trace_commands { "set -o xtrace\n" } else { "" };
    format!(
        "trap exit\\ 1 TERM\n{trace}if set -o | grep pipefail > /dev/null; then set -o pipefail; fi; set -o errexit\n\
         set +o noclobber\n(trap exit\\ 1 TERM; eval {}) </dev/null\nexit 0\n",
        quote(&body)
    )
}

/// The line that shows a command before it runs.
fn announce(command: &str) -> String {
    let mut lines = command.lines();
    match (lines.next(), lines.next()) {
        (None, _) => "echo\n".to_owned(),
        (Some(only), None) => echo(&format!("$ {only}")),
        (Some(first), Some(_)) => echo(&format!("$ {first} # collapsed multi-line command")),
    }
}

/// A collapsed section with the whole command; what the command prints comes after it.
///
/// Compat: gitlab-runner shells/bash.go `SectionStart`, shells/abstract.go `writeMultilineCommand`.
fn section(name: &str, command: &str) -> String {
    let now = "\"$(date +%s 2>/dev/null || echo 0)\"";
    format!(
        "printf 'section_start:%s:{name}[hide_duration=true,collapsed=true]\\r\\033[0K' {now}\n{}\
         printf 'section_end:%s:{name}\\r\\033[0K' {now}\n",
        echo(&format!("$ {command}"))
    )
}

fn echo(text: &str) -> String {
    format!("printf '%s\\n' {}\n", quote(&format!("\x1b[32;1m{text}\x1b[0;m")))
}

/// Quotes for any POSIX shell.
fn quote(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b',' | b'.' | b'/' | b'@' | b'_' | b'-');
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::{ScriptParts, render_script};
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    /// Runs a script in a real shell and gives (exit code, output without colours).
    fn run(shell: &str, commands: &[&str], check: bool) -> (i32, String) {
        let commands = commands.iter().map(|c| (*c).to_owned()).collect();
        run_parts(shell, &[("script_step", commands)], check, false)
    }

    fn run_parts(shell: &str, commands: &[(&str, Vec<String>)], check: bool, sections: bool) -> (i32, String) {
        let script = render_script(&ScriptParts {
            directory: "/",
            notice: None,
            commands,
            sections,
            trace_commands: false,
            check_each_exit_code: check,
        });
        let mut child = Command::new(shell)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout)
            .unwrap()
            .replace("\x1b[32;1m", "")
            .replace("\x1b[0;m", "");
        (output.status.code().unwrap(), text)
    }

    #[test]
    fn scripts_behave_as_job_authors_expect() {
        let cases: &[(&[&str], i32, &str)] = &[
            (&["true"], 0, "$ true\n"),
            (&["echo hi", "false", "echo never"], 1, "$ echo hi\nhi\n$ false\n"),
            (&["exit 3"], 3, "$ exit 3\n"),
            (&["exit 0", "false"], 0, "$ exit 0\n"),
            (&["cd /tmp", "pwd"], 0, "$ cd /tmp\n$ pwd\n/tmp\n"),
            (&["A=1", "echo $A"], 0, "$ A=1\n$ echo $A\n1\n"),
            (&["false || echo rescued"], 0, "$ false || echo rescued\nrescued\n"),
            (&["cat"], 0, "$ cat\n"),
            (&["echo 'it'\"'\"'s'"], 0, "$ echo 'it'\"'\"'s'\nit's\n"),
            (
                &["echo a\necho b"],
                0,
                "$ echo a # collapsed multi-line command\na\nb\n",
            ),
            (&[""], 0, "\n"),
            (&["false | true"], 1, "$ false | true\n"),
        ];
        for (commands, code, output) in cases {
            assert_eq!(
                run("bash", commands, false),
                (*code, (*output).to_owned()),
                "{commands:?} in bash"
            );
            // An old dash has no pipefail.
            let code = if commands[0] == "false | true" {
                run("sh", commands, false).0
            } else {
                *code
            };
            assert_eq!(
                run("sh", commands, false),
                (code, (*output).to_owned()),
                "{commands:?} in sh"
            );
        }
        assert_eq!(run("bash", &["set +e; false", "echo on"], true).0, 1);
        assert_eq!(run("bash", &["set +e; false", "echo on"], false).0, 0);
    }

    /// Name, commands, exit code, what must and must not be in the output.
    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn the_shell_is_set_up_as_gitlab_runner_sets_it_up() {
        let cases: &[(&str, &[&str], i32, &str, &str)] = &[
            (
                "one shell for all commands",
                &["cd /tmp; f() { echo fun; }; V=1", "f; pwd; echo v$V"],
                0,
                "fun\n/tmp\nv1\n",
                "never",
            ),
            ("errexit", &["false", "echo nev''er"], 1, "$ false\n", "never"),
            (
                "errexit spares lists and conditions",
                &["false || true", "if false; then :; fi", "echo on"],
                0,
                "on\n",
                "never",
            ),
            (
                "errexit can be switched off",
                &["set +e", "false", "echo on"],
                0,
                "on\n",
                "never",
            ),
            (
                "a failing substitution fails an assignment",
                &["A=$(exit 3)", "echo nev''er"],
                3,
                "$ A",
                "never",
            ),
            (
                "a failing substitution does not fail a command",
                &["echo a$(false)b", "echo on"],
                0,
                "ab\n",
                "never",
            ),
            ("nounset is off", &["echo \"<$UNSET_VARIABLE>\""], 0, "<>\n", "never"),
            (
                "pipefail is on",
                &["false | true", "echo nev''er"],
                1,
                "$ false",
                "never",
            ),
            (
                "noclobber is off",
                &["f=$(mktemp)", "echo a > $f; echo b > $f; cat $f; rm $f"],
                0,
                "b\n",
                "never",
            ),
            (
                "stdin is at its end",
                &["read -r line || echo end-of-file"],
                0,
                "end-of-file\n",
                "never",
            ),
            (
                "exit 0 ends a step well",
                &["exit 0", "echo nev''er"],
                0,
                "$ exit 0\n",
                "never",
            ),
            (
                "$? is 0 at a command's begin",
                &["set +e", "false", "echo status=$?"],
                0,
                "status=0\n",
                "never",
            ),
            ("$0 is the shell", &["echo \"<${0##*/}>\""], 0, "<bash>\n", "never"),
            (
                "commands are echoed as they are written",
                &["echo $HOME 'a b'"],
                0,
                "$ echo $HOME 'a b'\n",
                "never",
            ),
            (
                "white space around a command is dropped",
                &["  echo on \n"],
                0,
                "$ echo on\non\n",
                "never",
            ),
            (
                "an empty command is an empty line",
                &["", "echo on"],
                0,
                "\n$ echo on\n",
                "never",
            ),
            (
                "a trap keeps the exit code",
                &["trap 'echo tidy' EXIT", "exit 4"],
                4,
                "tidy\n",
                "never",
            ),
            (
                "a trap may set the exit code",
                &["trap 'exit 5' EXIT", "exit 4"],
                5,
                "$ exit 4\n",
                "never",
            ),
            (
                "a syntax error is met when it is reached",
                &["echo first", "if"],
                2,
                "first\n",
                "never",
            ),
        ];
        for (name, commands, code, there, absent) in cases {
            let (found, output) = run("bash", commands, false);
            assert_eq!(found, *code, "{name}: {output}");
            assert!(
                output.contains(there) && !output.contains(&format!("\n{absent}\n")),
                "{name}: {output}"
            );
        }
    }

    #[test]
    fn commands_of_several_lines_are_shown_in_sections() {
        let parts = [
            ("pre_build_script", vec!["echo before".to_owned()]),
            (
                "script_step",
                vec!["echo one".to_owned(), "echo it\\'s\necho 'a b'".to_owned()],
            ),
            ("post_build_script", vec!["true\nfalse".to_owned()]),
        ];
        for shell in ["bash", "sh"] {
            let (code, output) = run_parts(shell, &parts, false, true);
            let digits: String = output
                .split(':')
                .map(|part| {
                    let time = part.len() == 10 && part.bytes().all(|b| b.is_ascii_digit());
                    if time { "TIME" } else { part }
                })
                .collect::<Vec<_>>()
                .join(":");
            let clear = "\r\x1b[0K";
            let folded = |name: &str, command: &str| {
                format!(
                    "section_start:TIME:section_{name}[hide_duration=true,collapsed=true]{clear}$ {command}\n\
                     section_end:TIME:section_{name}{clear}"
                )
            };
            let expected = format!(
                "$ echo before\nbefore\n$ echo one\none\n{}it's\na b\n{}",
                folded("script_step_1", "echo it\\'s\necho 'a b'"),
                folded("post_build_script_0", "true\nfalse"),
            );
            assert_eq!((code, digits), (1, expected), "{shell}");
        }
    }

    #[test]
    fn commands_read_nothing_from_the_script() {
        let commands = ["read -t 5 line || echo stdin-eof-ok", "echo done-marker"];
        let (code, output) = run("bash", &commands, false);
        assert_eq!(
            (
                code,
                output.contains("\nstdin-eof-ok\n"),
                output.ends_with("\ndone-marker\n")
            ),
            (0, true, true)
        );
    }
}
