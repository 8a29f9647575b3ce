//! The seccomp profile of the outer container: podman's default, with `sethostname` allowed.
//!
//! systemd and nested containers set their host name. The default profile ties that to `CAP_SYS_ADMIN`, which the container does
//! not have; in its own UTS namespace the call is harmless.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

/// The image label that `podman run --seccomp-policy=image` applies.
pub(super) const LABEL: &str = "io.containers.seccomp.profile";
/// Where the distribution keeps podman's default.
pub(super) const DEFAULT_PATH: &str = "/usr/share/containers/seccomp.json";
const SYSCALL: &str = "sethostname";

/// `default` with `sethostname` taken out of the entry that denies it without `CAP_SYS_ADMIN`, and allowed for everyone.
///
/// # Errors
/// `default` does not have exactly one entry that denies it.
pub(super) fn with_sethostname(mut default: Value) -> anyhow::Result<Value> {
    let entries = default["syscalls"]
        .as_array_mut()
        .context("a seccomp profile has syscalls")?;
    let mut denied = 0;
    for entry in entries.iter_mut().filter(|entry| entry["action"] == "SCMP_ACT_ERRNO") {
        let names = entry["names"].as_array_mut().context("an entry has names")?;
        let before = names.len();
        names.retain(|name| name != SYSCALL);
        denied += before - names.len();
    }
    ensure!(denied == 1, "{denied} entries deny {SYSCALL}, expected one");
    entries.push(json!({
        "names": [SYSCALL], "action": "SCMP_ACT_ALLOW", "args": [], "comment": "", "includes": {}, "excludes": {},
    }));
    Ok(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(names: &[&str], action: &str, key: &str) -> Value {
        json!({"names": names, "action": action, key: {"caps": ["CAP_SYS_ADMIN"]}})
    }

    #[test]
    fn only_sethostname_changes() {
        let names = ["bpf", SYSCALL, "setns"];
        let allow = entry(&names, "SCMP_ACT_ALLOW", "includes");
        let default =
            json!({"defaultErrnoRet": 38, "syscalls": [allow.clone(), entry(&names, "SCMP_ACT_ERRNO", "excludes")]});
        let added = json!({
            "names": [SYSCALL], "action": "SCMP_ACT_ALLOW", "args": [], "comment": "", "includes": {}, "excludes": {},
        });
        let expected = json!({
            "defaultErrnoRet": 38,
            "syscalls": [allow, entry(&["bpf", "setns"], "SCMP_ACT_ERRNO", "excludes"), added],
        });
        assert_eq!(with_sethostname(default).unwrap(), expected);
    }

    #[test]
    fn a_profile_that_does_not_deny_it_once_is_refused() {
        for entries in [0, 2] {
            let denying = vec![entry(&[SYSCALL], "SCMP_ACT_ERRNO", "excludes"); entries];
            let error = with_sethostname(json!({ "syscalls": denying })).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("{entries} entries deny sethostname, expected one")
            );
        }
    }
}
