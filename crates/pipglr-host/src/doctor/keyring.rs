//! The kernel's keyrings: each container of the account takes a key of its quota.

use super::Finding;
use super::cgroups::setting;
use super::looking::Host;
use super::namespaces::set;
use super::remedy::Remedy;

/// Containers that should still be startable.
const COMFORTABLE: u64 = 20;
/// What kernels have by themselves.
const USUAL: u64 = 200;
/// A key of a container with its description.
const BYTES: u64 = 100;

#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// Quota of keys for each user.
    pub(super) quota: Option<u64>,
    /// Keys that the account has, and its own quota; the same for bytes.
    pub(super) keys: (u64, u64),
    pub(super) bytes: (u64, u64),
    /// podman takes no key.
    pub(super) without: bool,
}

pub(super) fn look(host: &Host) -> Facts {
    let users = host.text("/proc/key-users").unwrap_or_default();
    let quota = host.number("/proc/sys/kernel/keys/maxkeys");
    let bytes = host.number("/proc/sys/kernel/keys/maxbytes");
    let used = users.lines().find_map(|line| of_line(line, host.account.uid));
    let (keys, bytes) = used.unwrap_or(((0, quota.unwrap_or(USUAL)), (0, bytes.unwrap_or(USUAL * BYTES))));
    Facts {
        quota,
        keys,
        bytes,
        without: host.is_set("keyring=false"),
    }
}

type Used = ((u64, u64), (u64, u64));

/// ` 1000:     3 3/3 3/200 37/20000`: keys and bytes of a user, of its quota.
fn of_line(line: &str, uid: u32) -> Option<Used> {
    let (user, rest) = line.split_once(':')?;
    let pair = |text: &str| -> Option<(u64, u64)> {
        let (used, quota) = text.split_once('/')?;
        Some((used.parse().ok()?, quota.parse().ok()?))
    };
    let [_, _, keys, bytes] = rest.split_whitespace().collect::<Vec<_>>()[..] else {
        return None;
    };
    (user.trim() == uid.to_string()).then_some((pair(keys)?, pair(bytes)?))
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    const CHECK: &str = "keyring";
    let Facts { keys, bytes, .. } = facts;
    let text = format!(
        "the account has {} of {} keys, {} of {} bytes",
        keys.0, keys.1, bytes.0, bytes.1
    );
    let left = keys
        .1
        .saturating_sub(keys.0)
        .min(bytes.1.saturating_sub(bytes.0) / BYTES);
    let all = || set("kernel.keys.maxkeys", 2000).followed_by(set("kernel.keys.maxbytes", 200_000));
    vec![if facts.quota.is_some_and(|quota| quota < USUAL) {
        let remedy: Remedy = all();
        Finding::warning(CHECK, format!("{text}: few containers can be there at once"), remedy)
    } else if facts.without || left >= COMFORTABLE {
        Finding::ok(CHECK, text)
    } else if left == 0 {
        let text = format!("{text}: containers do not start (Disk quota exceeded)");
        Finding::failure(CHECK, text, setting("containers", "keyring", "false"))
    } else {
        let text = format!("{text}: room for {left} containers more");
        Finding::warning(CHECK, text, setting("containers", "keyring", "false"))
    }]
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::tests::{Case, verify};
    use super::{Facts, judge, of_line};

    fn good() -> Facts {
        Facts {
            quota: Some(200),
            keys: (3, 200),
            bytes: (37, 20_000),
            without: false,
        }
    }

    const CASES: &[Case<Facts>] = &[
        (
            "keyring",
            |f| f.keys.0 = 200,
            Verdict::Failure,
            "has 200 of 200 keys, 37 of 20000 bytes: containers do not start",
            "as the account: printf '[containers]\\nkeyring = false\\n' >",
        ),
        (
            "keyring",
            |f| f.bytes.0 = 19_000,
            Verdict::Warning,
            "room for 10 containers more",
            "as the account: printf '[containers]\\nkeyring = false\\n' >",
        ),
        (
            "keyring",
            |f| {
                f.keys.0 = 200;
                f.without = true;
            },
            Verdict::Ok,
            "200 of 200",
            "",
        ),
        (
            "keyring",
            |f| f.quota = Some(50),
            Verdict::Warning,
            "few containers",
            "as root: echo 2000 > /proc/sys/kernel/keys/maxkeys",
        ),
    ];

    #[test]
    fn each_broken_host_has_its_verdict_and_remedy() {
        verify(&good(), judge, CASES);
    }

    #[test]
    fn lines_of_the_kernel() {
        assert_eq!(
            of_line(" 1000:     3 3/3 3/200 37/20000", 1000),
            Some(((3, 200), (37, 20_000)))
        );
        assert_eq!(of_line("    0:    11 11/11 11/200 260/20000", 1000), None);
    }
}
