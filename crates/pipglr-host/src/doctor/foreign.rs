//! Programs of other architectures: `podman build --platform` in a job runs them by an emulator that the host's kernel knows.

use super::Finding;
use super::looking::Host;

const PLACE: &str = "/proc/sys/fs/binfmt_misc";
/// How emulators call their entries.
const EMULATOR: &str = "qemu-";

#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// Each entry and its text.
    pub(super) entries: Vec<(String, String)>,
}

pub(super) fn look(host: &Host) -> Facts {
    let names = host.ask(&["ls", PLACE]).out;
    let entry = |name: &str| Some((name.to_owned(), host.text(format!("{PLACE}/{name}"))?));
    Facts {
        entries: names.lines().map(str::trim).filter_map(entry).collect(),
    }
}

/// It is told and no more: whoever builds for one architecture lacks nothing.
pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    const CHECK: &str = "binfmt";
    let emulators = || {
        facts
            .entries
            .iter()
            .filter_map(|(name, text)| Some((name.strip_prefix(EMULATOR)?, text)))
    };
    let enabled = |text: &str| text.lines().any(|line| line == "enabled");
    // Only such an entry is found in a container, which has no emulator of its own.
    let fixed = |text: &str| {
        let mut flags = text.lines().filter_map(|line| line.strip_prefix("flags:"));
        flags.any(|flags| flags.contains('F'))
    };
    let usable: Vec<&str> = emulators()
        .filter(|(_, text)| enabled(text) && fixed(text))
        .map(|(name, _)| name)
        .collect();
    let text = if !usable.is_empty() {
        format!("containers can run programs for {}", usable.join(", "))
    } else if emulators().next().is_some() {
        "emulators are there, but without the flag F, so not in containers: only this architecture".to_owned()
    } else {
        "only programs of this architecture; the package qemu-user-static brings others".to_owned()
    };
    vec![Finding::ok(CHECK, text)]
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::tests::{Case, verify};
    use super::{Facts, judge};

    fn entry(name: &str, text: &str) -> (String, String) {
        (name.to_owned(), text.to_owned())
    }

    const CASES: &[Case<Facts>] = &[
        (
            "binfmt",
            |f| f.entries = vec![entry("python3.11", "enabled\nflags: \n")],
            Verdict::Ok,
            "only programs of this architecture;",
            "",
        ),
        (
            "binfmt",
            |f| f.entries[0].1 = "enabled\ninterpreter /usr/bin/qemu-aarch64\nflags: OC\n".into(),
            Verdict::Ok,
            "without the flag F",
            "",
        ),
        (
            "binfmt",
            |f| f.entries.push(entry("qemu-arm", "disabled\nflags: F\n")),
            Verdict::Ok,
            "containers can run programs for aarch64",
            "",
        ),
    ];

    #[test]
    fn other_architectures_are_told() {
        let good = Facts {
            entries: vec![entry(
                "qemu-aarch64",
                "enabled\ninterpreter /usr/libexec/x\nflags: POCF\n",
            )],
        };
        verify(&good, judge, CASES);
    }
}
