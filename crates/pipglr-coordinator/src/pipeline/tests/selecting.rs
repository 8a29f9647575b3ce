//! Pipelines of which only some jobs run.

use super::{JobState, parse};
use crate::creation::Selection;
use crate::pipeline::{Earlier, Recipe, select};
use std::collections::BTreeMap;

const JOBS: &str = "build a; build b; test c needs:a; test d; deploy e when:manual; deploy f needs:c";

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

/// Jobs that are left, those with an earlier result in brackets.
#[track_caller]
fn check(selection: &Selection, earlier: &[(&str, bool)], expected: &str) {
    let mut recipe = Recipe {
        pipeline: parse(JOBS),
        ..Recipe::default()
    };
    let earlier: BTreeMap<String, Earlier> = earlier
        .iter()
        .map(|(name, succeeded)| {
            let result = Earlier {
                succeeded: *succeeded,
                ..Earlier::default()
            };
            ((*name).to_owned(), result)
        })
        .collect();
    select(&mut recipe, selection, &earlier).unwrap();
    let shown = |name: &String| {
        if recipe.earlier.contains_key(name) {
            format!("({name})")
        } else {
            name.clone()
        }
    };
    let left: Vec<String> = recipe.pipeline.jobs.iter().map(|job| shown(&job.name)).collect();
    assert_eq!(left.join(" "), expected, "{selection:?}");
}

#[test]
fn jobs_are_left_out_or_stand_with_an_earlier_result() {
    let none = Selection::default;
    check(&none(), &[], "a b c d e f");
    let one = Selection {
        jobs: names(&["c"]),
        ..none()
    };
    check(&one, &[], "c");
    check(&one, &[("a", true), ("d", false)], "(a) c");
    check(&Selection { needs: true, ..one }, &[("a", true)], "a c");
    check(
        &Selection {
            jobs: names(&["d"]),
            needs: true,
            ..none()
        },
        &[],
        "a b d",
    );
    check(
        &Selection {
            stages: names(&["test"]),
            ..none()
        },
        &[],
        "c d",
    );
    check(
        &Selection {
            from: Some("c".to_owned()),
            ..none()
        },
        &[("a", true)],
        "(a) c e f",
    );
    check(
        &Selection {
            only_failed: true,
            ..none()
        },
        &[("a", true), ("b", true), ("c", false)],
        "(a) (b) c d e f",
    );
}

#[test]
fn a_name_nobody_has_is_refused_with_those_there_are() {
    for selection in [
        Selection {
            jobs: names(&["x"]),
            ..Selection::default()
        },
        Selection {
            play: names(&["x"]),
            ..Selection::default()
        },
        Selection {
            from: Some("x".to_owned()),
            ..Selection::default()
        },
    ] {
        let mut recipe = Recipe {
            pipeline: parse("build a; test b"),
            ..Recipe::default()
        };
        let error = select(&mut recipe, &selection, &BTreeMap::new()).unwrap_err();
        assert_eq!(error.to_string(), "this pipeline has no job x; it has a, b");
    }
}

#[test]
fn a_manual_job_that_is_named_runs_and_one_to_play_waits_for_its_turn() {
    let mut recipe = Recipe {
        pipeline: parse("build a; test b when:manual"),
        ..Recipe::default()
    };
    let selection = Selection {
        jobs: names(&["b"]),
        ..Selection::default()
    };
    select(&mut recipe, &selection, &BTreeMap::new()).unwrap();
    assert_eq!(states(&recipe), "pending");
    let mut recipe = Recipe {
        pipeline: parse("build a; test b when:manual"),
        ..Recipe::default()
    };
    let selection = Selection {
        play: names(&["b"]),
        ..Selection::default()
    };
    select(&mut recipe, &selection, &BTreeMap::new()).unwrap();
    let mut run = super::create_with(&recipe).unwrap();
    super::act(&mut run, "success a");
    assert_eq!(run.jobs[1].state, JobState::Pending);
}

fn states(recipe: &Recipe) -> String {
    let run = super::create_with(recipe).unwrap();
    let states: Vec<&str> = run.jobs.iter().map(|job| job.state.as_str()).collect();
    states.join(" ")
}
