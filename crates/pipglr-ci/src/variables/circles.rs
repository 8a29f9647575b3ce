//! Variables that refer to each other in a circle.

use super::expansion::{Part, split};
use super::{Given, Variables};
use std::collections::HashMap;

/// The keys of the first circle, in the order in which they are met.
pub(super) fn find<'l>(variables: &Variables<'l>) -> Option<Vec<&'l str>> {
    // Only variables that refer to something can be in a circle; most do not.
    let referring: Vec<&'l Given> = variables
        .all()
        .filter(|given| !given.raw && given.value.contains(['$', '%']))
        .filter(|given| {
            variables
                .given(&given.key)
                .is_some_and(|last| std::ptr::eq(last, *given))
        })
        .collect();
    let places: HashMap<&str, usize> = referring
        .iter()
        .enumerate()
        .map(|(n, given)| (given.key.as_str(), n))
        .collect();
    let references: Vec<Vec<usize>> = referring
        .iter()
        .enumerate()
        .map(|(own, given)| {
            let keys = split(&given.value, true).into_iter().filter_map(|part| match part {
                Part::Reference { key, .. } => places.get(key).copied(),
                Part::Text(_) => None,
            });
            keys.filter(|place| *place != own).collect()
        })
        .collect();
    let stuck = crate::checks::stuck(&references);
    let mut place = (0..referring.len()).find(|place| stuck[*place])?;
    let mut path: Vec<usize> = Vec::new();
    loop {
        if let Some(start) = path.iter().position(|seen| *seen == place) {
            return Some(path[start..].iter().map(|n| referring[*n].key.as_str()).collect());
        }
        path.push(place);
        place = *references[place].iter().find(|next| stuck[**next])?;
    }
}
