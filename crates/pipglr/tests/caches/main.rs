//! `pipglr helper` restoring and keeping caches on plain directories, and with an object store that answers on command.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like the tests themselves")]

mod download;
mod formats;
mod local;
mod place;
mod store;
mod upload;
