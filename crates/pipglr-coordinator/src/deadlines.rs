//! Jobs whose runner went silent: unaccepted ones go back to the queue, abandoned ones end.

use crate::Coordinator;
use jiff::Timestamp;
use std::convert::Infallible;

/// Applies deadlines as they pass, for ever.
pub(crate) async fn watch_deadlines(coordinator: &Coordinator) -> Infallible {
    let mut changes = coordinator.watch_changes();
    loop {
        changes.mark_unchanged();
        let next = coordinator.lock().next_deadline();
        let now = Timestamp::now();
        if next.is_some_and(|at| at <= now) {
            coordinator.change(|state| state.expire(now));
            continue;
        }
        let passed = async {
            match next {
                Some(at) => tokio::time::sleep(now.duration_until(at).unsigned_abs()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = passed => {}
            // The sender lives as long as the coordinator.
            changed = changes.changed() => changed.expect("the coordinator is alive"),
        }
    }
}
