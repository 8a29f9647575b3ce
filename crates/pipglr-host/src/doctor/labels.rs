//! SELinux and AppArmor: what they make of containers of the account.

use super::Finding;
use super::looking::Host;
use super::remedy::Remedy;
use super::storage::place;

/// Types that containers and their files may have.
const FITTING: [&str; 5] = [
    "container_file_t",
    "container_ro_file_t",
    "container_var_lib_t",
    "data_home_t",
    "user_home_t",
];

#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) enforcing: bool,
    /// podman's storage, and its label.
    pub(super) storage: String,
    pub(super) label: Option<String>,
    /// The policy for containers is installed.
    pub(super) policy: bool,
    /// The profile of AppArmor that the account's commands have.
    pub(super) profile: Option<String>,
}

pub(super) fn look(host: &Host) -> Facts {
    let storage = host.nearest(&place(host)).display().to_string();
    let profile = host.ask(&["cat", "/proc/self/attr/apparmor/current"]);
    let profile = profile
        .text()
        .or_else(|| host.ask(&["cat", "/proc/self/attr/current"]).text());
    Facts {
        enforcing: host.number("/sys/fs/selinux/enforce") == Some(1),
        label: host.ask(&["stat", "-c", "%C", &storage]).text(),
        storage,
        policy: host.exists("/etc/selinux/targeted/contexts/files/file_contexts")
            && host.exists("/usr/share/containers/selinux/contexts"),
        profile: profile.filter(|profile| !profile.is_empty()),
    }
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    if facts.enforcing {
        return vec![selinux(facts)];
    }
    let profile = facts.profile.as_deref().unwrap_or("unconfined");
    let name = profile.split(' ').next().unwrap_or(profile);
    if name == "unconfined" || name.trim_start_matches('/').contains("podman") || profile.ends_with("(unconfined)") {
        return vec![Finding::ok(
            "labels",
            "no SELinux that enforces, no profile of AppArmor that confines",
        )];
    }
    vec![Finding::warning(
        "labels",
        format!("this session is confined by the profile {profile} of AppArmor, and so is what podman mounts"),
        Remedy::advice("log in outside of it, or let the profile allow mounts and user namespaces"),
    )]
}

fn selinux(facts: &Facts) -> Finding {
    const CHECK: &str = "labels";
    if !facts.policy {
        return Finding::failure(
            CHECK,
            "SELinux enforces, and its policy for containers is not installed",
            Remedy::root(["dnf install -y container-selinux"]),
        );
    }
    let label = facts.label.as_deref().unwrap_or("?");
    let kind = label.split(':').nth(2).unwrap_or(label);
    if label == "?" || FITTING.contains(&kind) {
        return Finding::ok(
            CHECK,
            format!("SELinux enforces; {} has the type {kind}", facts.storage),
        );
    }
    let storage = &facts.storage;
    Finding::failure(
        CHECK,
        format!("SELinux enforces, and {storage} has the type {kind}, which containers may not read"),
        Remedy::root([
            format!("semanage fcontext --add --type container_file_t '{storage}(/.*)?' || true"),
            format!("restorecon -RF {storage}"),
        ]),
    )
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::tests::{Case, verify};
    use super::{Facts, judge};

    fn good() -> Facts {
        Facts {
            enforcing: false,
            storage: "/srv/ci".into(),
            label: Some("unconfined_u:object_r:container_file_t:s0".into()),
            policy: true,
            profile: Some("unconfined".into()),
        }
    }

    const CASES: &[Case<Facts>] = &[
        (
            "labels",
            |f| f.enforcing = true,
            Verdict::Ok,
            "the type container_file_t",
            "",
        ),
        (
            "labels",
            |f| {
                f.enforcing = true;
                f.policy = false;
            },
            Verdict::Failure,
            "not installed",
            "as root: dnf install -y container-selinux",
        ),
        (
            "labels",
            |f| {
                f.enforcing = true;
                f.label = Some("system_u:object_r:default_t:s0".into());
            },
            Verdict::Failure,
            "/srv/ci has the type default_t",
            "as root: restorecon -RF /srv/ci",
        ),
        (
            "labels",
            |f| f.profile = Some("docker-default (enforce)".into()),
            Verdict::Warning,
            "the profile docker-default (enforce)",
            "by hand: log in outside",
        ),
        (
            "labels",
            |f| f.profile = Some("podman (unconfined)".into()),
            Verdict::Ok,
            "no profile",
            "",
        ),
    ];

    #[test]
    fn each_broken_host_has_its_verdict_and_remedy() {
        verify(&good(), judge, CASES);
    }
}
