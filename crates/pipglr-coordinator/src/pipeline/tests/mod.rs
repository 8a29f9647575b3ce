//! Tables: a pipeline in one line, then actions and the states after each.

mod retrying;
mod selecting;
mod vectors;

use super::{Assignment, JobState, Outcome, PipelineId, PipelineRun, Recipe, Source};
use crate::creation::PipelineKind;
use crate::project::{Commit, RefKind, Reference};
use crate::state::RunnerId;
use jiff::{SignedDuration, Timestamp};
use pipglr_ci::model::{AllowFailure, Job, Need, Pipeline, When};
use pipglr_protocol::payload::JobId;
use pipglr_protocol::update::FailureReason;
use std::time::Duration;

const STAGES: [&str; 5] = ["build", "test", "review", "deploy", "post"];

/// Reads `build a; test b when:on_failure allow; deploy c needs:a,b`.
fn parse(text: &str) -> Pipeline {
    let jobs = text.split(';').map(|line| {
        let mut words = line.split_whitespace();
        let mut job = Job {
            stage: words.next().unwrap().to_owned(),
            name: words.next().unwrap().to_owned(),
            ..Job::default()
        };
        for word in words {
            match word.split_once(':').unwrap_or((word, "")) {
                ("when", "on_failure") => job.when = When::OnFailure,
                ("when", "always") => job.when = When::Always,
                ("when", "manual") => job.when = When::Manual,
                ("when", "never") => job.when = When::Never,
                ("start_in", seconds) => {
                    job.when = When::Delayed;
                    job.start_in = Some(Duration::from_secs(seconds.parse().unwrap()));
                }
                ("retry", max) => job.retry.max = max.parse().unwrap(),
                ("retry_when", reason) => job.retry.when.push(reason.to_owned()),
                ("retry_code", code) => job.retry.exit_codes.push(code.parse().unwrap()),
                ("interruptible", "") => job.interruptible = true,
                ("allow", "") => job.allow_failure = AllowFailure::Yes,
                ("allow", codes) => {
                    job.allow_failure = AllowFailure::ExitCodes(codes.split(',').map(|c| c.parse().unwrap()).collect());
                }
                ("dependencies", names) => job.dependencies = Some(list(names)),
                ("needs", names) => {
                    job.needs = Some(
                        list(names)
                            .into_iter()
                            .map(|name| Need {
                                optional: name.ends_with('?'),
                                artifacts: !name.ends_with('!'),
                                pipeline: None,
                                job: name.trim_end_matches(['?', '!']).to_owned(),
                            })
                            .collect(),
                    );
                }
                other => panic!("unknown word {other:?}"),
            }
        }
        job
    });
    Pipeline {
        stages: STAGES.map(str::to_owned).to_vec(),
        jobs: jobs.collect(),
        ..Pipeline::default()
    }
}

fn list(names: &str) -> Vec<String> {
    names.split(',').filter(|n| !n.is_empty()).map(str::to_owned).collect()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
}

fn try_create(text: &str) -> Result<PipelineRun, crate::Error> {
    create_with(&Recipe {
        pipeline: parse(text),
        ..Recipe::default()
    })
}

fn create_with(recipe: &Recipe) -> Result<PipelineRun, crate::Error> {
    let source = Source {
        reference: Reference {
            name: "main".to_owned(),
            kind: RefKind::Branch,
            tag_message: String::new(),
        },
        commit: Commit::default(),
        checkout: String::new(),
        kind: PipelineKind::Push,
        base: None,
        changes_since: None,
        parent: None,
        variables: Vec::new(),
        depth: 0,
    };
    let mut next = 0;
    PipelineRun::create(PipelineId(1), source, recipe, at(0), || {
        next += 1;
        (JobId(next), "token".into())
    })
}

fn create(text: &str) -> PipelineRun {
    try_create(text).unwrap()
}

fn index(run: &PipelineRun, name: &str) -> usize {
    run.jobs.iter().position(|j| j.definition.name == name).unwrap()
}

fn assignment(two_phase: bool, cancel_gracefully: bool) -> Assignment {
    Assignment {
        runner: RunnerId(1),
        two_phase,
        cancel_gracefully,
        timeout: Duration::from_secs(60),
        accept_by: at(120),
        last_contact: at(0),
        silence_limit: Duration::from_hours(1),
    }
}

fn failed(exit_code: i32) -> Outcome {
    Outcome::Failed {
        reason: FailureReason::ScriptFailure,
        exit_code: Some(exit_code),
    }
}

fn act(run: &mut PipelineRun, action: &str) {
    let now = at(10);
    apply(run, action, now);
    for index in run.take_due_retries() {
        retry(run, index, now);
    }
}

fn retry(run: &mut PipelineRun, index: usize, now: Timestamp) -> bool {
    let id = JobId(100 + run.jobs.len() as u64);
    run.retry(index, id, "token".into(), now)
}

fn apply(run: &mut PipelineRun, action: &str, now: Timestamp) {
    let (verb, name) = action.split_once(' ').unwrap_or((action, ""));
    match verb {
        "" => {}
        "cancel-all" => run.cancel_all(now),
        "redundant" => assert!(run.cancel_as_redundant(now)),
        "wait" => run.expire(at(name.parse().unwrap())),
        "unschedule" => {
            let job = index(run, name);
            assert!(run.unschedule(job, now));
        }
        "retry" => {
            let job = index(run, name);
            assert!(retry(run, job, now));
        }
        "drop" => {
            let (reason, name) = name.split_once(' ').unwrap();
            let job = index(run, name);
            let reason = FailureReason::from(reason);
            run.finish(
                job,
                Outcome::Failed {
                    reason,
                    exit_code: None,
                },
                now,
            );
        }
        "run" => {
            let job = index(run, name);
            run.assign(job, assignment(false, true), now);
        }
        "run-ungraceful" => {
            let job = index(run, name);
            run.assign(job, assignment(false, false), now);
        }
        "success" => {
            let job = index(run, name);
            run.finish(job, Outcome::Success, now);
        }
        "cancel" => {
            let job = index(run, name);
            assert!(run.cancel_job(job, now));
        }
        "play" => {
            let job = index(run, name);
            assert!(run.play(job, now));
        }
        _ => {
            let code = verb.strip_prefix("fail").expect("a known verb");
            let job = index(run, name);
            run.finish(job, failed(code.parse().unwrap_or(1)), now);
        }
    }
}

/// The jobs' states in order, then the pipeline's after a `|`.
fn states(run: &PipelineRun) -> String {
    let jobs: Vec<&str> = run.current_jobs().map(|j| j.state.as_str()).collect();
    let (state, warnings) = run.status();
    let suffix = if warnings { " with warnings" } else { "" };
    format!("{} | {state}{suffix}", jobs.join(" "))
}

/// Actions, and the states after each.
#[track_caller]
fn check(text: &str, steps: &[(&str, &str)]) {
    let mut run = create(text);
    for (action, expected) in steps {
        act(&mut run, action);
        assert_eq!(&states(&run), expected, "after {action:?} in {text:?}");
        assert_eq!(
            run.finished_at.is_some(),
            run.status().0.is_finished(),
            "after {action:?} in {text:?}"
        );
    }
}

#[test]
fn stages_run_one_after_the_other() {
    check(
        "build a; build b; test c; deploy d",
        &[
            ("", "pending pending created created | pending"),
            ("run a", "running pending created created | running"),
            ("success a", "success pending created created | running"),
            ("success b", "success success pending created | running"),
            ("success c", "success success success pending | running"),
            ("success d", "success success success success | success"),
        ],
    );
}

#[test]
fn an_empty_stage_is_no_obstacle() {
    check("build a; deploy b", &[("success a", "success pending | running")]);
    check("deploy a", &[("", "pending | pending")]);
}

#[test]
fn a_failure_skips_later_stages_but_for_on_failure_and_always() {
    check(
        "build a; test b; test c when:on_failure; deploy d when:always; deploy e",
        &[
            ("fail a", "failed skipped pending created created | running"),
            ("success c", "failed skipped success pending skipped | running"),
            ("success d", "failed skipped success success skipped | failed"),
        ],
    );
    check(
        "build a; test b when:on_failure; deploy c",
        &[
            ("success a", "success skipped pending | running"),
            ("success c", "success skipped success | success"),
        ],
    );
}

#[test]
fn an_allowed_failure_is_a_success_with_warnings() {
    check(
        "build a allow; test b",
        &[
            ("fail a", "failed pending | pending with warnings"),
            ("success b", "failed success | success with warnings"),
        ],
    );
}

#[test]
fn exit_codes_decide_whether_a_failure_is_allowed() {
    check(
        "build a allow:7,9; test b",
        &[("fail9 a", "failed pending | pending with warnings")],
    );
    check("build a allow:7,9; test b", &[("fail8 a", "failed skipped | failed")]);
    check("build a allow:7", &[("success a", "success | success")]);
}

#[test]
fn a_blocking_manual_job_stops_later_stages_until_played() {
    check(
        "build a when:manual; test b",
        &[
            ("", "manual created | manual"),
            ("play a", "pending created | pending"),
            ("success a", "success pending | running"),
        ],
    );
}

#[test]
fn an_optional_manual_job_is_passed_over() {
    check(
        "build a when:manual allow; test b",
        &[
            ("", "manual pending | pending"),
            ("success b", "manual success | success"),
        ],
    );
    check("build a when:manual allow", &[("", "manual | skipped")]);
}

#[test]
fn playing_reopens_what_was_skipped_because_of_the_job() {
    check(
        "build a when:manual allow; build x; test b needs:a; deploy c needs:b; deploy d needs:x",
        &[
            ("", "manual pending skipped skipped created | pending"),
            ("play a", "pending pending created created created | pending"),
            ("success a", "success pending pending created created | running"),
            ("success b", "success pending success pending created | running"),
        ],
    );
}

#[test]
fn needs_ignore_stages() {
    check(
        "build a; build b; test c needs:a; deploy d needs:; deploy e needs:c,b",
        &[
            ("", "pending pending created pending created | pending"),
            ("success a", "success pending pending pending created | running"),
            ("success c", "success pending success pending created | running"),
            ("success b", "success success success pending pending | running"),
        ],
    );
}

#[test]
fn a_need_that_does_not_run_skips_its_dependents_but_always() {
    check(
        "build a; build x when:manual allow; test b needs:x; test c needs:x when:always; test d needs:a when:on_failure",
        &[
            ("", "pending manual skipped pending created | pending"),
            ("success a", "success manual skipped pending skipped | running"),
        ],
    );
    check(
        "build a; test b needs:a; deploy c needs:b",
        &[("fail a", "failed skipped skipped | failed")],
    );
}

#[test]
fn needs_within_one_stage_run_in_any_file_order() {
    check(
        "test c needs:b; test b needs:a; test a",
        &[
            ("", "created created pending | pending"),
            ("success a", "created pending success | running"),
            ("success b", "pending success success | running"),
        ],
    );
}

#[test]
fn a_missing_optional_need_is_ignored() {
    check(
        "build a; test b needs:gone?,a",
        &[("success a", "success pending | running")],
    );
    check("build a; test b needs:gone?", &[("", "pending pending | pending")]);
}

#[test]
fn jobs_with_when_never_do_not_exist() {
    check("build a when:never; test b", &[("", "pending | pending")]);
}

#[test]
fn cancel_asks_a_graceful_runner_and_cuts_others_off() {
    check(
        "build a; test b",
        &[
            ("run a", "running created | running"),
            ("cancel a", "canceling created | canceling"),
            ("fail a", "canceled skipped | canceled"),
        ],
    );
    check(
        "build a; test b when:always",
        &[
            ("run-ungraceful a", "running created | running"),
            ("cancel a", "canceled skipped | canceled"),
        ],
    );
    check("build a; test b", &[("cancel a", "canceled skipped | canceled")]);
    check(
        "build a",
        &[
            ("run a", "running | running"),
            ("cancel a", "canceling | canceling"),
            ("success a", "canceled | canceled"),
        ],
    );
}

#[test]
fn canceling_a_pipeline_reaches_manual_and_waiting_jobs() {
    check(
        "build a; build b; build m when:manual; test c",
        &[
            ("run a", "running pending manual created | running"),
            ("cancel-all", "canceling canceled canceled canceled | canceling"),
            ("fail a", "canceled canceled canceled canceled | canceled"),
        ],
    );
}

#[test]
fn finished_jobs_can_be_neither_canceled_nor_played() {
    let mut run = create("build a");
    act(&mut run, "success a");
    assert!(!run.cancel_job(0, at(11)));
    assert!(!run.play(0, at(11)));
    assert_eq!(run.jobs[0].state, JobState::Success);
}

#[test]
fn a_canceled_job_has_no_failure_reason() {
    let mut run = create("build a");
    for action in ["run a", "cancel a", "fail3 a"] {
        act(&mut run, action);
    }
    assert_eq!(
        (run.jobs[0].failure_reason.clone(), run.jobs[0].exit_code),
        (None, Some(3))
    );
}

#[test]
fn an_unaccepted_job_goes_back_to_the_queue() {
    let mut run = create("build a");
    run.assign(0, assignment(true, true), at(0));
    assert_eq!(
        (run.jobs[0].state, run.jobs[0].is_available()),
        (JobState::Pending, false)
    );
    assert_eq!(run.next_deadline(), Some(at(120)));
    run.expire(at(119));
    assert!(!run.jobs[0].is_available());
    run.expire(at(120));
    assert!(run.jobs[0].is_available());
    assert_eq!(run.next_deadline(), None);
}

#[test]
fn an_accepted_job_starts_then_and_not_before() {
    let mut run = create("build a");
    run.assign(0, assignment(true, true), at(5));
    assert_eq!(run.jobs[0].times.started_at, None);
    run.accept(0, at(9));
    assert_eq!(
        (run.jobs[0].state, run.jobs[0].times.started_at),
        (JobState::Running, Some(at(9)))
    );
}

#[test]
fn a_runner_that_is_gone_loses_its_job() {
    for (contact, cancel, expected) in [
        (0, false, (660, JobState::Failed, Some("server_timeout_running"))),
        (-3000, false, (600, JobState::Failed, Some("no_updates_running"))),
        (0, true, (660, JobState::Canceled, None)),
    ] {
        let mut run = create("build a");
        run.assign(
            0,
            Assignment {
                last_contact: at(contact),
                ..assignment(false, true)
            },
            at(0),
        );
        if cancel {
            run.cancel_job(0, at(1));
        }
        let deadline = run.next_deadline().unwrap();
        run.expire(deadline);
        let job = &run.jobs[0];
        let reason = job.failure_reason.as_ref().map(FailureReason::as_str);
        assert_eq!((deadline.as_second(), job.state, reason), expected);
    }
}

#[test]
fn dependencies_follow_stages_needs_and_lists() {
    for (text, job, expected) in [
        ("build a; build b; test c", "c", "a b"),
        ("build a; build b; test c", "b", ""),
        ("build a; build b; test c dependencies:b", "c", "b"),
        ("build a; test c dependencies:", "c", ""),
        ("build a; build b; test c needs:b", "c", "b"),
        ("build a; build b; test c needs:a!,b", "c", "b"),
        ("build a; build b; test c needs:a,b dependencies:a", "c", "a"),
        ("build a; test c needs: dependencies:a", "c", ""),
    ] {
        let run = create(text);
        let job = &run.jobs[index(&run, job)];
        let names: Vec<&str> = job
            .dependencies
            .iter()
            .map(|&i| run.jobs[i].definition.name.as_str())
            .collect();
        assert_eq!(names.join(" "), expected, "{text}");
    }
}

#[test]
fn pipelines_that_make_no_sense_are_refused() {
    for (text, message) in [
        ("nowhere a", "job a refers to unknown stage nowhere"),
        ("build a needs:b", "job a refers to unknown need b"),
        ("build a when:never", "the pipeline has no jobs"),
    ] {
        assert_eq!(try_create(text).unwrap_err().to_string(), message);
    }
}
#[test]
fn long_chains_are_processed_in_no_time() {
    let mut text = "test j0".to_owned();
    for i in 1..400 {
        text.push_str(&format!("; test j{i} needs:j{}", i - 1));
    }
    let mut run = create(&text);
    for i in 0..400 {
        act(&mut run, &format!("success j{i}"));
    }
    assert_eq!(run.status().0, JobState::Success);
}

#[test]
fn delayed_jobs_wait_for_their_time() {
    check(
        "build a; test b start_in:60; deploy c",
        &[
            ("success a", "success scheduled created | scheduled"),
            ("wait 69", "success scheduled created | scheduled"),
            ("wait 70", "success pending created | running"),
            ("success b", "success success pending | running"),
        ],
    );
    check(
        "build a start_in:60; test b",
        &[
            ("", "scheduled created | scheduled"),
            ("play a", "pending created | pending"),
        ],
    );
    check(
        "build a start_in:60; test b",
        &[
            ("unschedule a", "manual created | manual"),
            ("play a", "pending created | pending"),
        ],
    );
    check("build a; test b start_in:60", &[("fail a", "failed skipped | failed")]);
    check(
        "build a start_in:60; test b needs:a",
        &[("cancel-all", "canceled canceled | canceled")],
    );
}
