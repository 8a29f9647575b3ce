//! Namespaces: whether the kernel lets the account make them, and the proof that it does.

use super::Finding;
use super::looking::Host;
use super::remedy::Remedy;

/// Where the kernel counts, for each user: with nothing left, containers cannot start.
const LIMITS: [&str; 8] = [
    "user.max_user_namespaces",
    "user.max_mnt_namespaces",
    "user.max_pid_namespaces",
    "user.max_net_namespaces",
    "user.max_ipc_namespaces",
    "user.max_uts_namespaces",
    "user.max_cgroup_namespaces",
    "user.max_inotify_instances",
];
/// The sandbox alone takes so many of some kind; below, it does not start.
const LEAST: u64 = 16;
/// Dozens of jobs at once, with services, stay below.
const COMFORTABLE: u64 = 120;
/// What the remedy sets: what kernels have by themselves on a machine with 16 GB.
const PLENTY: u64 = 65_536;
/// After all others, whose word would count else.
const SYSCTL_FILE: &str = "/etc/sysctl.d/zz-pipglr.conf";
/// Switches of distributions: name, the value that forbids, the one that allows.
const SWITCHES: [(&str, u64, u64); 1] = [("kernel.unprivileged_userns_clone", 0, 1)];
const APPARMOR: &str = "kernel.apparmor_restrict_unprivileged_userns";

#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// Name and value of each setting the kernel has.
    pub(super) settings: Vec<(&'static str, u64)>,
    /// AppArmor lets programs with a profile that says so make user namespaces only.
    pub(super) apparmor_restricts: bool,
    /// podman's program, and whether a profile names it.
    pub(super) podman: String,
    pub(super) profile: bool,
    /// How many IDs each of the maps has in podman's own namespace, or podman's complaint.
    pub(super) mapped: Result<[u64; 2], String>,
    /// As many as the files have for the account, and its own; nothing if ranges are not in files.
    pub(super) expected: Option<[u64; 2]>,
    pub(super) running: bool,
}

pub(super) fn look(host: &Host, granted: Option<[u64; 2]>) -> Facts {
    let switches = SWITCHES.iter().map(|(name, ..)| *name);
    let podman = host.which("podman").unwrap_or_else(|| "/usr/bin/podman".to_owned());
    let settings = LIMITS
        .into_iter()
        .chain(switches)
        .filter_map(|name| Some((name, host.number(&place(name))?)));
    let profiles = format!("grep -rlsF -- {podman} /etc/apparmor.d");
    let unshare = host.ask(&["podman", "unshare", "cat", "/proc/self/uid_map", "/proc/self/gid_map"]);
    Facts {
        settings: settings.collect(),
        apparmor_restricts: host.number(&place(APPARMOR)) == Some(1),
        profile: host.ask(&["sh", "-c", &profiles]).success(),
        podman,
        mapped: if unshare.success() {
            Ok(maps(&unshare.out))
        } else {
            Err(unshare.complaint())
        },
        expected: granted.map(|both| both.map(|count| count + 1)),
        running: host.containers_run(),
    }
}

fn place(name: &str) -> String {
    format!("/proc/sys/{}", name.replace('.', "/"))
}

/// The IDs in two maps, one below the other; each begins with the ID 0 inside.
fn maps(text: &str) -> [u64; 2] {
    let mut sums = [0, 0];
    let mut seen = 0;
    for line in text.lines() {
        let fields: Vec<u64> = line.split_whitespace().filter_map(|field| field.parse().ok()).collect();
        let [inside, _, count] = fields[..] else { continue };
        seen += usize::from(inside == 0);
        if let Some(sum) = sums.get_mut(seen.saturating_sub(1)) {
            *sum += count;
        }
    }
    sums
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = facts
        .settings
        .iter()
        .filter_map(|(name, value)| of_setting(name, *value))
        .collect();
    if facts.apparmor_restricts && !facts.profile {
        findings.push(Finding::failure(
            "apparmor-namespaces",
            format!(
                "{APPARMOR} is 1, and no profile in /etc/apparmor.d lets {} have them",
                facts.podman
            ),
            profile(&facts.podman),
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok("namespaces", "the kernel's limits and switches allow them"));
    }
    findings.push(proof(facts));
    findings
}

fn of_setting(name: &'static str, value: u64) -> Option<Finding> {
    if let Some((_, forbids, allows)) = SWITCHES.iter().find(|(switch, ..)| *switch == name) {
        let text = format!("{name} is {value}: accounts without root may make no user namespace");
        return (value == *forbids).then(|| Finding::failure("namespaces", text, set(name, *allows)));
    }
    let text = format!("{name} is {value}");
    if value < LEAST {
        Some(Finding::failure("namespaces", text, set(name, PLENTY)))
    } else if value < COMFORTABLE {
        Some(Finding::warning(
            "namespaces",
            format!("{text}: few jobs can run at once"),
            set(name, PLENTY),
        ))
    } else {
        None
    }
}

/// Now, and after the next start.
pub(super) fn set(name: &str, value: u64) -> Remedy {
    let line = format!("{name} = {value}");
    Remedy::root([
        format!("grep -qsx '{line}' {SYSCTL_FILE} || echo '{line}' >> {SYSCTL_FILE}"),
        format!("echo {value} > {}", place(name)),
    ])
}

/// For podman alone: the switch for the whole host would be a hole.
fn profile(podman: &str) -> Remedy {
    let text = format!(
        "abi <abi/4.0>,\\ninclude <tunables/global>\\nprofile podman {podman} flags=(unconfined) {{\\n  userns,\\n}}\\n"
    );
    Remedy::root([
        format!("printf '{text}' > /etc/apparmor.d/podman"),
        "apparmor_parser --replace /etc/apparmor.d/podman".to_owned(),
    ])
}

fn proof(facts: &Facts) -> Finding {
    const CHECK: &str = "user-namespace";
    let mapped = match &facts.mapped {
        Ok(mapped) => mapped,
        Err(complaint) => {
            return Finding::failure(
                CHECK,
                format!("podman unshare true: {complaint}"),
                Remedy::advice("see to the other findings; then give this command again"),
            );
        }
    };
    let text = format!("podman's has {} user and {} group IDs", mapped[0], mapped[1]);
    let [users, groups] = facts.expected.unwrap_or(*mapped);
    if *mapped == [users, groups] {
        return Finding::ok(CHECK, text);
    }
    let remedy = Remedy::account(["podman system migrate"]);
    let text = format!(
        "{text}; by /etc/subuid and /etc/subgid it would be {users} and {groups}: it is an old one, or these lines are refused"
    );
    Finding::failure(
        CHECK,
        text,
        if facts.running {
            remedy.by_hand("`podman system migrate` stops the account's running containers")
        } else {
            remedy
        },
    )
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::tests::{Case, verify};
    use super::{Facts, judge, maps};

    fn good() -> Facts {
        Facts {
            settings: vec![
                ("user.max_user_namespaces", 30_000),
                ("kernel.unprivileged_userns_clone", 1),
            ],
            apparmor_restricts: false,
            podman: "/usr/bin/podman".into(),
            profile: false,
            mapped: Ok([65_540, 65_540]),
            expected: Some([65_540, 65_540]),
            running: false,
        }
    }

    const CASES: &[Case<Facts>] = &[
        (
            "namespaces",
            |f| f.settings[0].1 = 0,
            Verdict::Failure,
            "user.max_user_namespaces is 0",
            "as root: echo 65536 > /proc/sys/user/max_user_namespaces",
        ),
        (
            "namespaces",
            |f| f.settings[0].1 = 100,
            Verdict::Warning,
            "few jobs can run at once",
            "|| echo 'user.max_user_namespaces = 65536' >> /etc/sysctl.d/zz-pipglr.conf",
        ),
        (
            "namespaces",
            |f| f.settings[1].1 = 0,
            Verdict::Failure,
            "may make no user namespace",
            "as root: echo 1 > /proc/sys/kernel/unprivileged_userns_clone",
        ),
        (
            "apparmor-namespaces",
            |f| f.apparmor_restricts = true,
            Verdict::Failure,
            "no profile in /etc/apparmor.d lets /usr/bin/podman",
            "as root: apparmor_parser --replace /etc/apparmor.d/podman",
        ),
        (
            "namespaces",
            |f| {
                f.apparmor_restricts = true;
                f.profile = true;
            },
            Verdict::Ok,
            "allow them",
            "",
        ),
        (
            "user-namespace",
            |f| f.mapped = Err("cannot clone".into()),
            Verdict::Failure,
            "podman unshare true: cannot clone",
            "by hand: see to the other findings",
        ),
        (
            "user-namespace",
            |f| f.mapped = Ok([1, 1]),
            Verdict::Failure,
            "podman's has 1 user and 1 group IDs; by /etc/subuid",
            "as the account: podman system migrate",
        ),
        (
            "user-namespace",
            |f| {
                f.mapped = Ok([65_537, 65_540]);
                f.running = true;
            },
            Verdict::Failure,
            "it would be 65540 and 65540",
            "by hand: `podman system migrate` stops",
        ),
    ];

    #[test]
    fn each_broken_host_has_its_verdict_and_remedy() {
        verify(&good(), judge, CASES);
    }

    #[test]
    fn two_maps_below_each_other() {
        let text =
            "         0       1000          1\n         1     200000      65539\n 0 1000 1\n 1 300000 10\n 11 9 5\n";
        assert_eq!(maps(text), [65_540, 16]);
    }
}
