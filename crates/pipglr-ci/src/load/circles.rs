//! Inputs whose rules ask for each other.

use crate::checks::stuck;

/// The first of things that asks for itself, by way of what it asks for.
pub(super) fn first_in_circle(asked: &[Vec<usize>]) -> Option<usize> {
    let mut askers = vec![Vec::new(); asked.len()];
    for (number, others) in asked.iter().enumerate() {
        for other in others {
            askers[*other].push(number);
        }
    }
    // By way of who asks: what is in a circle, or asked for by one. A long chain into a circle is none of it.
    let candidates = stuck(&askers);
    let mut left = (0..asked.len()).filter(|number| candidates[*number]);
    left.find(|number| asks_for_itself(*number, asked))
}

fn asks_for_itself(start: usize, asked: &[Vec<usize>]) -> bool {
    let mut seen = vec![false; asked.len()];
    let mut open = asked[start].clone();
    while let Some(number) = open.pop() {
        if number == start {
            return true;
        }
        if !std::mem::replace(&mut seen[number], true) {
            open.extend(&asked[number]);
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::first_in_circle;

    #[test]
    fn circles_are_found_by_their_first_member() {
        for (asked, expected) in [
            (&[&[1][..], &[2], &[]][..], None),
            (&[&[0]], Some(0)),
            (&[&[1], &[2], &[1]], Some(1)),
            (&[&[1, 2], &[3], &[0], &[]], Some(0)),
            (&[&[], &[3], &[3], &[2]], Some(2)),
            (&[&[1, 1], &[]], None),
        ] {
            let asked: Vec<Vec<usize>> = asked.iter().map(|list| list.to_vec()).collect();
            assert_eq!(first_in_circle(&asked), expected, "{asked:?}");
        }
        let chain: Vec<Vec<usize>> = (0..50_000)
            .map(|n| Vec::from_iter((n < 49_999).then_some(n + 1)))
            .collect();
        assert_eq!(first_in_circle(&chain), None);
    }
}
