//! Stories are told on two accounts at the same time: each of them waits for half of its time. With a third on two processors
//! everything takes longer, as what waits keeps asking.

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

/// Tells the stories of `pinned` on the account that images are built in, those of `free` on any; gives how many failed.
///
/// # Errors
/// The stage cannot be set.
pub(crate) fn tell(pinned: Vec<&'static Story>, free: Vec<&'static Story>) -> anyhow::Result<usize> {
    let registry = Arc::new(Registry::start(&cache().join("registry"))?);
    let first = Stage::set(STAGE_ACCOUNT, Arc::clone(&registry))?;
    // Without root there is one account, and one story does not take two.
    let alone = pinned.len() + free.len() < 2 || free.is_empty() || !packages::is_root();
    let second = if alone {
        None
    } else {
        Some(beside(&first, registry).context("a second account to tell stories on")?)
    };
    let pinned: List = Mutex::new(pinned.into());
    let free: List = Mutex::new(free.into());
    let failed = std::thread::scope(|scope| {
        let second = second.map(|stage| scope.spawn(|| lane(stage, &[&free])));
        let failed = lane(first, &[&pinned, &free]);
        match second.map(std::thread::ScopedJoinHandle::join) {
            None => failed,
            Some(Ok(more)) => failed + more,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
        }
    });
    Ok(failed)
}

/// A stage on another account, with the very same image.
fn beside(first: &Stage, registry: Arc<Registry>) -> anyhow::Result<Stage> {
    let second = Stage::set(&format!("{STAGE_ACCOUNT}-beside"), registry)?;
    copy_image(&first.image, &first.account, &second.account)?;
    Ok(second)
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
