//! Who the job's scripts run as: `user[:group]` looked up in the image's own passwd and group files.

use std::fs;
use std::io;

/// A resolved user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Vec<u32>,
    pub(super) home: String,
}

/// Resolves `spec` (`name`, `uid`, `name:group`, `uid:gid`; empty is root) as container engines do, and puts the user
/// into further groups.
pub(super) fn resolve(spec: &str, further: &[String]) -> io::Result<Identity> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let group = read("/etc/group");
    let mut identity = resolve_in(spec, &read("/etc/passwd"), &group)?;
    for name in further {
        identity.groups.push(group_number(name, &group)?);
    }
    Ok(identity)
}

fn group_number(wanted: &str, group: &str) -> io::Result<u32> {
    let found = group
        .lines()
        .map(fields)
        .find(|f| f.len() >= 3 && (f[0] == wanted || f[2] == wanted));
    match found {
        Some(f) => number(f[2]),
        None => wanted.parse().map_err(|_| unknown("group", wanted)),
    }
}

fn resolve_in(spec: &str, passwd: &str, group: &str) -> io::Result<Identity> {
    let (user, group_spec) = spec.split_once(':').map_or((spec, None), |(u, g)| (u, Some(g)));
    let user = if user.is_empty() { "0" } else { user };
    let entry = passwd
        .lines()
        .map(fields)
        .find(|f| f.len() >= 6 && (f[0] == user || f[2] == user));
    let (uid, mut gid, name, home) = match &entry {
        Some(f) => (number(f[2])?, number(f[3])?, f[0], f[5].to_owned()),
        None => (user.parse().map_err(|_| unknown("user", user))?, 0, "", "/".to_owned()),
    };
    if let Some(wanted) = group_spec.filter(|g| !g.is_empty()) {
        gid = group_number(wanted, group)?;
    }
    // An explicit group replaces the supplementary ones.
    let groups = if group_spec.is_some() || name.is_empty() {
        Vec::new()
    } else {
        let member = |f: &Vec<&str>| f.len() >= 4 && f[3].split(',').any(|m| m == name);
        group
            .lines()
            .map(fields)
            .filter(member)
            .filter_map(|f| f[2].parse().ok())
            .collect()
    };
    Ok(Identity {
        uid,
        gid,
        groups,
        home: if home.is_empty() { "/".to_owned() } else { home },
    })
}

fn fields(line: &str) -> Vec<&str> {
    line.split(':').collect()
}

fn number(text: &str) -> io::Result<u32> {
    text.parse().map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{text:?} in /etc/passwd or /etc/group is not a number"),
        )
    })
}

fn unknown(kind: &str, name: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!(
            "unable to find {kind} {name}: no matching entry in /etc/{}",
            if kind == "user" { "passwd" } else { "group" }
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::{Identity, resolve_in};

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1001::/home/node:/bin/bash\nnobody:x:65534:65534::/nonexistent:\n";
    const GROUP: &str = "root:x:0:\nnode:x:1001:\ndocker:x:998:node,other\nwheel:x:10:other\n";

    #[test]
    fn users_resolve_as_container_engines_do() {
        for (spec, expected) in [
            ("", Some((0, 0, vec![], "/root"))),
            ("root", Some((0, 0, vec![], "/root"))),
            ("node", Some((1000, 1001, vec![998], "/home/node"))),
            ("1000", Some((1000, 1001, vec![998], "/home/node"))),
            ("node:wheel", Some((1000, 10, vec![], "/home/node"))),
            ("4711", Some((4711, 0, vec![], "/"))),
            ("4711:4712", Some((4711, 4712, vec![], "/"))),
            ("65535", Some((65535, 0, vec![], "/"))),
            ("ghost", None),
            ("node:ghosts", None),
        ] {
            let got = resolve_in(spec, PASSWD, GROUP).ok();
            let want = expected.map(|(uid, gid, groups, home)| Identity {
                uid,
                gid,
                groups,
                home: home.to_owned(),
            });
            assert_eq!(got, want, "{spec:?}");
        }
    }

    #[test]
    fn images_without_passwd_work_for_numbers() {
        assert_eq!(resolve_in("", "", "").unwrap().uid, 0);
        assert_eq!(resolve_in("7:8", "", "").unwrap().gid, 8);
    }
}
