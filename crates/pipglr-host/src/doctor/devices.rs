//! Devices the sandbox is given: the account has to be able to open them.

use super::Finding;
use super::looking::Host;
use super::remedy::Remedy;
use crate::sandbox::Sandbox;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone)]
pub(super) struct Device {
    pub(super) path: &'static str,
    pub(super) there: bool,
    /// Why it cannot be opened for reading and writing; tried as the account.
    pub(super) refused: Option<String>,
    /// A directory above that the account may not go through.
    pub(super) closed: Option<PathBuf>,
    /// Its mount, if devices do not count there.
    pub(super) nodev: Option<PathBuf>,
}

/// What `--fix` does about each: its check, kernel module, and the name udev knows it by.
const NAMES: [(&str, &str, &str, &str); 2] = [
    ("/dev/fuse", "device-fuse", "fuse", "fuse"),
    ("/dev/net/tun", "device-tun", "tun", "tun"),
];

pub(super) fn look(host: &Host) -> Vec<Device> {
    let devices = Sandbox::new("", "").devices;
    devices.into_iter().map(|path| device(host, path)).collect()
}

fn device(host: &Host, path: &'static str) -> Device {
    let open = host.ask(&["sh", "-c", &format!("exec 3<>{path}")]);
    let place = Path::new(path);
    let closed = place.ancestors().skip(1).find(|above| {
        let status = host.status(above);
        status.is_some_and(|status| status.mode & 0o001 == 0)
    });
    Device {
        path,
        there: host.exists(path),
        refused: (!open.success()).then(|| open.complaint()),
        closed: closed.map(Path::to_owned),
        nodev: host
            .mount_of(place)
            .filter(|mount| mount.has("nodev"))
            .map(|mount| mount.path),
    }
}

pub(super) fn judge(devices: &[Device]) -> Vec<Finding> {
    devices.iter().filter_map(of_device).collect()
}

fn of_device(device: &Device) -> Option<Finding> {
    let path = device.path;
    let (_, check, module, name) = NAMES.iter().find(|(known, ..)| *known == path)?;
    let Some(refused) = &device.refused else {
        return Some(Finding::ok(check, format!("{path} can be opened")));
    };
    let why = refused.rsplit(": ").next().unwrap_or(refused);
    let text = format!("the account cannot open {path}: {why}");
    if let Some(directory) = &device.closed {
        let directory = directory.display();
        return Some(Finding::failure(
            check,
            format!("{text}; it may not enter {directory}"),
            Remedy::root([format!("chmod a+rx {directory}")]),
        ));
    }
    if !device.there {
        let file = "/etc/modules-load.d/pipglr.conf";
        return Some(Finding::failure(
            check,
            text,
            Remedy::root([
                format!("modprobe {module}"),
                format!("grep -qsx {module} {file} || echo {module} >> {file}"),
                opened(name),
                format!("[ $(stat -c %a {path}) = 666 ] || chmod 666 {path}"),
            ]),
        ));
    }
    if let Some(mount) = &device.nodev {
        let mount = mount.display();
        return Some(Finding::failure(
            check,
            format!("{text}; {mount} is mounted nodev"),
            Remedy::root([format!("mount -o remount,bind,dev {mount}")])
                .by_hand(format!("whatever mounts {mount} has to leave out nodev, too")),
        ));
    }
    Some(Finding::failure(
        check,
        text,
        Remedy::root([opened(name), format!("chmod 666 {path}")]),
    ))
}

/// A rule of udev's, for the next start.
fn opened(name: &str) -> String {
    let file = "/etc/udev/rules.d/90-pipglr.rules";
    let line = format!("KERNEL==\"{name}\", MODE=\"0666\"");
    format!("mkdir -p /etc/udev/rules.d; grep -qsxF '{line}' {file} || echo '{line}' >> {file}")
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::tests::{Case, verify};
    use super::{Device, judge};

    fn good() -> Vec<Device> {
        let device = |path| Device {
            path,
            there: true,
            refused: None,
            closed: None,
            nodev: None,
        };
        vec![device("/dev/fuse"), device("/dev/net/tun")]
    }

    fn refuse(device: &mut Device, why: &str) {
        device.refused = Some(format!("sh: 1: cannot open {}: {why}", device.path));
    }

    const CASES: &[Case<Vec<Device>>] = &[
        (
            "device-fuse",
            |f| {
                refuse(&mut f[0], "No such file");
                f[0].there = false;
            },
            Verdict::Failure,
            "cannot open /dev/fuse: No such file",
            "as root: modprobe fuse",
        ),
        (
            "device-tun",
            |f| refuse(&mut f[1], "Permission denied"),
            Verdict::Failure,
            "cannot open /dev/net/tun: Permission denied",
            "as root: chmod 666 /dev/net/tun",
        ),
        (
            "device-tun",
            |f| {
                refuse(&mut f[1], "Permission denied");
                f[1].closed = Some("/dev/net".into());
                f[1].there = false;
            },
            Verdict::Failure,
            "it may not enter /dev/net",
            "as root: chmod a+rx /dev/net",
        ),
        (
            "device-fuse",
            |f| {
                refuse(&mut f[0], "Permission denied");
                f[0].nodev = Some("/dev/fuse".into());
            },
            Verdict::Failure,
            "/dev/fuse is mounted nodev",
            "as root: mount -o remount,bind,dev /dev/fuse",
        ),
    ];

    #[test]
    fn each_broken_host_has_its_verdict_and_remedy() {
        verify(&good(), |devices| judge(devices), CASES);
    }
}
