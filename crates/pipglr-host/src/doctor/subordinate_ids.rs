//! Subordinate IDs: /etc/subuid and /etc/subgid.

use super::Finding;
use super::looking::Host;
use super::overlaps::{free_start, overlapping};
use super::remedy::{Remedy, Who};

/// How many an account needs: images use IDs up to 65535, the sandbox three for itself.
const NEEDED: u64 = 65_539;

/// A line of subuid(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) owner: String,
    pub(super) start: u64,
    pub(super) count: u64,
}

impl Range {
    pub(super) const fn end(&self) -> u64 {
        self.start.saturating_add(self.count)
    }

    fn of_line(line: &str) -> Option<Self> {
        let [owner, start, count] = line.split(':').collect::<Vec<_>>().try_into().ok()?;
        Some(Self {
            owner: owner.to_owned(),
            start: start.trim().parse().ok()?,
            count: count.trim().parse().ok()?,
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) files: Vec<File>,
    /// Where the host takes ranges from, if not from these files (`subid:` of nsswitch.conf).
    pub(super) elsewhere: Option<String>,
    /// IDs of accounts and groups.
    pub(super) accounts: Vec<u64>,
    /// Containers that would be stopped by `podman system migrate`.
    pub(super) running: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    pub(super) check: &'static str,
    pub(super) path: &'static str,
    pub(super) ranges: Vec<Range>,
    pub(super) unreadable: Vec<String>,
    /// The account may not read the file, and so neither may newuidmap by its capability alone.
    pub(super) closed: bool,
}

pub(super) fn look(host: &Host) -> Facts {
    let switch = host.text("/etc/nsswitch.conf").unwrap_or_default();
    let source = switch
        .lines()
        .find_map(|line| line.trim().strip_prefix("subid:"))
        .map(str::trim);
    Facts {
        name: host.account.name.clone(),
        uid: host.account.uid,
        files: [("subuid", "/etc/subuid"), ("subgid", "/etc/subgid")]
            .map(|(check, path)| file(host, check, path))
            .into(),
        elsewhere: source.filter(|source| *source != "files").map(str::to_owned),
        accounts: ["/etc/passwd", "/etc/group"]
            .iter()
            .flat_map(|path| ids(&host.text(path).unwrap_or_default()))
            .collect(),
        running: host.containers_run(),
    }
}

fn file(host: &Host, check: &'static str, path: &'static str) -> File {
    let text = host.text(path).unwrap_or_default();
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .collect();
    File {
        check,
        path,
        ranges: lines.iter().filter_map(|line| Range::of_line(line)).collect(),
        unreadable: lines
            .iter()
            .filter(|l| Range::of_line(l).is_none())
            .map(|l| (*l).to_owned())
            .collect(),
        closed: host.status(path).is_some_and(|status| status.mode & 0o004 == 0),
    }
}

/// Third fields of passwd(5) and group(5).
fn ids(text: &str) -> Vec<u64> {
    let third = |line: &str| line.split(':').nth(2)?.parse().ok();
    text.lines().filter_map(third).collect()
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    if let Some(source) = &facts.elsewhere {
        let text = format!(
            "ranges come from {source} (/etc/nsswitch.conf), not from files: see `getsubids {}`",
            facts.name
        );
        return facts
            .files
            .iter()
            .map(|file| Finding::unknown(file.check, text.clone()))
            .collect();
    }
    facts.files.iter().map(|file| of_file(facts, file)).collect()
}

impl Facts {
    /// How many IDs the files give the account; nothing if ranges come from elsewhere.
    pub(super) fn granted(&self) -> Option<[u64; 2]> {
        let count = |file: &File| self.ranges(file).iter().map(|range| range.count).sum();
        match self.files.as_slice() {
            [users, groups] if self.elsewhere.is_none() => Some([count(users), count(groups)]),
            _ => None,
        }
    }

    fn ranges<'a>(&self, file: &'a File) -> Vec<&'a Range> {
        let ours = |range: &&Range| range.owner == self.name || range.owner == self.uid.to_string();
        file.ranges.iter().filter(ours).collect()
    }
}

fn of_file(facts: &Facts, file: &File) -> Finding {
    if file.closed {
        return Finding::failure(
            file.check,
            format!("{}: {} may not read it, and podman has to", file.path, facts.name),
            Remedy::root([format!("chmod a+r {}", file.path)]),
        );
    }
    let ours = facts.ranges(file);
    let others: Vec<&Range> = file.ranges.iter().filter(|range| !ours.contains(range)).collect();
    let have: u64 = ours.iter().map(|r| r.count).sum();
    let shown: Vec<String> = ours
        .iter()
        .map(|r| format!("{}:{}:{}", r.owner, r.start, r.count))
        .collect();
    let shown = format!(
        "{}: {}",
        file.path,
        if shown.is_empty() {
            "no line".to_owned()
        } else {
            shown.join(", ")
        }
    );
    if let Some((first, second)) = overlapping(&ours) {
        return Finding::failure(
            file.check,
            format!("{shown}: the ranges from {first} and from {second} overlap, so no user namespace can be made"),
            renew(
                facts,
                file,
                "IDs of files in podman's storage change: reset it with `podman system reset`",
            ),
        );
    }
    if have < NEEDED {
        return Finding::failure(
            file.check,
            format!("{shown}: {have} IDs for {}, needed are {NEEDED}", facts.name),
            more(facts, file, NEEDED - have),
        );
    }
    if let Some(text) = taken(facts, &ours, &others) {
        return Finding::warning(
            file.check,
            format!("{shown}: {text}"),
            renew(
                facts,
                file,
                "IDs of files in podman's storage change: reset it with `podman system reset`",
            ),
        );
    }
    if let Some(line) = file.unreadable.first() {
        return Finding::warning(
            file.check,
            format!("{}: this is no NAME:START:COUNT: {line}", file.path),
            Remedy::advice(format!("correct or remove the line in {}", file.path)),
        );
    }
    Finding::ok(file.check, shown)
}

/// Who else has IDs of ours.
fn taken(facts: &Facts, ours: &[&Range], others: &[&Range]) -> Option<String> {
    let other = others
        .iter()
        .find(|o| ours.iter().any(|r| r.start < o.end() && o.start < r.end()));
    if let Some(other) = other {
        return Some(format!(
            "{} has some of these IDs, too: each can touch the other's files",
            other.owner
        ));
    }
    let account = facts
        .accounts
        .iter()
        .find(|id| ours.iter().any(|r| r.start <= **id && **id < r.end()));
    account.map(|id| format!("an account or group of this host has the ID {id}: containers could touch its files"))
}

/// A range more: what is in podman's storage keeps its IDs.
fn more(facts: &Facts, file: &File, missing: u64) -> Remedy {
    let name = &facts.name;
    let start = free_start(&file.ranges, &facts.accounts);
    let line = format!("{name}:{start}:{missing}");
    let path = file.path;
    let add = format!("grep -qx '{line}' {path} 2>/dev/null || echo '{line}' >> {path}");
    let remedy = Remedy::root([add]).and(Who::Account, ["podman system migrate"]);
    if facts.running {
        remedy.by_hand("`podman system migrate` stops the account's running containers")
    } else {
        remedy
    }
}

/// All ranges of the account replaced by one.
fn renew(facts: &Facts, file: &File, why: &str) -> Remedy {
    let Facts { name, uid, .. } = facts;
    let start = free_start(&file.ranges, &facts.accounts);
    let path = file.path;
    Remedy::root([
        format!("sed -i '/^{name}:/d; /^{uid}:/d' {path}"),
        format!("echo '{name}:{start}:{NEEDED}' >> {path}"),
    ])
    .and(Who::Account, ["podman system migrate"])
    .by_hand(why)
}
