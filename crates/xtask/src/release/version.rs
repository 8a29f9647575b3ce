//! Versions, the tags they have in git, and the names of images.

use anyhow::{Context as _, bail, ensure};
use std::fmt;

/// `X.Y.Z`, or `X.Y.Z-PRE` for one that comes before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    numbers: [u64; 3],
    pre: Option<String>,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")?;
        self.pre.iter().try_for_each(|pre| write!(f, "-{pre}"))
    }
}

impl Version {
    /// That of all crates here.
    pub(crate) fn of_workspace() -> anyhow::Result<Self> {
        let text = env!("CARGO_PKG_VERSION");
        Self::parse(text).with_context(|| format!("version {text} of Cargo.toml: not X.Y.Z"))
    }

    /// Semantic versions without build metadata, which a tag of an image cannot have.
    fn parse(text: &str) -> Option<Self> {
        let (numbers, pre) = match text.split_once('-') {
            Some((numbers, pre)) => (numbers, Some(pre)),
            None => (text, None),
        };
        let number = |part: &str| -> Option<u64> {
            let plain = part == "0" || !part.starts_with('0');
            let digits = part.bytes().all(|byte| byte.is_ascii_digit());
            (plain && digits).then(|| part.parse().ok())?
        };
        let mut parts = numbers.split('.').map(number);
        let numbers = [parts.next()??, parts.next()??, parts.next()??];
        let good = |pre: &str| {
            pre.split('.')
                .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
        };
        (parts.next().is_none() && pre.is_none_or(good)).then(|| Self {
            numbers,
            pre: pre.map(str::to_owned),
        })
    }

    /// `1.2.3` and `v1.2.3`.
    fn of_tag(tag: &str) -> Option<Self> {
        Self::parse(tag.strip_prefix('v').unwrap_or(tag))
    }

    /// Fails unless `tag` names this version.
    pub(crate) fn is_of_tag(&self, tag: &str) -> anyhow::Result<()> {
        let Some(named) = Self::of_tag(tag) else {
            bail!("tag {tag}: releases are called X.Y.Z, or X.Y.Z-PRE for one that comes before it");
        };
        ensure!(
            named == *self,
            "tag {tag}: Cargo.toml has version {self}; change [workspace.package] and Cargo.lock, and tag that commit"
        );
        Ok(())
    }

    /// What the image of this version is called: by its version, and by each shorter name that no newer release has.
    /// `tags` are those of the repository.
    pub(crate) fn image_names<'t>(&self, tags: impl Iterator<Item = &'t str>) -> Vec<String> {
        let mut names = vec![self.to_string()];
        if self.pre.is_some() {
            return names;
        }
        let released: Vec<[u64; 3]> = tags
            .filter_map(Self::of_tag)
            .filter(|other| other.pre.is_none())
            .map(|other| other.numbers)
            .collect();
        let [major, minor, _] = self.numbers;
        let is_newest = |same: usize| {
            let alike = released.iter().filter(|other| other[..same] == self.numbers[..same]);
            alike.max().is_none_or(|newest| *newest <= self.numbers)
        };
        for (same, name) in [
            (2, format!("{major}.{minor}")),
            (1, major.to_string()),
            (0, "latest".to_owned()),
        ] {
            if is_newest(same) {
                names.push(name);
            }
        }
        names
    }
}

/// What is built anew each day.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Daily {
    /// As git knows it: a tag, or `HEAD` as long as nothing was released.
    pub(crate) commit: String,
    /// Of its image. That by the version is none of them: it stays as the release made it.
    pub(crate) image_names: Vec<String>,
}

impl Daily {
    /// That of the newest release among all tags of the repository.
    pub(crate) fn of<'t>(tags: impl Iterator<Item = &'t str> + Clone) -> Self {
        let releases = tags.clone().filter_map(|tag| {
            let version = Version::of_tag(tag).filter(|version| version.pre.is_none())?;
            Some((version.numbers, tag, version))
        });
        match releases.max_by_key(|(numbers, ..)| *numbers) {
            Some((_, tag, version)) => Self {
                commit: tag.to_owned(),
                image_names: version.image_names(tags).split_off(1),
            },
            None => Self {
                commit: "HEAD".to_owned(),
                image_names: vec!["latest".to_owned()],
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Daily, Version};

    #[test]
    fn the_newest_release_is_built_each_day() {
        for (tags, commit, names) in [
            (&[][..], "HEAD", "latest"),
            (&["v1.0.0-rc.1", "other"], "HEAD", "latest"),
            (
                &["v1.2.3", "v1.10.0", "v1.9.9", "v2.0.0-rc.1"],
                "v1.10.0",
                "1.10 1 latest",
            ),
            (&["0.1.0"], "0.1.0", "0.1 0 latest"),
        ] {
            let daily = Daily::of(tags.iter().copied());
            assert_eq!(
                (daily.commit.as_str(), daily.image_names.join(" ").as_str()),
                (commit, names),
                "{tags:?}"
            );
        }
    }

    #[test]
    fn versions_and_tags() {
        for (text, expected) in [
            ("1.2.3", Some("1.2.3")),
            ("v1.2.3", Some("1.2.3")),
            ("0.1.0", Some("0.1.0")),
            ("1.2.3-rc.1", Some("1.2.3-rc.1")),
            ("1.2", None),
            ("1.2.3.4", None),
            ("1.02.3", None),
            ("1.2.3-", None),
            ("1.2.3+build", None),
            ("release-1", None),
            ("1.2.-3", None),
            ("", None),
        ] {
            let found = Version::of_tag(text).map(|version| version.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_tag_is_that_of_the_version() {
        let version = Version::parse("1.2.3").unwrap();
        assert!(version.is_of_tag("v1.2.3").is_ok());
        for (tag, word) in [
            ("1.2.4", "Cargo.toml has version 1.2.3"),
            ("nightly", "are called X.Y.Z"),
        ] {
            let error = version.is_of_tag(tag).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn shorter_names_belong_to_the_newest() {
        for (version, tags, expected) in [
            ("0.1.0", &[][..], "0.1.0 0.1 0 latest"),
            ("1.2.3", &["1.2.3", "1.2.2", "v1.1.9", "other"], "1.2.3 1.2 1 latest"),
            ("1.2.3", &["1.2.3", "1.3.0"], "1.2.3 1.2"),
            ("1.2.3", &["1.2.3", "2.0.0"], "1.2.3 1.2 1"),
            ("1.2.3", &["1.2.4"], "1.2.3"),
            ("1.2.10", &["1.2.9"], "1.2.10 1.2 1 latest"),
            ("1.2.3", &["2.0.0-rc.1"], "1.2.3 1.2 1 latest"),
            ("2.0.0-rc.1", &["1.2.3"], "2.0.0-rc.1"),
        ] {
            let names = Version::parse(version).unwrap().image_names(tags.iter().copied());
            assert_eq!(names.join(" "), expected, "{version} {tags:?}");
        }
    }
}
