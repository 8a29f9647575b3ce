//! From a readable script to the text of a runlabel: image/runlabels/README.md explains the form.

use anyhow::ensure;

/// The label's text for `script`, a file of image/runlabels.
///
/// # Errors
/// The script uses a character that the two readers of a label would not read alike.
pub(super) fn text(script: &str) -> anyhow::Result<String> {
    let lines = script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join(" ");
    for forbidden in ["'", "\\", "`", "  "] {
        ensure!(
            !joined.contains(forbidden),
            "{forbidden:?} may not be used in a runlabel"
        );
    }
    let argument = format!("eval$IFS' :; {}'", joined.replace('$', "$''"));
    let quoted = argument.replace('$', "\\$").replace('"', "\\\"");
    Ok(format!("sh -c \"{quoted}\" pipglr $IMAGE"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// What google/shlex makes of `text`; quotes, escapes and blanks are all that labels use of it.
    fn shlex(text: &str) -> Vec<String> {
        let mut words = Vec::new();
        let mut word: Option<String> = None;
        let mut quote = None;
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match (quote, character) {
                (None, ' ') => words.extend(word.take()),
                (None, '\'' | '"') => {
                    quote = Some(character);
                    word.get_or_insert_default();
                }
                (Some(open), close) if open == close => quote = None,
                (None | Some('"'), '\\') => word.get_or_insert_default().extend(characters.next()),
                _ => word.get_or_insert_default().push(character),
            }
        }
        assert_eq!(quote, None, "unclosed quote in {text}");
        words.extend(word);
        words
    }

    /// Go's `os.Expand` with a mapping to nothing, as far as labels use it.
    fn expand_to_nothing(text: &str) -> String {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            expanded.push_str(before);
            let name = |c: char| c == '_' || c.is_ascii_alphanumeric();
            rest = match after.chars().next() {
                Some('*' | '#' | '$' | '@' | '!' | '?' | '-' | '0'..='9') => &after[1..],
                Some('{') => after.split_once('}').map_or("", |(_, tail)| tail),
                Some(first) if name(first) => after.trim_start_matches(name),
                _ => {
                    expanded.push('$');
                    after
                }
            };
        }
        expanded + rest
    }

    /// The words that `podman container runlabel` executes. Compat: podman 4.3.1 and 5.4
    /// pkg/domain/infra/abi/containers_runlabel.go.
    fn as_podman(label: &str, image: &str, arguments: &[&str]) -> Vec<String> {
        let line = [&[label], arguments].concat().join(" ");
        let words: Vec<String> = shlex(&line).iter().map(|word| word.replace("$IMAGE", image)).collect();
        shlex(&expand_to_nothing(&words.join(" ")))
    }

    fn standard_output(command: &mut Command) -> String {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Both readers run `script` with `arguments` alike.
    fn check(script: &str, arguments: &[&str], expected: &str) {
        let label = text(script).unwrap();
        let words = as_podman(&label, "img:1", arguments);
        assert_eq!(
            standard_output(Command::new(&words[0]).args(&words[1..])),
            expected,
            "podman: {label}"
        );
        for shell in ["sh", "bash"] {
            let mut eval = Command::new(shell);
            let line = format!("IMAGE=img:1; eval $(printf %s \"$LABEL\") {}", arguments.join(" "));
            assert_eq!(
                standard_output(eval.arg("-c").arg(line).env("LABEL", &label)),
                expected,
                "{shell}: {label}"
            );
        }
    }

    #[test]
    fn both_readers_agree() {
        check("echo a", &[], "a\n");
        check("# comment\ni=$1; shift;\necho \"$i\" $#", &["x", "y"], "img:1 2\n");
        check(
            "for a in \"$@\"; do echo \"<$a>\"; done",
            &["x", "--y=z"],
            "<img:1>\n<x>\n<--y=z>\n",
        );
        check(
            "false || { echo \"a line: x | y > z\"; exit 0; };\necho never",
            &[],
            "a line: x | y > z\n",
        );
        check(
            "h=1; [ -S \"$NONE/x\" ] || h=2; echo --a=$h \"/proc/*/none\"",
            &[],
            "--a=2 /proc/*/none\n",
        );
        check(
            "x=\"$(echo b)\"; echo \"a $x\" >&2; echo \"${x:-c}\" ${NONE:-d}",
            &[],
            "b d\n",
        );
    }

    #[test]
    fn what_they_would_read_differently_is_refused() {
        for script in ["echo 'a'", "echo \\$a", "echo `a`", "echo \"a  b\""] {
            assert!(text(script).is_err(), "{script}");
        }
    }

    #[test]
    fn every_runlabel_is_a_script_for_both() {
        for entry in std::fs::read_dir(super::super::repository().unwrap().join("image/runlabels")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "sh") {
                let label = text(&std::fs::read_to_string(&path).unwrap()).unwrap();
                let podman = as_podman(&label, "img:1", &[]);
                let eval = shlex(&label.replace("$IMAGE", "img:1"));
                for words in [&podman, &eval] {
                    assert_eq!(
                        (words.len(), words[0].as_str(), words[4].as_str()),
                        (5, "sh", "img:1"),
                        "{path:?}"
                    );
                    standard_output(Command::new("sh").arg("-n").args(&words[1..]));
                }
            }
        }
    }
}
