//! Free space and inodes where podman writes.

use super::Finding;
use super::looking::Host;
use super::remedy::Remedy;
use super::storage::place;
use std::path::Path;

/// A place that is written to.
struct Need {
    name: &'static str,
    what: &'static str,
    /// Free kB below which it fails, and below which it soon may.
    least: u64,
    comfortable: u64,
    inodes: u64,
    remedy: &'static str,
}

const NEEDS: [Need; 3] = [
    Need {
        name: "space-storage",
        what: "images, containers and caches",
        // The runner's image alone.
        least: 1 << 20,
        comfortable: 10 << 20,
        inodes: 50_000,
        remedy: "podman system prune --all removes images nothing uses; du -xhd2 shows what else there is",
    },
    Need {
        name: "space-temporary",
        what: "each layer while it is pulled",
        least: 256 << 10,
        comfortable: 1 << 20,
        inodes: 1000,
        remedy: "remove old files there, or set image_copy_tmp_dir (containers.conf, [engine]) to a larger place",
    },
    Need {
        name: "space-runtime",
        what: "podman's locks and sockets",
        least: 1 << 10,
        comfortable: 16 << 10,
        inodes: 500,
        remedy: "remove old files there; RuntimeDirectorySize= of logind.conf(5) makes it larger",
    },
];

#[derive(Debug, Clone)]
pub(super) struct Room {
    pub(super) name: &'static str,
    pub(super) path: String,
    /// kB, and inodes where the file system counts them.
    pub(super) free: Option<u64>,
    pub(super) inodes: Option<u64>,
}

pub(super) fn look(host: &Host) -> Vec<Room> {
    let temporary = host.podman_info().ok();
    let temporary = temporary.and_then(|info| info.pointer("/store/imageCopyTmpDir")?.as_str());
    let temporary = temporary.unwrap_or("/var/tmp").to_owned();
    let room = |name, path: &Path| {
        let path = host.nearest(path).display().to_string();
        Room {
            name,
            free: column(&host.ask(&["df", "-Pk", &path]).out, FREE),
            inodes: inodes(host, &path),
            path,
        }
    };
    vec![
        room("space-storage", &place(host)),
        room("space-temporary", Path::new(&temporary)),
        room("space-runtime", &host.account.runtime_dir),
    ]
}

/// Columns of df(1).
const TOTAL: usize = 1;
const FREE: usize = 3;

/// Free ones. Where none are counted there are 0 of 0.
fn inodes(host: &Host, path: &str) -> Option<u64> {
    let said = host.ask(&["df", "-Pi", path]).out;
    column(&said, TOTAL).filter(|total| *total > 0)?;
    column(&said, FREE)
}

fn column(text: &str, index: usize) -> Option<u64> {
    text.lines().nth(1)?.split_whitespace().nth(index)?.parse().ok()
}

pub(super) fn judge(rooms: &[Room]) -> Vec<Finding> {
    rooms.iter().filter_map(of_room).collect()
}

fn of_room(room: &Room) -> Option<Finding> {
    let need = NEEDS.iter().find(|need| need.name == room.name)?;
    let (check, path) = (need.name, &room.path);
    let Some(free) = room.free else {
        return Some(Finding::unknown(
            check,
            format!("df does not tell what is free at {path}"),
        ));
    };
    let text = format!("{path}: {} free for {}", size(free), need.what);
    let advice = || Remedy::advice(need.remedy);
    let inodes = room.inodes.unwrap_or(u64::MAX);
    Some(if free < need.least {
        Finding::failure(check, format!("{text}, needed are {}", size(need.least)), advice())
    } else if inodes < need.inodes / 10 {
        Finding::failure(check, format!("{text}, but only {inodes} inodes"), advice())
    } else if inodes < need.inodes {
        Finding::warning(check, format!("{text}, but only {inodes} inodes"), advice())
    } else if free < need.comfortable {
        Finding::warning(check, text, advice())
    } else {
        Finding::ok(check, text)
    })
}

fn size(kilobytes: u64) -> String {
    match kilobytes {
        0..1024 => format!("{kilobytes} KiB"),
        1024..1_048_576 => format!("{} MiB", kilobytes >> 10),
        _ => format!("{} GiB", kilobytes >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::tests::{Case, verify};
    use super::{NEEDS, Room, column, judge};

    fn good() -> Vec<Room> {
        NEEDS
            .iter()
            .map(|need| Room {
                name: need.name,
                path: "/there".into(),
                free: Some(50 << 20),
                inodes: Some(1_000_000),
            })
            .collect()
    }

    const CASES: &[Case<Vec<Room>>] = &[
        (
            "space-storage",
            |f| f[0].free = Some(1000),
            Verdict::Failure,
            "/there: 1000 KiB free for images, containers and caches, needed are 1 GiB",
            "by hand: podman system prune",
        ),
        (
            "space-storage",
            |f| f[0].free = Some(2 << 20),
            Verdict::Warning,
            "2 GiB free",
            "by hand: podman system prune",
        ),
        (
            "space-storage",
            |f| f[0].inodes = Some(300),
            Verdict::Failure,
            "only 300 inodes",
            "by hand: podman system prune",
        ),
        (
            "space-temporary",
            |f| f[1].inodes = Some(300),
            Verdict::Warning,
            "only 300 inodes",
            "by hand: remove old files",
        ),
        (
            "space-runtime",
            |f| f[2].free = Some(0),
            Verdict::Failure,
            "0 KiB free",
            "by hand: remove old files",
        ),
        (
            "space-runtime",
            |f| f[2].free = None,
            Verdict::Unknown,
            "df does not tell",
            "",
        ),
        ("space-storage", |f| f[0].inodes = None, Verdict::Ok, "50 GiB free", ""),
    ];

    #[test]
    fn each_broken_host_has_its_verdict_and_remedy() {
        verify(&good(), |rooms| judge(rooms), CASES);
    }

    #[test]
    fn what_df_says() {
        let text = "Filesystem     1024-blocks     Used Available Capacity Mounted on\n/dev/vda  263895264 57664 39000000      58% /\n";
        assert_eq!(column(text, 3), Some(39_000_000));
        assert_eq!(column("", 3), None);
    }
}
