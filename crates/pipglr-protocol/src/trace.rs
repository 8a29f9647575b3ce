//! The headers of `PATCH jobs/:id/trace`: which bytes are sent, and which the coordinator has.

/// `Content-Range: <start>-<end>` with an inclusive end, no unit and no total.
///
/// Returns `None` for an empty chunk, which must not be sent.
#[must_use]
pub fn content_range(start: u64, len: u64) -> Option<String> {
    (len > 0).then(|| format!("{start}-{}", start + len - 1))
}

/// The start of a `Content-Range`; a coordinator ignores the client's end and counts the body.
#[must_use]
pub fn parse_content_range_start(value: &str) -> Option<u64> {
    value.split('-').next()?.trim().parse().ok()
}

/// The offset to go on from after a 416: the number after `-` in `Range: 0-<n>`, which is the byte count the
/// coordinator has. Zero if it cannot be read.
///
/// Compat: gitlab-runner network/patch_response.go.
#[must_use]
pub fn parse_range_offset(value: &str) -> u64 {
    value
        .rsplit_once('-')
        .and_then(|(_, n)| n.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{content_range, parse_content_range_start, parse_range_offset};

    #[test]
    fn ranges_are_inclusive_and_never_empty() {
        assert_eq!(content_range(0, 100).as_deref(), Some("0-99"));
        assert_eq!(content_range(7, 1).as_deref(), Some("7-7"));
        assert_eq!(content_range(7, 0), None);
    }

    #[test]
    fn offsets_are_read_from_both_headers() {
        assert_eq!(parse_content_range_start("12-99"), Some(12));
        assert_eq!(parse_content_range_start("x"), None);
        assert_eq!(parse_range_offset("0-345"), 345);
        assert_eq!(parse_range_offset("nonsense"), 0);
    }
}
