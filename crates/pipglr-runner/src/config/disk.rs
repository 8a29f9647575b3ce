//! `[disk]`: what is removed when, and when no jobs are taken.

use super::{duration, size};
use serde::Deserialize;
use std::time::Duration;

const DAY: u64 = 86400;

/// `[disk]`, checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct DiskConfig {
    high_water: Option<u64>,
    low_water: Option<u64>,
    min_free: Option<u64>,
    ballast: Option<u64>,
    images_unused_for: Option<Duration>,
    volumes_unused_for: Option<Duration>,
    cache_limit: Option<u64>,
}

/// As in the file.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Written {
    high_water: Option<u64>,
    low_water: Option<u64>,
    min_free: Option<String>,
    ballast: Option<String>,
    #[serde(deserialize_with = "duration::optional")]
    images_unused_for: Option<Duration>,
    #[serde(deserialize_with = "duration::optional")]
    volumes_unused_for: Option<Duration>,
    cache_limit: Option<String>,
}

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
enum Wrong {
    #[error("`disk.{0}` is a size, as in \"512m\" or \"20g\", not {1:?}")]
    Size(&'static str, String),
    #[error("`disk.high_water` is a percentage of the disk, from 1 to 99")]
    High,
    #[error("`disk.low_water` must be below `disk.high_water`, which is {0}")]
    Low(u64),
}

impl TryFrom<Written> for DiskConfig {
    type Error = Wrong;

    fn try_from(written: Written) -> Result<Self, Wrong> {
        let size = |key, text: Option<String>| match text.filter(|t| !t.is_empty()) {
            None => Ok(None),
            Some(text) => size::parse(&text).map(Some).ok_or(Wrong::Size(key, text)),
        };
        let config = Self {
            high_water: written.high_water.filter(|&mark| mark > 0),
            low_water: written.low_water,
            min_free: size("min_free", written.min_free)?,
            ballast: size("ballast", written.ballast)?,
            images_unused_for: written.images_unused_for,
            volumes_unused_for: written.volumes_unused_for,
            cache_limit: size("cache_limit", written.cache_limit)?,
        };
        if config.high_water() > 99 {
            return Err(Wrong::High);
        }
        if config.low_water() >= config.high_water() {
            return Err(Wrong::Low(config.high_water()));
        }
        Ok(config)
    }
}

impl DiskConfig {
    /// Percent of the disk above which things are removed by least recent use.
    #[must_use]
    pub fn high_water(&self) -> u64 {
        self.high_water.unwrap_or(85)
    }

    /// Percent of the disk down to which they are removed.
    #[must_use]
    pub fn low_water(&self) -> u64 {
        self.low_water.unwrap_or(self.high_water().saturating_sub(10))
    }

    /// Free bytes below which no jobs are asked for, on a disk of `total` bytes.
    #[must_use]
    pub fn min_free(&self, total: u64) -> u64 {
        self.min_free.unwrap_or((1 << 30).min(total / 20))
    }

    /// Bytes kept in reserve on a disk of `total` bytes, to be given up when it is full.
    #[must_use]
    pub fn ballast(&self, total: u64) -> u64 {
        self.ballast.unwrap_or((512 << 20).min(total / 50))
    }

    /// Seconds after which an image that nobody uses is removed.
    #[must_use]
    pub fn images_unused_for(&self) -> i64 {
        seconds(self.images_unused_for, 7 * DAY)
    }

    /// Seconds after which a build volume that nobody uses is removed.
    #[must_use]
    pub fn volumes_unused_for(&self) -> i64 {
        seconds(self.volumes_unused_for, 14 * DAY)
    }

    /// Bytes of caches a project may keep on this machine.
    #[must_use]
    pub fn cache_limit(&self) -> Option<u64> {
        self.cache_limit.filter(|&limit| limit > 0)
    }
}

fn seconds(time: Option<Duration>, default: u64) -> i64 {
    i64::try_from(time.map_or(default, |t| t.as_secs())).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use crate::config::check_config;

    #[test]
    fn values_that_mean_nothing_are_refused() {
        for (keys, wrong) in [
            ("", None),
            ("high_water = 50", None),
            ("high_water = 50\nlow_water = 49", None),
            ("high_water = 0\nmin_free = \"\"", None),
            (
                "min_free = \"5 apples\"",
                Some("`disk.min_free` is a size, as in \"512m\" or \"20g\", not \"5 apples\""),
            ),
            (
                "high_water = 100",
                Some("`disk.high_water` is a percentage of the disk, from 1 to 99"),
            ),
            (
                "low_water = 85",
                Some("`disk.low_water` must be below `disk.high_water`, which is 85"),
            ),
        ] {
            let checked = check_config(&format!("concurrent = 1\n[disk]\n{keys}\n"));
            let said: Vec<String> = checked.findings.iter().map(ToString::to_string).collect();
            let expected: Vec<String> = wrong.iter().map(|w| format!("2:1: error: {w}")).collect();
            assert_eq!(said, expected, "{keys}");
        }
    }

    #[test]
    fn defaults_fit_small_disks() {
        let config = check_config("[disk]\n").config.unwrap().disk;
        for (total, min_free, ballast) in [
            (100_u64 << 30, 1 << 30, 512 << 20),
            (10 << 30, 512 << 20, (10 << 30) / 50),
            (0, 0, 0),
        ] {
            assert_eq!((config.min_free(total), config.ballast(total)), (min_free, ballast));
        }
        assert_eq!((config.high_water(), config.low_water()), (85, 75));
        assert_eq!(config.images_unused_for(), 7 * 86400);
        assert_eq!(config.cache_limit(), None);
    }
}
