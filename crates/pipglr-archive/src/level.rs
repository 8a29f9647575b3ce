//! How hard to compress, whatever the method.

/// From storing (where a format can store) to the smallest archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Level {
    Fastest,
    Fast,
    #[default]
    Default,
    Slow,
    Slowest,
}

impl Level {
    /// The level of deflate; `None` is to store.
    pub(crate) fn deflate(self) -> Option<i64> {
        match self {
            Self::Fastest => None,
            Self::Fast => Some(1),
            Self::Default => Some(5),
            Self::Slow => Some(7),
            Self::Slowest => Some(9),
        }
    }

    /// The level of zstd.
    ///
    /// Compat: those that the names fastest, default, better and best stand for where gitlab-runner compresses.
    pub(crate) fn zstd(self) -> i32 {
        match self {
            Self::Fastest | Self::Fast => 1,
            Self::Default => 3,
            Self::Slow => 7,
            Self::Slowest => 11,
        }
    }
}
