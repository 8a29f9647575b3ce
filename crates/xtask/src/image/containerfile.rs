//! The generated lines of the Containerfile: one `LABEL` per runlabel, and the seccomp profile.
//!
//! A Containerfile cannot read a label from a file, so the lines are written here and a test keeps them equal to their sources.

use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::{runlabel, seccomp};

const BEGIN: &str = "# --- written by cargo xtask image --write-labels: begin\n";
const END: &str = "# --- written by cargo xtask image --write-labels: end\n";
const RUNLABELS: [&str; 6] = [
    "register",
    "setupconfig",
    "setupstorage",
    "setupcache",
    "run",
    "dumpconfig",
];

/// Write image/seccomp.json, when `default_seccomp` is given, and the generated lines of the Containerfile.
pub(super) fn write_generated(repository: &Path, default_seccomp: Option<&Path>) -> anyhow::Result<()> {
    if let Some(path) = default_seccomp {
        let derived = seccomp::with_sethostname(serde_json::from_str(&read(path)?)?)?;
        let to = repository.join("image/seccomp.json");
        let pretty = format!("{derived:#}\n");
        std::fs::write(&to, pretty).with_context(|| format!("writing {}", to.display()))?;
    }
    let path = repository.join("Containerfile");
    let old = read(&path)?;
    let new = replace_generated(&old, &generated(repository)?)?;
    std::fs::write(&path, new).with_context(|| format!("writing {}", path.display()))
}

fn generated(repository: &Path) -> anyhow::Result<String> {
    let mut lines = String::new();
    for name in RUNLABELS {
        let path = repository.join(format!("image/runlabels/{name}.sh"));
        let text = runlabel::text(&read(&path)?).with_context(|| format!("in {}", path.display()))?;
        lines.push_str(&label(name, &text));
    }
    let profile: Value = serde_json::from_str(&read(&repository.join("image/seccomp.json"))?)?;
    lines.push_str(&label(seccomp::LABEL, &profile.to_string()));
    Ok(lines)
}

/// `LABEL name="value"`, with what a Containerfile would expand or end at escaped.
fn label(name: &str, value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        if matches!(character, '\\' | '"' | '$') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    format!("LABEL {name}=\"{escaped}\"\n")
}

fn replace_generated(containerfile: &str, generated: &str) -> anyhow::Result<String> {
    let (before, rest) = containerfile
        .split_once(BEGIN)
        .context("the Containerfile has no generated part")?;
    let (_, after) = rest
        .split_once(END)
        .context("the generated part of the Containerfile has no end")?;
    ensure!(!after.contains(BEGIN), "the Containerfile has two generated parts");
    Ok(format!("{before}{BEGIN}{generated}{END}{after}"))
}

pub(super) fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_containerfile_is_up_to_date() {
        let repository = super::super::repository().unwrap();
        let containerfile = read(&repository.join("Containerfile")).unwrap();
        let expected = replace_generated(&containerfile, &generated(&repository).unwrap()).unwrap();
        assert!(containerfile == expected, "cargo xtask image --write-labels");
    }

    #[test]
    fn what_a_containerfile_would_expand_is_escaped() {
        assert_eq!(label("x", r#"a "$b" \c 'd'"#), "LABEL x=\"a \\\"\\$b\\\" \\\\c 'd'\"\n");
    }

    #[test]
    fn the_outer_container_has_no_privilege() {
        let repository = super::super::repository().unwrap();
        let run = read(&repository.join("image/runlabels/run.sh")).unwrap();
        for forbidden in ["--privileged", "cap-add", "seccomp=unconfined", "unmask=ALL", "=host"] {
            assert!(!run.contains(forbidden), "{forbidden}");
        }
    }

    #[test]
    fn generated_part_is_replaced_once() {
        let old = format!("a\n{BEGIN}old\n{END}z\n");
        assert_eq!(
            replace_generated(&old, "new\n").unwrap(),
            format!("a\n{BEGIN}new\n{END}z\n")
        );
        assert!(replace_generated("a\n", "new\n").is_err());
        assert!(replace_generated(&format!("{old}{old}"), "new\n").is_err());
    }
}
