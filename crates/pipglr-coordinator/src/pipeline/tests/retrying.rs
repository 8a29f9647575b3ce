//! Attempts, and what is canceled by itself.

use super::{act, at, check, create, retry};
use crate::pipeline::{JobState, PipelineRun};
use pipglr_ci::model::OnNewCommit;

#[test]
fn failed_jobs_are_tried_again_as_often_as_they_say() {
    check(
        "build a retry:2; test b",
        &[
            ("fail a", "pending created | pending"),
            ("fail a", "pending created | pending"),
            ("fail a", "failed skipped | failed"),
        ],
    );
    check(
        "build a retry:1; test b",
        &[("cancel a", "canceled skipped | canceled")],
    );
}

#[test]
fn reasons_and_exit_codes_decide_about_another_attempt() {
    let again = "pending | pending";
    let over = "failed | failed";
    for (job, action, expected) in [
        ("build a retry:1 retry_when:script_failure", "fail a", again),
        ("build a retry:1 retry_when:always", "drop api_failure a", again),
        ("build a retry:1 retry_when:runner_system_failure", "fail a", over),
        ("build a retry:1 retry_code:7", "fail7 a", again),
        ("build a retry:1 retry_code:7", "fail8 a", over),
        (
            "build a retry:1 retry_code:7 retry_when:script_failure",
            "fail8 a",
            again,
        ),
        (
            "build a retry:1 retry_when:stuck_or_timeout_failure",
            "drop no_updates_running a",
            again,
        ),
        (
            "build a retry:1 retry_when:job_execution_timeout",
            "drop server_timeout_running a",
            again,
        ),
        ("build a retry:2", "drop missing_dependency_failure a", over),
        ("build a", "drop scheduler_failure a", again),
    ] {
        check(job, &[(action, expected)]);
    }
}

#[test]
fn a_retry_opens_what_was_skipped_and_keeps_the_old_attempt() {
    check(
        "build a; test b; deploy c when:always",
        &[
            ("fail a", "failed skipped pending | running"),
            ("retry a", "pending created pending | running"),
            ("success a", "success pending pending | running"),
        ],
    );
    let mut run = create("build a retry:1; test b needs:a");
    let first = run.jobs[0].id;
    act(&mut run, "fail a");
    assert_eq!(run.jobs[0].retry_of, Some(first));
    assert_eq!((run.jobs[0].attempt, run.jobs[2].attempt), (2, 1));
    assert!(run.jobs[2].retried && run.jobs[2].id == first && run.jobs[2].state == JobState::Failed);
    assert!(!retry(&mut run, 2, at(20)), "the old attempt is not tried again");
}

#[test]
fn a_retry_of_a_manual_job_runs_at_once() {
    check(
        "build a when:manual",
        &[
            ("play a", "pending | pending"),
            ("fail a", "failed | failed"),
            ("retry a", "pending | running"),
        ],
    );
}

#[test]
fn a_failure_ends_the_rest_if_the_workflow_says_so() {
    let mut run = create("build a; build b; build c allow; test d when:always");
    run.auto_cancel.on_job_failure = true;
    for (action, expected) in [
        ("run b", "pending running pending created"),
        ("fail c", "pending running failed created"),
        ("fail a", "failed canceling failed canceled"),
        ("fail b", "failed canceled failed canceled"),
    ] {
        act(&mut run, action);
        let jobs: Vec<&str> = run.jobs.iter().map(|j| j.state.as_str()).collect();
        assert_eq!(jobs.join(" "), expected, "after {action}");
    }
}

#[test]
fn a_newer_commit_cancels_what_may_be_interrupted() {
    let states = |run: &PipelineRun| {
        let states: Vec<&str> = run.jobs.iter().map(|j| j.state.as_str()).collect();
        states.join(" ")
    };
    for (policy, jobs, expected) in [
        (
            OnNewCommit::Conservative,
            "build a interruptible; test b",
            Some("canceling canceled"),
        ),
        (OnNewCommit::Conservative, "build a; test b interruptible", None),
        (
            OnNewCommit::Interruptible,
            "build a; build c interruptible; test b",
            Some("running canceled created"),
        ),
        (OnNewCommit::None, "build a interruptible", None),
    ] {
        let mut run = create(jobs);
        run.auto_cancel.on_new_commit = policy;
        act(&mut run, "run a");
        let before = states(&run);
        let canceled = run.cancel_as_redundant(at(10));
        assert_eq!(canceled, expected.is_some(), "{policy:?} {jobs}");
        assert_eq!(
            states(&run),
            expected.map_or(before, str::to_owned),
            "{policy:?} {jobs}"
        );
    }
}
