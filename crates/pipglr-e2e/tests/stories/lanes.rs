//! Stories are told on two accounts at the same time: each of them waits for half of its time.

use crate::Story;
use crate::debian13::copy_image;
use crate::stage::Stage;
use anyhow::Context as _;
use pipglr_e2e::cache;
use pipglr_e2e::host::{STAGE_ACCOUNT, packages};
use pipglr_e2e::registry::Registry;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// What is still to be told. Lanes take from the first of their lists that has something.
type List = Mutex<VecDeque<&'static Story>>;

/// Accounts besides the one that images are built in. With a third lane on two processors everything takes longer, as what
/// waits keeps asking.
const OTHERS: [&str; 1] = ["second"];

/// Tells the stories of `pinned` on the account that images are built in, those of `free` on any; gives how many failed.
///
/// # Errors
/// The stage cannot be set.
pub(crate) fn tell(pinned: Vec<&'static Story>, free: Vec<&'static Story>) -> anyhow::Result<usize> {
    let registry = Arc::new(Registry::start(&cache().join("registry"))?);
    let first = Stage::set(STAGE_ACCOUNT, Arc::clone(&registry))?;
    // Without root there is one account.
    let lanes = if packages::is_root() {
        free.len() + usize::from(!pinned.is_empty())
    } else {
        1
    };
    let others = OTHERS.iter().take(lanes.saturating_sub(1));
    let others = others
        .map(|name| beside(&first, name, &registry))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let pinned: List = Mutex::new(pinned.into());
    let free: List = Mutex::new(free.into());
    let free = &free;
    let failed = std::thread::scope(|scope| {
        let others: Vec<_> = others
            .into_iter()
            .map(|stage| scope.spawn(move || lane(stage, &[free])))
            .collect();
        let failed = lane(first, &[&pinned, free]);
        others
            .into_iter()
            .fold(failed, |failed, lane| match std::thread::ScopedJoinHandle::join(lane) {
                Ok(more) => failed + more,
                Err(panic) => std::panic::resume_unwind(panic),
            })
    });
    Ok(failed)
}

/// A stage on another account, with the very same image.
fn beside(first: &Stage, name: &str, registry: &Arc<Registry>) -> anyhow::Result<Stage> {
    let account = format!("{STAGE_ACCOUNT}-{name}");
    let stage = Stage::set(&account, Arc::clone(registry))?;
    copy_image(&first.image, &first.account, &stage.account)
        .with_context(|| format!("{account} to tell stories on"))?;
    Ok(stage)
}

/// Tells stories as long as there are some, then clears up; gives how many failed.
fn lane(mut stage: Stage, lists: &[&List]) -> usize {
    let mut failed = 0;
    while let Some((name, story)) = lists.iter().find_map(|list| next(list)) {
        let began = Instant::now();
        let result = story(&mut stage).and_then(|()| stage.clear());
        let seconds = began.elapsed().as_secs_f64();
        match result {
            Ok(()) => println!("ok    {seconds:>6.1}s  {name}"),
            Err(error) => {
                failed += 1;
                println!("FAIL  {seconds:>6.1}s  {name}\n      {error:#}");
                stage.show_runner_log();
                if let Err(error) = stage.clear() {
                    println!("      clearing the stage: {error:#}");
                }
            }
        }
    }
    if let Err(error) = stage.strike() {
        failed += 1;
        println!("FAIL  something is left behind: {error:#}");
    }
    failed
}

fn next(list: &List) -> Option<&'static Story> {
    list.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}
