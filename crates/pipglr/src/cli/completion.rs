//! Scripts that make a shell complete commands and options, and the names of jobs where a command takes them: those the
//! shell asks `pipglr ci jobs` for.

use super::tables::command;
use clap_complete::Shell;
use std::collections::BTreeSet;

/// The script for a shell.
pub(crate) fn completion(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "pipglr", &mut script);
    let hidden = hidden(&command());
    let lines = String::from_utf8_lossy(&script);
    let lines = lines.lines().filter(|line| !offers_one_of(line, &hidden));
    let script: String = lines.map(|line| without(line, &hidden) + "\n").collect();
    match shell {
        Shell::Bash => bash(&script),
        Shell::Zsh => zsh(&script),
        Shell::Fish => script + FISH,
        _ => script,
    }
}

/// Names are asked for unless an option before wants something else.
fn bash(script: &str) -> String {
    let others: Vec<String> = options_with_values().into_iter().collect();
    let jobs = BASH.replace("OPTIONS_WITH_VALUES", &others.join(" | "));
    script.replace("complete -F _pipglr ", "complete -F _pipglr_with_jobs ") + &jobs
}

/// Names of the commands that people do not call. clap's scripts offer them all the same.
fn hidden(command: &clap::Command) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for command in command.get_subcommands() {
        if command.is_hide_set() {
            names.insert(command.get_name().to_owned());
        }
        names.extend(hidden(command));
    }
    names
}

/// Whether a line of the scripts for zsh and fish does nothing but offer one of these.
fn offers_one_of(line: &str, names: &BTreeSet<String>) -> bool {
    let of_zsh = line.strip_prefix('\'').and_then(|rest| rest.split_once(':'));
    let of_fish = line.split_once(" -a \"").and_then(|(_, rest)| rest.split_once('"'));
    let name = of_zsh.or(of_fish).map(|(name, _)| name);
    name.is_some_and(|name| names.contains(name))
}

/// A line of the script for bash with what it offers, without some of it.
fn without(line: &str, names: &BTreeSet<String>) -> String {
    let offered = line
        .trim_start()
        .strip_prefix("opts=\"")
        .and_then(|rest| rest.strip_suffix('"'));
    let Some(offered) = offered else {
        return line.to_owned();
    };
    let words: Vec<&str> = offered.split(' ').filter(|word| !names.contains(*word)).collect();
    let indentation = &line[..line.len() - line.trim_start().len()];
    format!("{indentation}opts=\"{}\"", words.join(" "))
}

const BASH: &str = r#"
_pipglr_with_jobs() {
    local current="${COMP_WORDS[COMP_CWORD]}" name
    case "${COMP_WORDS[1]} ${COMP_WORDS[2]}" in
        "local "* | "ci explain" | "ci variables") ;;
        *) _pipglr "$@"; return ;;
    esac
    case "${COMP_WORDS[COMP_CWORD - 1]}" in
        --from | --manual) ;;
        OPTIONS_WITH_VALUES) _pipglr "$@"; return ;;
    esac
    if [[ "${current}" == -* || (${COMP_WORDS[1]} == ci && ${COMP_CWORD} -eq 2) ]]; then
        _pipglr "$@"
        return
    fi
    COMPREPLY=()
    while IFS= read -r name; do
        [[ "${name}" == "${current}"* ]] && COMPREPLY+=("$(printf '%q' "${name}")")
    done < <("$1" ci jobs 2>/dev/null)
}
"#;

/// Options of the commands that take names of jobs.
fn options_with_values() -> BTreeSet<String> {
    let whole = command();
    let ci = whole.find_subcommand("ci");
    let commands = [
        whole.find_subcommand("local"),
        ci.and_then(|ci| ci.find_subcommand("explain")),
        ci.and_then(|ci| ci.find_subcommand("variables")),
    ];
    let arguments = commands.into_iter().flatten().flat_map(clap::Command::get_arguments);
    arguments
        .filter(|argument| argument.get_action().takes_values() && !argument.is_require_equals_set())
        .flat_map(|argument| {
            let long = argument.get_long().map(|long| format!("--{long}"));
            let short = argument.get_short().map(|short| format!("-{short}"));
            long.into_iter().chain(short)
        })
        .collect()
}

/// Arguments that are jobs are completed by a function of their own.
fn zsh(script: &str) -> String {
    const STARTS: [&str; 4] = ["':job -- ", "'*::jobs -- ", "'--from=[", "'*--manual=["];
    let line = |line: &str| {
        let (text, end) = line
            .trim_end()
            .split_at(line.trim_end().len() - line.trim_end().len().min(2));
        let is_jobs = STARTS.iter().any(|start| line.starts_with(start));
        match text.strip_suffix(":_default'").filter(|_| is_jobs) {
            Some(text) => format!("{text}:_pipglr_jobs'{end}\n"),
            None => format!("{line}\n"),
        }
    };
    let lines: String = script.lines().map(line).collect();
    lines.replacen("\nif [ \"$funcstack[1]\"", &format!("{ZSH}\nif [ \"$funcstack[1]\""), 1)
}

const ZSH: &str = r#"
_pipglr_jobs() {
    local -a names
    names=("${(@f)$(pipglr ci jobs 2>/dev/null)}")
    compadd -a names
}
"#;

const FISH: &str = r#"
complete -c pipglr -n "__fish_pipglr_using_subcommand local" -f -a "(pipglr ci jobs 2>/dev/null)"
complete -c pipglr -n "__fish_pipglr_using_subcommand local" -l from -x -a "(pipglr ci jobs 2>/dev/null)"
complete -c pipglr -n "__fish_pipglr_using_subcommand local" -l manual -x -a "(pipglr ci jobs 2>/dev/null)"
complete -c pipglr -n "__fish_pipglr_using_subcommand ci; and __fish_seen_subcommand_from explain variables" -f -a "(pipglr ci jobs 2>/dev/null)"
"#;
