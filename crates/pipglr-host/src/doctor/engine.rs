//! podman and what it is made of: whether all of it is there and starts.

use super::Finding;
use super::looking::Host;
use super::packages::{Manager, Package, install};
use super::remedy::Remedy;
use serde_json::Value;

#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// podman's program is there.
    pub(super) installed: bool,
    /// Whether it tells of itself, or why not.
    pub(super) starts: Result<(), String>,
    /// Programs it starts containers with; one of each list has to be there.
    pub(super) parts: Vec<Part>,
    /// What it says about images it may pull; nothing if there is no such file.
    pub(super) policy: Option<Result<(), String>>,
    /// Mounts spread from the host's root directory.
    pub(super) shared: Option<bool>,
    pub(super) manager: Option<Manager>,
}

#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) check: &'static str,
    pub(super) there: Option<String>,
    /// Names, and what they are for.
    pub(super) names: &'static str,
    pub(super) purpose: &'static str,
    pub(super) package: Package,
    /// Nothing runs without it.
    pub(super) vital: bool,
}

/// Where podman looks for its helpers before it does in `PATH`.
const HELPERS: &str = "/usr/local/libexec/podman:/usr/local/lib/podman:/usr/libexec/podman:/usr/lib/podman";

pub(super) fn look(host: &Host) -> Facts {
    Facts {
        installed: host.which("podman").is_some(),
        starts: host.podman_info().map(drop).map_err(str::to_owned),
        parts: parts(host),
        policy: policy(host),
        shared: host.mount_of(std::path::Path::new("/")).map(|mount| mount.shared),
        manager: host.manager(),
    }
}

fn parts(host: &Host) -> Vec<Part> {
    let part = |check, names: &'static str, purpose, package, vital| Part {
        check,
        there: names.split(" or ").find_map(|name| helper(host, name)),
        names,
        purpose,
        package,
        vital,
    };
    vec![
        part("runtime", "crun or runc", "starts containers", Package::Crun, true),
        part("conmon", "conmon", "stays with each container", Package::Conmon, true),
        part(
            "user-network",
            "pasta or slirp4netns",
            "connects containers of an account without root",
            Package::UserNetwork,
            true,
        ),
        part(
            "network",
            "netavark",
            "makes networks of jobs with services, as pipglr local does",
            Package::Network,
            false,
        ),
        part(
            "names",
            "aardvark-dns",
            "lets containers of pipglr local find services by name",
            Package::Names,
            false,
        ),
    ]
}

/// A program of podman's own directories, or of `PATH`.
pub(super) fn helper(host: &Host, name: &str) -> Option<String> {
    let line = format!("PATH={HELPERS}:$PATH:/usr/sbin:/sbin; command -v {name}");
    host.ask(&["sh", "-c", &line]).text().filter(|path| !path.is_empty())
}

/// policy.json(5), the account's own or the host's.
fn policy(host: &Host) -> Option<Result<(), String>> {
    let own = host.account.home.join(".config/containers/policy.json");
    let text = host.text(own).or_else(|| host.text("/etc/containers/policy.json"))?;
    let read = |text: &str| -> Result<(), String> {
        let json: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match json.pointer("/default/0/type").and_then(Value::as_str) {
            Some("reject") => Err("it rejects every image that is not named in it".to_owned()),
            Some(_) => Ok(()),
            None => Err("it has no default".to_owned()),
        }
    };
    Some(read(&text))
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    if !facts.installed {
        return vec![Finding::failure(
            "podman",
            "the account finds no podman",
            install(facts.manager, Package::Podman),
        )];
    }
    let mut findings: Vec<Finding> = facts.parts.iter().map(|part| of_part(facts, part)).collect();
    let starts = match &facts.starts {
        Ok(()) => Finding::ok("podman", "it starts"),
        Err(complaint) => Finding::failure(
            "podman",
            format!("podman info: {complaint}"),
            Remedy::advice(
                "correct what it names, after the other findings: a file in ~/.config/containers or /etc/containers, or the storage",
            ),
        ),
    };
    findings.insert(0, starts);
    findings.push(of_policy(facts));
    findings.extend(facts.shared.map(shared));
    findings
}

fn of_part(facts: &Facts, part: &Part) -> Finding {
    if let Some(path) = &part.there {
        return Finding::ok(part.check, path.clone());
    }
    let text = format!("there is no {}, which {}", part.names, part.purpose);
    let remedy = install(facts.manager, part.package);
    if part.vital {
        Finding::failure(part.check, text, remedy)
    } else {
        Finding::warning(part.check, text, remedy)
    }
}

fn of_policy(facts: &Facts) -> Finding {
    const CHECK: &str = "image-policy";
    let file = "/etc/containers/policy.json";
    match &facts.policy {
        Some(Ok(())) => Finding::ok(CHECK, "images may be pulled"),
        Some(Err(why)) => Finding::failure(
            CHECK,
            format!("policy.json: {why}"),
            Remedy::advice(format!("correct {file}, or the account's own in ~/.config/containers")),
        ),
        None => Finding::failure(
            CHECK,
            format!("there is no {file}: podman pulls no image without one"),
            Remedy::root([
                "mkdir -p /etc/containers".to_owned(),
                format!(
                    "[ -e {file} ] || printf '{{\"default\":[{{\"type\":\"insecureAcceptAnything\"}}]}}\\n' > {file}"
                ),
            ]),
        ),
    }
}

fn shared(shared: bool) -> Finding {
    const CHECK: &str = "root-mount";
    if shared {
        return Finding::ok(CHECK, "/ is a shared mount");
    }
    Finding::warning(
        CHECK,
        "/ is not a shared mount: what is mounted later does not come to containers that run",
        Remedy::root(["mount --make-rshared /"]),
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Case, verify};
    use super::super::{Verdict, packages::Manager};
    use super::{Facts, Package, Part, judge};

    fn part(check: &'static str, names: &'static str, package: Package, vital: bool) -> Part {
        Part {
            check,
            there: Some(format!("/usr/bin/{names}")),
            names,
            purpose: "is needed",
            package,
            vital,
        }
    }

    fn good() -> Facts {
        Facts {
            installed: true,
            starts: Ok(()),
            parts: vec![
                part("runtime", "crun or runc", Package::Crun, true),
                part("names", "aardvark-dns", Package::Names, false),
            ],
            policy: Some(Ok(())),
            shared: Some(true),
            manager: Some(Manager::Apt),
        }
    }

    const CASES: &[Case<Facts>] = &[
        (
            "podman",
            |f| f.installed = false,
            Verdict::Failure,
            "finds no podman",
            "as root: apt-get install --yes --reinstall podman",
        ),
        (
            "podman",
            |f| f.starts = Err("storage.conf: line 3".into()),
            Verdict::Failure,
            "podman info: storage.conf: line 3",
            "by hand: correct what it names",
        ),
        (
            "runtime",
            |f| f.parts[0].there = None,
            Verdict::Failure,
            "there is no crun or runc",
            "as root: apt-get install --yes --reinstall crun",
        ),
        (
            "names",
            |f| f.parts[1].there = None,
            Verdict::Warning,
            "there is no aardvark-dns",
            "as root: apt-get install --yes --reinstall aardvark-dns",
        ),
        (
            "image-policy",
            |f| f.policy = None,
            Verdict::Failure,
            "there is no /etc/containers/policy.json",
            "as root: [ -e /etc/containers/policy.json ] || printf",
        ),
        (
            "image-policy",
            |f| f.policy = Some(Err("it has no default".into())),
            Verdict::Failure,
            "policy.json: it has no default",
            "by hand: correct /etc/containers/policy.json",
        ),
        (
            "root-mount",
            |f| f.shared = Some(false),
            Verdict::Warning,
            "not a shared mount",
            "as root: mount --make-rshared /",
        ),
    ];

    #[test]
    fn each_broken_host_has_its_verdict_and_remedy() {
        verify(&good(), judge, CASES);
    }
}
