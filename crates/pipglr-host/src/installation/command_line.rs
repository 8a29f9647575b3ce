//! The command a container was made by, compared with the one that would make it now, however both are written.

use crate::sandbox::name_of;
use std::collections::BTreeSet;

/// Options of `podman run` without a value that occur in how a runner is started, and their short forms.
const SWITCHES: [(&str, &str); 3] = [("detach", "d"), ("tty", "t"), ("interactive", "i")];
/// Short forms of options with a value.
const SHORT: [(&str, &str); 4] = [("volume", "v"), ("env", "e"), ("publish", "p"), ("label", "l")];

/// Options that may be given several times; of others the last one counts.
const LISTS: [&str; 10] = [
    "device",
    "security-opt",
    "secret",
    "volume",
    "env",
    "publish",
    "label",
    "mount",
    "add-host",
    "cap-add",
];

/// The options of a `podman run` command line up to the image, each as `--name=value` or `--name`.
pub(crate) fn options(command: &[String], image: &str) -> Vec<String> {
    let words = command.iter().skip_while(|word| *word != "run").skip(1);
    let mut words = words.map(String::as_str);
    let mut all = Vec::new();
    while let Some(word) = words.next() {
        if let Some(long) = word.strip_prefix("--") {
            if long.contains('=') || SWITCHES.iter().any(|(name, _)| *name == long) {
                all.push(word.to_owned());
            } else if let Some(value) = words.next() {
                all.push(format!("--{long}={value}"));
            }
        } else if let Some(short) = word.strip_prefix('-') {
            short_options(short, &mut words, &mut all);
        } else if word == image {
            break;
        }
    }
    all
}

/// `-dt`, `-v a:b`, `-va:b`.
fn short_options<'a>(letters: &str, words: &mut impl Iterator<Item = &'a str>, all: &mut Vec<String>) {
    for (at, letter) in letters.char_indices() {
        let named = |table: &'static [(&str, &str)]| table.iter().find(|(_, short)| short.starts_with(letter));
        if let Some((name, _)) = named(&SWITCHES) {
            all.push(format!("--{name}"));
            continue;
        }
        let rest = letters.get(at + letter.len_utf8()..).filter(|rest| !rest.is_empty());
        let value = rest.or_else(|| words.next()).unwrap_or_default();
        all.push(named(&SHORT).map_or_else(|| format!("-{letter}={value}"), |(name, _)| format!("--{name}={value}")));
        return;
    }
}

/// What of a list has one value: a variable, a label.
fn variable(option: &str) -> Option<&str> {
    let (name, value) = option.split_once('=')?;
    let named = matches!(name, "--env" | "--label");
    named
        .then(|| option.get(..name.len() + 1 + value.find('=').unwrap_or(value.len())))
        .flatten()
}

fn is_list(option: &str) -> bool {
    name_of(option)
        .strip_prefix("--")
        .is_some_and(|name| LISTS.contains(&name))
}

/// Where a volume is mounted.
fn target(option: &str) -> Option<&str> {
    option.strip_prefix("--volume=")?.split(':').nth(1)
}

/// Options of `there` that `wanted` says nothing about: a person gave them, and keeps them.
pub(crate) fn own(there: &[String], wanted: &[String]) -> Vec<String> {
    let spoken: BTreeSet<&str> = wanted.iter().filter(|o| !is_list(o)).map(|o| name_of(o)).collect();
    // A volume at a place of ours would be in the way.
    let targets: BTreeSet<&str> = wanted.iter().filter_map(|o| target(o)).collect();
    let variables: BTreeSet<&str> = wanted.iter().filter_map(|o| variable(o)).collect();
    let is_own = |option: &&String| {
        !wanted.contains(*option)
            && variable(option).is_none_or(|variable| !variables.contains(variable))
            && !spoken.contains(name_of(option))
            && target(option).is_none_or(|target| !targets.contains(target))
    };
    there.iter().filter(is_own).cloned().collect()
}

/// What was added to `base`, which begins `there`, by this version or an earlier one: of an option that has one value, the first
/// is the base's.
pub(crate) fn added(there: &[String], base: &[String]) -> Vec<String> {
    let mut of_base: BTreeSet<&str> = base.iter().filter(|o| !is_list(o)).map(|o| name_of(o)).collect();
    let is_added = |option: &&String| {
        if is_list(option) {
            !base.contains(*option)
        } else {
            !of_base.remove(name_of(option))
        }
    };
    there.iter().filter(is_added).cloned().collect()
}

/// The options that are not as wanted.
pub(crate) fn missing(there: &[String], wanted: &[String]) -> Vec<String> {
    wanted
        .iter()
        .filter(|option| !there.contains(option))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{added, missing, options, own};
    use crate::sandbox::Sandbox;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    /// As the runlabel writes it.
    const BY_LABEL: &str = "podman run -dt --name pipglr --systemd=always --restart=always --stop-timeout=7200 \
        --pids-limit=-1 --device /dev/fuse --device /dev/net/tun --security-opt label=disable --security-opt unmask=/proc/* \
        --seccomp-policy=image --secret config.toml,uid=1001,gid=1001,mode=0400 \
        -v pipglr-storage:/home/podman/.local/share/containers -v pipglr-cache:/cache -v pipglr-state:/var/lib/pipglr \
        --health-cmd pipglr_health --health-interval=30s --health-start-period=60s";

    #[test]
    fn the_runlabels_container_is_ours() {
        let line = format!("{BY_LABEL} -e LOG_LEVEL=debug -p8093:8093 image");
        let command: Vec<String> = words(&line)
            .into_iter()
            .map(|w| w.replace("pipglr_health", "pipglr health"))
            .collect();
        let there = options(&command, "image");
        let wanted = options(&Sandbox::new("pipglr", "image").run_arguments(), "image");
        assert_eq!(missing(&there, &wanted), Vec::<String>::new());
        assert_eq!(own(&there, &wanted), ["--env=LOG_LEVEL=debug", "--publish=8093:8093"]);
    }

    #[test]
    fn what_a_person_sets_anew_is_told_from_what_was_set_first() {
        let base = words("--tty --stop-timeout=7200 --volume=a:/a");
        let there = words("--tty --stop-timeout=3600 --volume=a:/a --stop-timeout=60 --volume=b:/b --memory=4g");
        assert_eq!(
            added(&there, &base),
            words("--stop-timeout=60 --volume=b:/b --memory=4g")
        );
        assert_eq!(added(&base, &base), Vec::<String>::new());
    }

    #[test]
    fn another_value_is_a_difference_and_nothing_to_keep() {
        let there =
            words("--name=pipglr --stop-timeout=60 --volume=other:/cache --volume=certs:/certs --env=A=1 --env=A");
        let wanted = words("--name=pipglr --stop-timeout=7200 --volume=pipglr-cache:/cache --env=A=2");
        assert_eq!(
            missing(&there, &wanted),
            ["--stop-timeout=7200", "--volume=pipglr-cache:/cache", "--env=A=2"]
        );
        assert_eq!(own(&there, &wanted), ["--volume=certs:/certs"]);
    }
}
