//! What an account has while it is there: home, runtime directory, and its systemd, which stays without a session.

use super::Finding;
use super::looking::{Host, Status};
use super::packages::{Manager, Package, install};
use super::remedy::{Remedy, Who};
use crate::account::{LINGER, systemd_answers};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) home: Directory,
    pub(super) runtime: Directory,
    /// The host was started by systemd.
    pub(super) booted: bool,
    pub(super) linger: bool,
    /// What the account's systemd says of its state.
    pub(super) systemd: Option<String>,
    /// The unit that is the account's systemd can be started.
    pub(super) masked: bool,
    /// The session's bus answers.
    pub(super) bus: bool,
    pub(super) manager: Option<Manager>,
}

#[derive(Debug, Clone)]
pub(super) struct Directory {
    pub(super) path: PathBuf,
    pub(super) status: Option<Status>,
    /// The account can make files in it.
    pub(super) usable: bool,
}

pub(super) fn look(host: &Host) -> Facts {
    let account = &host.account;
    let unit = format!("user@{}.service", account.uid);
    let state = host.ask(&["systemctl", "--user", "is-system-running"]).out;
    let ping = [
        "busctl",
        "--user",
        "--timeout=5",
        "call",
        "org.freedesktop.DBus",
        "/",
        "org.freedesktop.DBus.Peer",
        "Ping",
    ];
    Facts {
        name: account.name.clone(),
        uid: account.uid,
        home: directory(host, &account.home),
        runtime: directory(host, &account.runtime_dir),
        booted: host.exists("/run/systemd/system"),
        linger: host.exists(Path::new(LINGER).join(&account.name)),
        systemd: Some(state.trim().to_owned()).filter(|state| systemd_answers(state)),
        masked: host.ask(&["systemctl", "is-enabled", &unit]).out.trim() == "masked",
        bus: host.ask(&ping).success(),
        manager: host.manager(),
    }
}

fn directory(host: &Host, path: &Path) -> Directory {
    let place = path.to_string_lossy();
    let test = ["test", "-d", &place, "-a", "-w", &place, "-a", "-x", &place];
    Directory {
        path: path.to_owned(),
        status: host.status(path),
        usable: host.ask(&test).success(),
    }
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![home(facts), runtime(facts)];
    if facts.booted {
        findings.extend([linger(facts), systemd(facts)]);
        if facts.systemd.is_some() {
            findings.push(bus(facts));
        }
    } else {
        findings.push(Finding::warning(
            "linger",
            "this host was not started by systemd: nothing starts the runner after the machine",
            Remedy::advice("let what starts this host start the container, too"),
        ));
    }
    findings
}

fn home(facts: &Facts) -> Finding {
    let Directory { path, status, usable } = &facts.home;
    let (name, shown) = (&facts.name, path.display());
    if *usable {
        return Finding::ok("home", shown.to_string());
    }
    let (text, lines) = match status {
        None => (
            format!("{shown} is not there, and podman keeps everything below it"),
            vec![format!("install -d -o {name} -g $(id -g {name}) -m 700 {shown}")],
        ),
        Some(Status { uid, .. }) => (
            format!("{shown} belongs to the user {uid}, and {name} may not write there"),
            vec![format!("chown {name}: {shown}"), format!("chmod u+rwx {shown}")],
        ),
    };
    Finding::failure("home", text, Remedy::root(lines))
}

fn runtime(facts: &Facts) -> Finding {
    const CHECK: &str = "runtime-directory";
    let Directory { path, status, usable } = &facts.runtime;
    let (name, uid, shown) = (&facts.name, facts.uid, path.display());
    let own = Path::new("/run/user").join(uid.to_string());
    let owner = status.map(|status| status.uid);
    if *usable && owner == Some(uid) {
        return Finding::ok(CHECK, shown.to_string());
    }
    let state = match owner {
        None => "is not there".to_owned(),
        Some(owner) if owner == uid => format!("cannot be written by {name}"),
        Some(owner) => format!("belongs to the user {owner}"),
    };
    let text = format!("XDG_RUNTIME_DIR {shown} {state}: podman keeps its locks and sockets there");
    let remedy = if *path != own {
        Remedy::advice(format!("export XDG_RUNTIME_DIR={}, as a log-in does", own.display()))
    } else if owner.is_some() {
        Remedy::root([format!("chown {name}: {shown}"), format!("chmod 700 {shown}")])
    } else if facts.booted {
        start(facts)
    } else {
        Remedy::root([format!("install -d -o {name} -g $(id -g {name}) -m 700 {shown}")])
    };
    Finding::failure(CHECK, text, remedy)
}

/// The account's systemd and its runtime directory, now and at each start of the machine.
fn start(facts: &Facts) -> Remedy {
    let Facts { name, uid, .. } = facts;
    let unmask = facts.masked.then(|| format!("systemctl unmask user@{uid}.service"));
    let lines = [
        format!("loginctl enable-linger {name}"),
        format!("systemctl restart user-runtime-dir@{uid}.service user@{uid}.service"),
    ];
    Remedy::root(unmask.into_iter().chain(lines))
}

fn linger(facts: &Facts) -> Finding {
    let name = &facts.name;
    if facts.linger {
        return Finding::ok(
            "linger",
            format!(
                "{name} stays without a session; a unit of it (podman-restart.service, or that of pipglr service install) \
                 starts the runner with the machine"
            ),
        );
    }
    Finding::warning(
        "linger",
        format!(
            "{name} does not linger: its containers end when it logs out, and nothing of it starts with the machine"
        ),
        Remedy::root([format!("loginctl enable-linger {name}")]),
    )
}

fn systemd(facts: &Facts) -> Finding {
    const CHECK: &str = "user-systemd";
    if let Some(state) = &facts.systemd {
        return Finding::ok(CHECK, format!("the account's systemd answers: {state}"));
    }
    let why = if facts.masked { ", and its unit is masked" } else { "" };
    Finding::warning(
        CHECK,
        format!("the account's systemd does not answer{why}: no health checks, no limits for containers"),
        start(facts),
    )
}

fn bus(facts: &Facts) -> Finding {
    const CHECK: &str = "user-bus";
    if facts.bus {
        return Finding::ok(CHECK, "the session's bus answers");
    }
    let again = ["systemctl --user daemon-reload", "systemctl --user restart dbus.socket"];
    Finding::warning(
        CHECK,
        "the session's bus does not answer: podman cannot ask systemd for cgroups",
        install(facts.manager, Package::SessionBus).and(Who::Account, again),
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Case, verify};
    use super::super::{Verdict, packages::Manager};
    use super::{Directory, Facts, Status, judge};

    fn directory(path: &str) -> Directory {
        Directory {
            path: path.into(),
            status: Some(Status { mode: 0o700, uid: 1005 }),
            usable: true,
        }
    }

    fn good() -> Facts {
        Facts {
            name: "ci".into(),
            uid: 1005,
            home: directory("/home/ci"),
            runtime: directory("/run/user/1005"),
            booted: true,
            linger: true,
            systemd: Some("running".into()),
            masked: false,
            bus: true,
            manager: Some(Manager::Apt),
        }
    }

    fn foreign(directory: &mut Directory) {
        directory.usable = false;
        directory.status = Some(Status { mode: 0o700, uid: 0 });
    }

    fn missing(directory: &mut Directory) {
        directory.usable = false;
        directory.status = None;
    }

    const CASES: &[Case<Facts>] = &[
        (
            "home",
            |f| foreign(&mut f.home),
            Verdict::Failure,
            "belongs to the user 0",
            "as root: chown ci: /home/ci",
        ),
        (
            "home",
            |f| missing(&mut f.home),
            Verdict::Failure,
            "is not there",
            "as root: install -d -o ci",
        ),
        (
            "runtime-directory",
            |f| foreign(&mut f.runtime),
            Verdict::Failure,
            "belongs to the user 0",
            "as root: chown ci: /run/user/1005",
        ),
        (
            "runtime-directory",
            |f| missing(&mut f.runtime),
            Verdict::Failure,
            "is not there",
            "as root: loginctl enable-linger ci",
        ),
        (
            "runtime-directory",
            |f| {
                missing(&mut f.runtime);
                f.booted = false;
            },
            Verdict::Failure,
            "is not there",
            "as root: install -d -o ci -g $(id -g ci) -m 700 /run/user/1005",
        ),
        (
            "runtime-directory",
            |f| {
                foreign(&mut f.runtime);
                f.runtime.path = "/run/user/0".into();
            },
            Verdict::Failure,
            "XDG_RUNTIME_DIR /run/user/0 belongs",
            "by hand: export XDG_RUNTIME_DIR=/run/user/1005",
        ),
        (
            "linger",
            |f| f.linger = false,
            Verdict::Warning,
            "end when it logs out",
            "as root: loginctl enable-linger ci",
        ),
        (
            "linger",
            |f| f.booted = false,
            Verdict::Warning,
            "not started by systemd",
            "by hand: let what starts",
        ),
        (
            "user-systemd",
            |f| f.systemd = None,
            Verdict::Warning,
            "does not answer:",
            "as root: systemctl restart user-runtime-dir@1005.service user@1005.service",
        ),
        (
            "user-systemd",
            |f| {
                f.systemd = None;
                f.masked = true;
            },
            Verdict::Warning,
            "its unit is masked",
            "as root: systemctl unmask user@1005.service",
        ),
        (
            "user-bus",
            |f| f.bus = false,
            Verdict::Warning,
            "the session's bus does not answer",
            "as root: apt-get install --yes --reinstall dbus-user-session",
        ),
    ];

    #[test]
    fn each_broken_host_has_its_verdict_and_remedy() {
        verify(&good(), judge, CASES);
    }
}
