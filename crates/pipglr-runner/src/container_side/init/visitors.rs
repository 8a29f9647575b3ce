//! Processes that came into the container from outside, as a web terminal's shell does, and what they started: nobody in
//! here is their parent, and they are none of a step's.

use rustix::process::{Pid, Signal, kill_process};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

/// All processes of the container but process 1.
#[derive(Debug, Default)]
pub(super) struct Processes {
    pub(super) visitors: Vec<Pid>,
    /// They descend from process 1.
    pub(super) own: Vec<Pid>,
}

impl Processes {
    /// Looks around. Nobody is seen where `/proc` is not the container's own.
    pub(super) fn look() -> io::Result<Self> {
        if fs::read_link("/proc/self").is_ok_and(|own| own == Path::new("1")) {
            Ok(Self::sort(&parents()?))
        } else {
            Ok(Self::default())
        }
    }

    fn sort(parents: &HashMap<i32, i32>) -> Self {
        let mut processes = Self::default();
        for &number in parents.keys().filter(|number| **number != 1) {
            let Some(pid) = Pid::from_raw(number) else { continue };
            if is_visitor(number, parents) {
                processes.visitors.push(pid);
            } else {
                processes.own.push(pid);
            }
        }
        processes
    }
}

/// Sends a signal to each; those that are gone by now need none. Says whether any was there.
pub(super) fn signal_each(processes: &[Pid], signal: Signal) -> io::Result<bool> {
    let mut any = false;
    for &pid in processes {
        match kill_process(pid, signal) {
            Ok(()) => any = true,
            Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(any)
}

/// Whether the line of parents ends outside of the container.
fn is_visitor(number: i32, parents: &HashMap<i32, i32>) -> bool {
    let mut at = number;
    // Numbers are used again: what was read is no tree for certain.
    for _ in 0..=parents.len() {
        match parents.get(&at) {
            Some(0) => return true,
            Some(1) | None => return false,
            Some(parent) => at = *parent,
        }
    }
    false
}

/// The parent of each process; 0 is one outside.
fn parents() -> io::Result<HashMap<i32, i32>> {
    let mut parents = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(number) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // It may have ended since.
        let Ok(stat) = fs::read_to_string(format!("/proc/{number}/stat")) else {
            continue;
        };
        if let Some(parent) = parent_in(&stat) {
            parents.insert(number, parent);
        }
    }
    Ok(parents)
}

/// `pid (name) state ppid …`; a name may have blanks and parentheses in it.
fn parent_in(stat: &str) -> Option<i32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Processes, parent_in};

    #[test]
    fn visitors_are_those_without_an_ancestor_inside() {
        // Process 1, a script with a child; a visitor with a child and a grandchild; two that point at each other.
        let parents = [
            (1, 0),
            (5, 1),
            (6, 5),
            (7, 0),
            (8, 7),
            (9, 8),
            (10, 11),
            (11, 10),
            (12, 99),
        ];
        let processes = Processes::sort(&parents.into_iter().collect());
        let sorted = |list: Vec<rustix::process::Pid>| {
            let mut numbers: Vec<i32> = list.into_iter().map(|pid| pid.as_raw_nonzero().get()).collect();
            numbers.sort_unstable();
            numbers
        };
        assert_eq!(sorted(processes.visitors), [7, 8, 9]);
        assert_eq!(sorted(processes.own), [5, 6, 10, 11, 12]);
    }

    #[test]
    fn names_of_processes_do_not_confuse() {
        assert_eq!(parent_in("7 (sh) S 3 7 7"), Some(3));
        assert_eq!(parent_in("7 (a) R 9 (b)) S 0 7 7"), Some(0));
        assert_eq!(parent_in(""), None);
    }
}
