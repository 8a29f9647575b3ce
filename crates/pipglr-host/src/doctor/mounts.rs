//! What is mounted where: /proc/self/mountinfo.

use std::path::{Path, PathBuf};

/// A line of mountinfo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) path: PathBuf,
    options: String,
    pub(super) kind: String,
    pub(super) shared: bool,
}

impl Mount {
    fn of_line(line: &str) -> Option<Self> {
        let (place, kind) = line.split_once(" - ")?;
        let fields: Vec<&str> = place.split(' ').collect();
        Some(Self {
            path: fields.get(4)?.replace("\\040", " ").into(),
            options: (*fields.get(5)?).to_owned(),
            kind: kind.split(' ').next()?.to_owned(),
            shared: fields.iter().skip(6).any(|field| field.starts_with("shared:")),
        })
    }

    pub(super) fn has(&self, option: &str) -> bool {
        self.options.split(',').any(|o| o == option)
    }
}

pub(super) fn table(text: &str) -> Vec<Mount> {
    text.lines().filter_map(Mount::of_line).collect()
}

/// The mount `path` is on: the longest, and of those the last, which lies on top.
pub(super) fn on_top<'a>(table: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    let over = table.iter().filter(|mount| path.starts_with(&mount.path));
    over.max_by_key(|mount| mount.path.components().count())
}

#[cfg(test)]
mod tests {
    use super::{on_top, table};
    use std::path::Path;

    #[test]
    fn the_mount_on_top_counts() {
        let table = table(
            "1 0 0:1 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
             2 1 0:2 / /home rw,nosuid - xfs /dev/vdb rw\n\
             3 1 0:3 / /home rw,noexec master:1 - nfs4 server:/home rw\n\
             4 1 0:4 / /a\\040b rw - tmpfs tmpfs rw\n",
        );
        for (path, kind, option, shared) in [
            ("/usr/bin", "ext4", "rw", true),
            ("/home/ci", "nfs4", "noexec", false),
            ("/homes", "ext4", "relatime", true),
            ("/a b/c", "tmpfs", "rw", false),
        ] {
            let mount = on_top(&table, Path::new(path)).unwrap();
            assert_eq!((mount.kind.as_str(), mount.shared), (kind, shared), "{path}");
            assert!(mount.has(option), "{path}");
        }
    }
}
