//! Versions with which jobs are known to go wrong.

use super::engine::helper;
use super::looking::Host;
use super::remedy::Remedy;
use super::{Finding, Verdict};
use serde_json::Value;

/// Two or three numbers.
type Version = [u32; 3];

/// Versions that are known to be bad: all from one on, below another.
struct Bad {
    component: &'static str,
    from: Version,
    below: Version,
    verdict: Verdict,
    why: &'static str,
}

impl Bad {
    const fn below(component: &'static str, below: Version, why: &'static str) -> Self {
        Self::between(component, ALL, below, why)
    }

    const fn between(component: &'static str, from: Version, below: Version, why: &'static str) -> Self {
        Self {
            component,
            from,
            below,
            verdict: Verdict::Warning,
            why,
        }
    }
}

/// Every version is from this on.
const ALL: Version = [0, 0, 0];

const BAD: &[Bad] = &[
    Bad {
        verdict: Verdict::Failure,
        ..Bad::below("podman", [4, 2, 0], "options of the sandbox are not known to it")
    },
    Bad::between(
        "podman",
        [5, 0, 0],
        [5, 0, 1],
        "a build can mount the account's files (CVE-2024-1753)",
    ),
    // https://github.com/containers/netavark/issues/426
    Bad::below(
        "netavark",
        [1, 1, 0],
        "since Linux 5.19 it cannot take containers off their networks",
    ),
    // https://github.com/containers/netavark/issues/911
    Bad::between(
        "netavark",
        [1, 10, 0],
        [1, 10, 1],
        "without root, names of containers are not found once a network has changed",
    ),
    Bad::below(
        "aardvark-dns",
        [1, 10, 1],
        "names of services get lost when many jobs look them up",
    ),
    // https://github.com/containers/crun/issues/1338, /1346, /1355
    Bad::between(
        "crun",
        [1, 11, 0],
        [1, 12, 0],
        "where this host is a container itself, no container starts (cannot open sd-bus)",
    ),
    Bad::below(
        "runc",
        [1, 1, 12],
        "a job's image can leave its container (CVE-2024-21626)",
    ),
    Bad::between("runc", [1, 2, 0], [1, 2, 8], MASKED_PATHS),
    Bad::between("runc", [1, 3, 0], [1, 3, 3], MASKED_PATHS),
    Bad::below(
        "kernel",
        [5, 12, 0],
        "an account without root has no overlay of the kernel's, and storage is slow",
    ),
];

const MASKED_PATHS: &str = "a container can write to files of /proc that are masked (CVE-2025-31133)";

/// What there is of each component, as it says itself.
#[derive(Debug, Clone)]
pub(super) struct Facts(pub(super) Vec<(&'static str, String)>);

pub(super) fn look(host: &Host) -> Facts {
    let version = |program: &str| {
        let path = helper(host, program)?;
        let said = host.ask(&[&path, "--version"]).text()?;
        said.lines().next().map(str::to_owned)
    };
    let runtime = host.podman_info().ok().and_then(|info| {
        let name = info.pointer("/host/ociRuntime/name")?.as_str()?;
        let said = info.pointer("/host/ociRuntime/version").and_then(Value::as_str)?;
        let name = ["crun", "runc"].into_iter().find(|known| *known == name)?;
        Some((name, said.lines().next()?.to_owned()))
    });
    let programs = ["podman", "netavark", "aardvark-dns"];
    let mut all = vec![("kernel", host.ask(&["uname", "-r"]).out.trim().to_owned())];
    all.extend(programs.into_iter().filter_map(|name| Some((name, version(name)?))));
    all.extend(runtime);
    Facts(all)
}

/// The first number with a dot behind, and what follows: `crun version 1.21` is 1.21.0.
fn parse(text: &str) -> Option<Version> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let numbers = text
        .get(start..)?
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .next()?;
    let mut fields = numbers.split('.').map(|field| field.parse().ok());
    Some([
        fields.next()??,
        fields.next().flatten().unwrap_or(0),
        fields.next().flatten().unwrap_or(0),
    ])
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = BAD.iter().filter_map(|bad| of_bad(facts, bad)).collect();
    findings.extend(pair(facts));
    if findings.is_empty() {
        let all: Vec<&str> = facts.0.iter().map(|(_, said)| said.as_str()).collect();
        findings.push(Finding::ok("versions", format!("kernel {}", all.join(", "))));
    }
    findings
}

fn of_bad(facts: &Facts, bad: &Bad) -> Option<Finding> {
    let (_, said) = facts.0.iter().find(|(name, _)| *name == bad.component)?;
    let have = parse(said)?;
    if have < bad.from || have >= bad.below {
        return None;
    }
    let shown = |version: Version| version.map(|number| number.to_string()).join(".");
    let wanted = shown(bad.below);
    let name = bad.component;
    let range = if bad.from == ALL {
        format!("below {wanted}")
    } else {
        format!("between {} and {wanted}", shown(bad.from))
    };
    let text = format!("{name} is {said}, {range}: {}", bad.why);
    let remedy = Remedy::advice(format!("upgrade {name} to {wanted} or later, or the distribution"));
    Some(if bad.verdict == Verdict::Failure {
        Finding::failure("versions", text, remedy)
    } else {
        Finding::warning("versions", text, remedy)
    })
}

/// netavark and aardvark-dns speak to each other.
fn pair(facts: &Facts) -> Option<Finding> {
    let of = |name: &str| facts.0.iter().find(|(known, _)| *known == name).map(|(_, said)| said);
    let (network, names) = (of("netavark")?, of("aardvark-dns")?);
    let (a, b) = (parse(network)?, parse(names)?);
    (a[..2] != b[..2]).then(|| {
        Finding::warning(
            "versions",
            format!("{network} and {names} are not of one release"),
            Remedy::advice("install both from one source, in the same release"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::tests::{Case, verify};
    use super::{Facts, judge, parse};

    fn good() -> Facts {
        Facts(vec![
            ("kernel", "6.18.44".into()),
            ("podman", "podman version 5.4.2".into()),
            ("netavark", "netavark 1.14.0".into()),
            ("aardvark-dns", "aardvark-dns 1.14.0".into()),
            ("crun", "crun version 1.21".into()),
        ])
    }

    const CASES: &[Case<Facts>] = &[
        (
            "versions",
            |f| f.0[0].1 = "5.10.0-28-amd64".into(),
            Verdict::Warning,
            "kernel is 5.10.0-28-amd64, below 5.12.0",
            "by hand: upgrade kernel to 5.12.0",
        ),
        (
            "versions",
            |f| f.0[1].1 = "podman version 4.1.1".into(),
            Verdict::Failure,
            "below 4.2.0",
            "by hand: upgrade podman",
        ),
        (
            "versions",
            |f| {
                f.0[2].1 = "netavark 1.10.3".into();
                f.0[3].1 = "aardvark-dns 1.10.0".into();
            },
            Verdict::Warning,
            "names of services get lost",
            "by hand: upgrade aardvark-dns to 1.10.1",
        ),
        (
            "versions",
            |f| f.0[4] = ("runc", "runc version 1.1.5+ds1".into()),
            Verdict::Warning,
            "CVE-2024-21626",
            "by hand: upgrade runc to 1.1.12",
        ),
        (
            "versions",
            |f| f.0[4].1 = "crun version 1.11.2".into(),
            Verdict::Warning,
            "crun is crun version 1.11.2, between 1.11.0 and 1.12.0",
            "by hand: upgrade crun to 1.12.0",
        ),
        (
            "versions",
            |f| f.0[4].1 = "crun version 1.12".into(),
            Verdict::Ok,
            "crun version 1.12",
            "",
        ),
        (
            "versions",
            |f| f.0[4].1 = "crun version 1.10.1".into(),
            Verdict::Ok,
            "crun version 1.10.1",
            "",
        ),
        (
            "versions",
            |f| f.0[4] = ("runc", "runc version 1.3.2".into()),
            Verdict::Warning,
            "CVE-2025-31133",
            "by hand: upgrade runc to 1.3.3",
        ),
        (
            "versions",
            |f| f.0[1].1 = "podman version 5.0.0".into(),
            Verdict::Warning,
            "CVE-2024-1753",
            "by hand: upgrade podman to 5.0.1",
        ),
        (
            "versions",
            |f| {
                f.0[2].1 = "netavark 1.0.3".into();
                f.0[3].1 = "aardvark-dns 1.0.3".into();
            },
            Verdict::Warning,
            "cannot take containers off their networks",
            "by hand: upgrade netavark to 1.1.0",
        ),
        (
            "versions",
            |f| f.0[4] = ("runc", "runc version 1.1.12".into()),
            Verdict::Ok,
            "runc version 1.1.12",
            "",
        ),
        (
            "versions",
            |f| f.0[2].1 = "netavark 1.4.0".into(),
            Verdict::Warning,
            "are not of one release",
            "by hand: install both",
        ),
    ];

    #[test]
    fn each_broken_host_has_its_verdict_and_remedy() {
        verify(&good(), judge, CASES);
    }

    #[test]
    fn versions_as_programs_say_them() {
        for (text, version) in [
            ("podman version 4.3.1", Some([4, 3, 1])),
            ("crun version 1.21", Some([1, 21, 0])),
            ("6.1.0-rc3", Some([6, 1, 0])),
            ("4.9.4-rhel", Some([4, 9, 4])),
            ("none", None),
        ] {
            assert_eq!(parse(text), version, "{text}");
        }
    }
}
