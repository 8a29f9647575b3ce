//! How this distribution installs what is missing.

use super::remedy::Remedy;

/// What programs are called in packages.
#[derive(Debug, Clone, Copy)]
pub(super) enum Package {
    Podman,
    Crun,
    Conmon,
    Network,
    Names,
    UserNetwork,
    IdMapPrograms,
    Certificates,
    Curl,
    SessionBus,
}

/// The distribution's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manager {
    Apt,
    Dnf,
    Zypper,
    Pacman,
    Apk,
}

impl Manager {
    /// By os-release(5).
    pub(super) fn of(release: &str) -> Option<Self> {
        let of = |name: &str| {
            let line = release
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.unwrap_or_default().trim_matches('"').to_owned()
        };
        let names = format!("{} {}", of("ID"), of("ID_LIKE"));
        names.split(' ').find_map(|name| match name {
            "debian" | "ubuntu" => Some(Self::Apt),
            "fedora" | "rhel" | "centos" => Some(Self::Dnf),
            "suse" | "opensuse" => Some(Self::Zypper),
            "arch" => Some(Self::Pacman),
            "alpine" => Some(Self::Apk),
            _ => None,
        })
    }
}

/// The line that installs a package; installed already, its files are brought back.
pub(super) fn install(manager: Option<Manager>, package: Package) -> Remedy {
    let Some(manager) = manager else {
        return Remedy::advice(format!("install {} (Debian's name)", name(Manager::Apt, package)));
    };
    let command = match manager {
        Manager::Apt => "apt-get install --yes --reinstall",
        Manager::Dnf => "dnf install -y",
        Manager::Zypper => "zypper --non-interactive install --force",
        Manager::Pacman => "pacman -S --noconfirm",
        Manager::Apk => "apk add",
    };
    Remedy::root([format!("{command} {}", name(manager, package))])
}

const fn name(manager: Manager, package: Package) -> &'static str {
    match (package, manager) {
        (Package::Podman, _) => "podman",
        (Package::Crun, _) => "crun",
        (Package::Conmon, _) => "conmon",
        (Package::Network, _) => "netavark",
        (Package::Names, _) => "aardvark-dns",
        (Package::UserNetwork, _) => "passt",
        (Package::IdMapPrograms, Manager::Apt) => "uidmap",
        (Package::IdMapPrograms, Manager::Dnf) => "shadow-utils",
        (Package::IdMapPrograms, Manager::Zypper | Manager::Pacman) => "shadow",
        (Package::IdMapPrograms, Manager::Apk) => "shadow-uidmap",
        (Package::Certificates, _) => "ca-certificates",
        (Package::Curl, _) => "curl",
        (Package::SessionBus, Manager::Apt) => "dbus-user-session",
        (Package::SessionBus, Manager::Dnf | Manager::Zypper | Manager::Pacman | Manager::Apk) => "dbus-broker",
    }
}

#[cfg(test)]
mod tests {
    use super::{Manager, Package, install};

    #[test]
    fn distributions() {
        for (release, line) in [
            ("ID=debian\n", "apt-get install --yes --reinstall uidmap"),
            (
                "ID=ubuntu\nID_LIKE=debian\n",
                "apt-get install --yes --reinstall uidmap",
            ),
            (
                "ID=\"almalinux\"\nID_LIKE=\"rhel centos fedora\"\n",
                "dnf install -y shadow-utils",
            ),
            (
                "ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n",
                "zypper --non-interactive install --force shadow",
            ),
            ("ID=arch\n", "pacman -S --noconfirm shadow"),
            ("ID=alpine\n", "apk add shadow-uidmap"),
        ] {
            let remedy = install(Manager::of(release), Package::IdMapPrograms);
            assert_eq!(remedy.steps[0].command, line, "{release}");
        }
        let unknown = install(Manager::of("ID=other\n"), Package::IdMapPrograms);
        assert_eq!(unknown.by_hand.as_deref(), Some("install uidmap (Debian's name)"));
    }
}
