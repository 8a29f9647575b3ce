//! Deserializers that accept what GitLab really sends: `null` where a list, string or object is meant.

use serde::{Deserialize, Deserializer};

/// Reads a value, taking `null` for its default.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
