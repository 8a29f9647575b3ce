//! newuidmap and newgidmap, which give a user namespace its IDs.

use super::Finding;
use super::looking::Host;
use super::packages::{Manager, Package, install};
use super::remedy::Remedy;
use std::path::{Path, PathBuf};

/// The programs, which are the checks' names, too.
const PROGRAMS: [&str; 2] = ["newuidmap", "newgidmap"];

#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) programs: Vec<Program>,
    pub(super) manager: Option<Manager>,
    /// The session may gain no privilege by a program (prctl's `NO_NEW_PRIVS`).
    pub(super) no_new_privileges: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) name: &'static str,
    /// Where the account finds it.
    pub(super) path: Option<String>,
    /// Mode and owner.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) capable: bool,
    /// Its mount, if that takes privileges away.
    pub(super) nosuid: Option<PathBuf>,
}

pub(super) fn look(host: &Host) -> Facts {
    let status = host.ask(&["cat", "/proc/self/status"]).out;
    let no_new = status.lines().find_map(|line| line.strip_prefix("NoNewPrivs:"));
    Facts {
        programs: PROGRAMS.map(|name| program(host, name)).into(),
        manager: host.manager(),
        no_new_privileges: no_new.is_some_and(|value| value.trim() == "1"),
    }
}

fn program(host: &Host, name: &'static str) -> Program {
    let path = host.which(name);
    let place = path.clone().unwrap_or_default();
    let status = host.status(&place);
    let mount = host.mount_of(Path::new(&place));
    Program {
        name,
        mode: status.map_or(0, |status| status.mode),
        uid: status.map_or(0, |status| status.uid),
        capable: path.is_some() && host.has_capabilities(&place),
        nosuid: mount.filter(|mount| mount.has("nosuid")).map(|mount| mount.path),
        path,
    }
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    facts
        .programs
        .iter()
        .map(|program| of_program(facts, program))
        .collect()
}

fn of_program(facts: &Facts, program: &Program) -> Finding {
    let check = program.name;
    let Some(path) = &program.path else {
        return Finding::failure(
            check,
            "the account finds no such program, so that user namespaces have one ID only",
            install(facts.manager, Package::IdMapPrograms),
        );
    };
    let setuid = program.mode & 0o4000 != 0;
    let privileged = program.capable || (setuid && program.uid == 0);
    if !privileged {
        let lines = [format!("chown root {path}"), format!("chmod u+s {path}")];
        let owner = if setuid { " to root" } else { "" };
        return Finding::failure(
            check,
            format!("{path} has neither file capabilities nor the setuid bit{owner}: it may not write the map"),
            Remedy::root(lines),
        );
    }
    if let Some(mount) = &program.nosuid {
        let mount = mount.display();
        return Finding::failure(
            check,
            format!("{path} is on {mount}, which is mounted nosuid: its privilege does not count"),
            Remedy::root([format!("mount -o remount,bind,suid {mount}")]).by_hand(format!(
                "whatever mounts {mount} has to leave out nosuid, too, such as /etc/fstab"
            )),
        );
    }
    if facts.no_new_privileges {
        return Finding::failure(
            check,
            "this session may gain no privileges (NoNewPrivs in /proc/self/status)",
            Remedy::advice(
                "log in anew, outside of what set it: a container, a unit with NoNewPrivileges=, bubblewrap",
            ),
        );
    }
    let how = if program.capable {
        "file capabilities"
    } else {
        "setuid root"
    };
    Finding::ok(check, format!("{path}, {how}"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Case, verify};
    use super::super::{Verdict, packages::Manager};
    use super::{Facts, PROGRAMS, Program, judge};

    fn good() -> Facts {
        Facts {
            programs: PROGRAMS
                .map(|name| Program {
                    name,
                    path: Some(format!("/usr/bin/{name}")),
                    mode: 0o4755,
                    uid: 0,
                    capable: false,
                    nosuid: None,
                })
                .into(),
            manager: Some(Manager::Apt),
            no_new_privileges: false,
        }
    }

    const CASES: &[Case<Facts>] = &[
        (
            "newuidmap",
            |f| f.programs[0].path = None,
            Verdict::Failure,
            "finds no such program",
            "as root: apt-get install --yes --reinstall uidmap",
        ),
        (
            "newgidmap",
            |f| f.programs[1].mode = 0o755,
            Verdict::Failure,
            "neither file capabilities nor the setuid bit:",
            "as root: chmod u+s /usr/bin/newgidmap",
        ),
        (
            "newuidmap",
            |f| f.programs[0].uid = 5,
            Verdict::Failure,
            "setuid bit to root",
            "as root: chown root /usr/bin/newuidmap",
        ),
        (
            "newuidmap",
            |f| f.programs[0].nosuid = Some("/usr".into()),
            Verdict::Failure,
            "on /usr, which is mounted nosuid",
            "as root: mount -o remount,bind,suid /usr",
        ),
        (
            "newuidmap",
            |f| f.no_new_privileges = true,
            Verdict::Failure,
            "may gain no privileges",
            "by hand: log in anew",
        ),
        (
            "newuidmap",
            |f| {
                f.programs[0].mode = 0o755;
                f.programs[0].capable = true;
            },
            Verdict::Ok,
            "file capabilities",
            "",
        ),
    ];

    #[test]
    fn each_broken_host_has_its_verdict_and_remedy() {
        verify(&good(), judge, CASES);
    }
}
