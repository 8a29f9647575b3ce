//! Sending a trace: what is sent when, how answers are read, and that no byte is ever lost.

use crate::support::{FAST, ending, job_api};
use pipglr_protocol::update::{FailureReason, UpdateState};
use pipglr_runner::trace::mask::Masker;
use pipglr_runner::trace::sender::{Delivery, FinalState, JobSignals, Pace, Sender};
use pipglr_runner::trace::{Source, Trace, TraceSettings};
use pipglr_testkit::Gate;
use pipglr_testkit::gitlab::{Answer, Endpoint, FakeGitLab, JobBuilder};
use pipglr_testkit::proxy::{FaultProxy, Link};
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const JOB: u64 = 31;

/// A sender, its trace, and the fake it sends to.
struct Wire {
    gitlab: FakeGitLab,
    trace: Trace,
    signals: JobSignals,
    sender: Option<Sender>,
    stop: CancellationToken,
    _directory: TempDir,
}

/// Touches the job whenever there is nothing new, which shows that the last answer was read.
const TOUCHING: Pace = Pace {
    keep_alive: Duration::from_millis(1),
    ..FAST
};

fn success() -> FinalState {
    FinalState {
        state: UpdateState::Success,
        failure_reason: None,
        exit_code: 0,
    }
}

impl Wire {
    async fn new() -> Self {
        Self::with(FAST).await
    }

    async fn with(pace: Pace) -> Self {
        let gitlab = FakeGitLab::start().await;
        let url = gitlab.url();
        Self::through(gitlab, &url, pace)
    }

    fn through(gitlab: FakeGitLab, url: &str, pace: Pace) -> Self {
        gitlab.assign_running(JobBuilder::new(JOB));
        let directory = tempfile::tempdir().unwrap();
        let settings = TraceSettings {
            timestamps: false,
            sections: false,
            limit: 1 << 30,
            masker: Masker::new([], &[]),
        };
        let trace = Trace::create(&directory.path().join("trace"), &settings).unwrap();
        let signals = JobSignals::default();
        let sender = Sender::new(trace.clone(), job_api(url, JOB), signals.clone(), pace);
        Self {
            gitlab,
            trace,
            signals,
            sender: Some(sender),
            stop: CancellationToken::new(),
            _directory: directory,
        }
    }

    fn write(&self, text: &str) {
        self.trace.write(Source::JobStdout, text.as_bytes());
    }

    /// Runs the sender next to `test`, then stops it.
    async fn sending<T>(&mut self, test: impl AsyncFnOnce(&Self) -> T) -> T {
        let mut sender = self.sender.take().unwrap();
        let stop = self.stop.clone();
        let task = tokio::spawn(async move {
            sender.run(&stop).await;
            sender
        });
        let result = test(self).await;
        self.stop.cancel();
        self.sender = Some(task.await.unwrap());
        result
    }

    async fn received(&self, text: &str) {
        self.gitlab
            .wait_for(&format!("the trace {text:?}"), |r| r.jobs[&JOB].text() == text)
            .await;
    }

    /// The trace has arrived, and the sender knows: it went on to the next thing, a sign of life.
    ///
    /// Only with [`TOUCHING`], and only if the silence before it was not long enough for an earlier sign.
    async fn settled(&self, text: &str) {
        self.received(text).await;
        self.gitlab
            .wait_for("a sign of life after the trace", |r| {
                let about_job = r.calls_of(JOB);
                about_job.last().is_some_and(|c| c == "PUT running 200") && r.jobs[&JOB].text() == text
            })
            .await;
    }

    fn patches(&self) -> Vec<String> {
        self.calls().into_iter().filter(|c| c.starts_with("PATCH")).collect()
    }

    async fn finish(&mut self, last: &FinalState) -> Delivery {
        let finishing = self.sender.as_mut().unwrap().finish(last);
        tokio::time::timeout(Duration::from_secs(10), finishing)
            .await
            .expect("the final update comes to an end")
    }

    fn calls(&self) -> Vec<String> {
        self.gitlab.record().calls_of(JOB)
    }

    #[track_caller]
    fn assert_delivered_whole(&self, text: &[u8]) {
        let record = self.gitlab.record();
        assert_eq!(record.violations, Vec::<String>::new());
        assert!(
            record.jobs[&JOB].trace == text,
            "GitLab has every byte, once and in order"
        );
        assert!(
            record.jobs[&JOB].is_complete(),
            "size and checksum are those of the trace"
        );
    }
}

#[tokio::test]
async fn what_is_new_is_sent_where_the_last_patch_ended() {
    let mut wire = Wire::with(TOUCHING).await;
    wire.write("first\n");
    wire.sending(async |wire| {
        wire.settled("first\n").await;
        wire.write("sec");
        wire.settled("first\nsec").await;
    })
    .await;
    wire.write("ond\n");
    assert_eq!(wire.finish(&success()).await, Delivery::Delivered);
    assert_eq!(wire.patches(), ["PATCH 0-5 202", "PATCH 6-8 202", "PATCH 9-12 202"]);
    assert_eq!(wire.calls().last().unwrap(), "PUT success 200");
    wire.assert_delivered_whole(b"first\nsecond\n");
}

#[tokio::test]
async fn a_patch_under_way_when_the_job_ends_does_not_hold_up_the_final_state() {
    let pace = Pace {
        interval: Duration::from_secs(4),
        ..FAST
    };
    let mut wire = Wire::with(pace).await;
    let gate = Gate::closed();
    wire.gitlab.answer(Endpoint::Trace, Answer::usual().answer_held(&gate));
    wire.write("hello\n");
    wire.sending(async |wire| wire.received("hello\n").await).await;
    gate.open();
    wire.write("world\n");
    let began = std::time::Instant::now();
    assert_eq!(wire.finish(&success()).await, Delivery::Delivered);
    wire.assert_delivered_whole(b"hello\nworld\n");
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "took {:?}: {:?}",
        began.elapsed(),
        wire.calls()
    );
}

#[tokio::test]
async fn the_final_update_says_how_the_job_ended() {
    let mut wire = Wire::new().await;
    wire.write("123456789");
    let last = FinalState {
        state: UpdateState::Failed,
        failure_reason: Some(FailureReason::ScriptFailure),
        exit_code: 3,
    };
    assert_eq!(wire.finish(&last).await, Delivery::Delivered);
    let record = wire.gitlab.record();
    let job = &record.jobs[&JOB];
    assert_eq!(job.ending(), ending("failed", "script_failure", 3));
    let mut update = job.final_update.clone().unwrap();
    update["info"].take();
    assert_eq!(
        update,
        serde_json::json!({
            "info": null, "token": JobBuilder::token_of(JOB), "state": "failed", "failure_reason": "script_failure",
            "exit_code": 3, "checksum": "crc32:cbf43926", "output": {"checksum": "crc32:cbf43926", "bytesize": 9},
        })
    );
}

#[tokio::test]
async fn more_than_a_mebibyte_goes_in_chunks() {
    let mut wire = Wire::new().await;
    let text = "0123456789abcde\n".repeat(70_000);
    wire.write(&text);
    assert_eq!(wire.finish(&success()).await, Delivery::Delivered);
    assert_eq!(
        wire.calls(),
        ["PATCH 0-1048575 202", "PATCH 1048576-1119999 202", "PUT success 200"]
    );
    wire.assert_delivered_whole(text.as_bytes());
}

#[tokio::test]
async fn a_patch_gitlab_kept_without_our_hearing_is_not_sent_twice() {
    for answer in [Answer::drop_applied(), Answer::status(409).applied()] {
        let mut wire = Wire::with(TOUCHING).await;
        wire.gitlab.answer(Endpoint::Trace, answer);
        wire.write("hello\n");
        wire.sending(async |wire| wire.settled("hello\n").await).await;
        wire.write("world\n");
        assert_eq!(wire.finish(&success()).await, Delivery::Delivered);
        wire.assert_delivered_whole(b"hello\nworld\n");
        assert_eq!(wire.patches()[1..], ["PATCH 0-5 416", "PATCH 6-11 202"]);
    }
}

#[tokio::test]
async fn a_log_gitlab_lost_is_sent_again_from_where_it_is() {
    for kept in ["", "fir"] {
        let mut wire = Wire::with(TOUCHING).await;
        wire.write("first\n");
        wire.sending(async |wire| {
            wire.settled("first\n").await;
            wire.gitlab.set_trace(JOB, kept.as_bytes());
            wire.write("second\n");
            wire.settled("first\nsecond\n").await;
        })
        .await;
        assert_eq!(wire.finish(&success()).await, Delivery::Delivered);
        wire.assert_delivered_whole(b"first\nsecond\n");
        assert_eq!(
            wire.patches(),
            [
                "PATCH 0-5 202",
                "PATCH 6-12 416",
                &format!("PATCH {}-12 202", kept.len())
            ]
        );
    }
}

#[tokio::test]
async fn an_unreadable_range_restarts_the_log() {
    let mut wire = Wire::new().await;
    wire.write("first\n");
    wire.sending(async |wire| {
        wire.received("first\n").await;
        wire.gitlab.set_trace(JOB, b"");
        wire.gitlab
            .answer(Endpoint::Trace, Answer::status(416).header("Range", "nonsense"));
        wire.write("second\n");
        wire.received("first\nsecond\n").await;
    })
    .await;
    assert_eq!(wire.finish(&success()).await, Delivery::Delivered);
    wire.assert_delivered_whole(b"first\nsecond\n");
}

/// Compat: gitlab-runner takes the offset as it is, so its flush ends and the final state is sent.
#[tokio::test]
async fn a_log_that_is_longer_at_gitlab_does_not_keep_the_job_from_ending() {
    let mut wire = Wire::new().await;
    wire.gitlab.set_trace(JOB, b"more than we ever wrote");
    wire.write("short\n");
    assert_eq!(wire.finish(&success()).await, Delivery::Delivered);
}

#[tokio::test]
async fn failed_patches_are_sent_again() {
    let failures = [
        Answer::status(500).header("Retry-After", "0"),
        Answer::status(409),
        Answer::status(400),
        Answer::drop_read(),
        Answer::drop_unread(),
    ];
    for answer in failures {
        let mut wire = Wire::new().await;
        wire.gitlab.answer_times(Endpoint::Trace, 2, answer);
        wire.write("hello\n");
        wire.sending(async |wire| wire.received("hello\n").await).await;
        assert_eq!(wire.finish(&success()).await, Delivery::Delivered);
        wire.assert_delivered_whole(b"hello\n");
        assert!(!wire.signals.abort.is_cancelled() && !wire.signals.cancel.is_cancelled());
    }
}

#[tokio::test]
async fn a_forbidden_patch_aborts_the_job() {
    let mut wire = Wire::new().await;
    wire.gitlab.answer_times(Endpoint::Trace, 2, Answer::status(403));
    wire.gitlab.answer(Endpoint::JobUpdate, Answer::status(403));
    wire.write("hello\n");
    let signals = wire.signals.clone();
    wire.sending(async |_| signals.abort.cancelled().await).await;
    assert!(!wire.signals.cancel.is_cancelled());
    assert_eq!(wire.finish(&success()).await, Delivery::Refused);
}

#[tokio::test]
async fn a_patch_that_is_not_found_ends_the_log_but_not_the_job() {
    let mut wire = Wire::new().await;
    wire.gitlab.answer_times(Endpoint::Trace, 1000, Answer::status(404));
    wire.write("hello\n");
    wire.sending(async |wire| {
        wire.gitlab
            .wait_for("two tries", |r| r.count(Endpoint::Trace) >= 2)
            .await;
    })
    .await;
    assert!(!wire.signals.abort.is_cancelled());
    assert_eq!(wire.finish(&success()).await, Delivery::Delivered);
    assert!(
        !wire.calls().contains(&"PUT running 200".to_owned()),
        "a failed patch skips the keep-alive"
    );
}

#[tokio::test]
async fn a_silent_job_is_kept_alive() {
    let pace = Pace {
        keep_alive: Duration::from_millis(30),
        ..FAST
    };
    let mut wire = Wire::with(pace).await;
    wire.sending(async |wire| {
        wire.gitlab
            .wait_for("three touches", |r| r.count(Endpoint::JobUpdate) >= 3)
            .await;
    })
    .await;
    assert_eq!(wire.finish(&success()).await, Delivery::Delivered);
    let record = wire.gitlab.record();
    let touches: Vec<_> = record.calls(Endpoint::JobUpdate).collect();
    assert!(touches.iter().rev().skip(1).all(|t| t.state() == "running"));
    for pair in touches[..3].windows(2) {
        assert!(
            pair[1].received - pair[0].received >= Duration::from_millis(30),
            "not before the silence is long enough"
        );
    }
    assert_eq!(record.count(Endpoint::Trace), 0, "an empty patch is never sent");
}

#[tokio::test]
async fn the_keep_alive_speaks_of_what_was_written() {
    let mut wire = Wire::with(TOUCHING).await;
    wire.write("123456789");
    wire.sending(async |wire| wire.settled("123456789").await).await;
    let mut touch = wire.gitlab.record().jobs[&JOB].updates[0].clone();
    touch["info"].take();
    assert_eq!(
        touch,
        serde_json::json!({
            "info": null, "token": JobBuilder::token_of(JOB), "state": "running",
            "checksum": "crc32:cbf43926", "output": {"checksum": "crc32:cbf43926", "bytesize": 9},
        })
    );
}

#[tokio::test]
async fn the_coordinators_view_of_the_job_raises_the_right_signal() {
    // (on the trace or on the keep-alive, the header, canceled, aborted)
    let cases = [
        (Endpoint::Trace, "canceling", true, false),
        (Endpoint::Trace, "canceled", false, true),
        (Endpoint::Trace, "failed", false, true),
        (Endpoint::JobUpdate, "canceling", true, false),
        (Endpoint::JobUpdate, "canceled", false, true),
        (Endpoint::JobUpdate, "failed", false, true),
    ];
    for (endpoint, word, canceled, aborted) in cases {
        let mut wire = Wire::new().await;
        wire.gitlab.answer(endpoint, Answer::usual().header("Job-Status", word));
        if endpoint == Endpoint::Trace {
            wire.write("hello\n");
        }
        let signals = wire.signals.clone();
        wire.sending(async |_| {
            tokio::select! {
                () = signals.cancel.cancelled() => {}
                () = signals.abort.cancelled() => {}
            }
        })
        .await;
        let raised = (wire.signals.cancel.is_cancelled(), wire.signals.abort.is_cancelled());
        assert_eq!(raised, (canceled, aborted), "{word} on {endpoint:?}");
    }
}

#[tokio::test]
async fn other_views_of_the_job_raise_no_signal() {
    for word in ["running", "pending", "success", "whatever"] {
        let mut wire = Wire::new().await;
        wire.gitlab
            .answer_times(Endpoint::Trace, 100, Answer::usual().header("Job-Status", word));
        wire.write("a\n");
        wire.sending(async |wire| {
            wire.received("a\n").await;
            wire.write("b\n");
            wire.received("a\nb\n").await;
        })
        .await;
        assert!(
            !wire.signals.cancel.is_cancelled() && !wire.signals.abort.is_cancelled(),
            "{word}"
        );
    }
}

#[tokio::test]
async fn the_keep_alive_of_a_job_that_is_gone_aborts_it() {
    for status in [403, 404] {
        let mut wire = Wire::new().await;
        wire.gitlab.answer(Endpoint::JobUpdate, Answer::status(status));
        let signals = wire.signals.clone();
        wire.sending(async |_| signals.abort.cancelled().await).await;
        assert!(!wire.signals.cancel.is_cancelled());
    }
}

#[tokio::test]
async fn the_coordinator_sets_the_interval() {
    let mut wire = Wire::new().await;
    wire.gitlab.set_trace_interval(1);
    wire.write("a\n");
    wire.sending(async |wire| {
        wire.received("a\n").await;
        wire.write("b\n");
        wire.received("a\nb\n").await;
    })
    .await;
    let record = wire.gitlab.record();
    let patches: Vec<_> = record.calls(Endpoint::Trace).collect();
    assert!(patches[1].received - patches[0].answered.unwrap() >= Duration::from_millis(990));
}

#[tokio::test]
async fn an_interval_that_makes_no_sense_is_ignored() {
    for value in ["0", "-1", "soon", "1.5", ""] {
        let mut wire = Wire::new().await;
        wire.gitlab.answer(
            Endpoint::Trace,
            Answer::usual().header("X-GitLab-Trace-Update-Interval", value),
        );
        wire.write("a\n");
        wire.sending(async |wire| {
            wire.received("a\n").await;
            wire.write("b\n");
            let second = wire.received("a\nb\n");
            tokio::time::timeout(Duration::from_millis(900), second)
                .await
                .expect("the pace stays as it was");
        })
        .await;
    }
}

#[tokio::test]
async fn a_final_update_that_is_not_complete_yet_is_asked_for_again() {
    let mut wire = Wire::new().await;
    wire.write("hello\n");
    wire.gitlab.answer_times(Endpoint::JobUpdate, 3, Answer::status(202));
    assert_eq!(wire.finish(&success()).await, Delivery::Delivered);
    assert_eq!(
        wire.calls(),
        [
            "PATCH 0-5 202",
            "PUT success 202",
            "PUT success 202",
            "PUT success 202",
            "PUT success 200"
        ]
    );
}

#[tokio::test]
async fn a_log_that_does_not_fit_its_checksum_is_sent_again_whole() {
    let mut wire = Wire::with(TOUCHING).await;
    wire.write("hello\n");
    wire.sending(async |wire| wire.settled("hello\n").await).await;
    let before = wire.calls().len();
    wire.gitlab.answer(Endpoint::JobUpdate, Answer::status(412));
    let gate = Gate::closed();
    // The coordinator throws the damaged log away before it asks for it again.
    wire.gitlab.answer(Endpoint::Trace, Answer::usual().held(&gate));
    let mut sender = wire.sender.take().unwrap();
    let finishing = tokio::spawn(async move { sender.finish(&success()).await });
    wire.gitlab
        .wait_for("the second log", |r| r.count(Endpoint::Trace) == 2)
        .await;
    wire.gitlab.set_trace(JOB, b"");
    gate.open();
    assert_eq!(finishing.await.unwrap(), Delivery::Delivered);
    assert_eq!(
        wire.calls()[before..],
        ["PUT success 412", "PATCH 0-5 202", "PUT success 200"]
    );
    wire.assert_delivered_whole(b"hello\n");
}

#[tokio::test]
async fn a_failed_final_update_is_tried_again_with_longer_and_longer_pauses() {
    let pace = Pace {
        backoff: Duration::from_millis(40),
        ..FAST
    };
    let mut wire = Wire::with(pace).await;
    wire.gitlab.answer_times(Endpoint::JobUpdate, 2, Answer::status(409));
    wire.gitlab.answer(Endpoint::JobUpdate, Answer::drop_read());
    assert_eq!(wire.finish(&success()).await, Delivery::Delivered);
    let record = wire.gitlab.record();
    let tries: Vec<_> = record.calls(Endpoint::JobUpdate).map(|c| c.received).collect();
    let pauses: Vec<Duration> = tries.windows(2).map(|p| p[1] - p[0]).collect();
    assert_eq!(pauses.len(), 3);
    for (pause, least) in pauses.iter().zip([40, 80, 160]) {
        assert!(*pause >= Duration::from_millis(least), "{pauses:?}");
    }
}

#[tokio::test]
async fn the_final_update_is_given_up_after_its_tries() {
    let pace = Pace { final_tries: 3, ..FAST };
    let mut wire = Wire::with(pace).await;
    wire.write("hello\n");
    wire.gitlab.answer_times(Endpoint::JobUpdate, 100, Answer::status(409));
    assert_eq!(wire.finish(&success()).await, Delivery::GaveUp);
    assert_eq!(
        wire.calls(),
        ["PATCH 0-5 202", "PUT success 409", "PUT success 409", "PUT success 409"]
    );
}

#[tokio::test]
async fn a_job_that_is_gone_takes_no_final_update() {
    for answer in [
        Answer::status(403),
        Answer::status(404),
        Answer::status(200).header("Job-Status", "canceled"),
    ] {
        let mut wire = Wire::new().await;
        wire.gitlab.answer(Endpoint::JobUpdate, answer);
        assert_eq!(wire.finish(&success()).await, Delivery::Refused);
        assert_eq!(wire.calls().len(), 1);
    }
}

#[tokio::test]
async fn no_byte_is_lost_when_the_network_goes_away_in_mid_stream() {
    for how in [Link::Refusing, Link::Blackhole] {
        let gitlab = FakeGitLab::start().await;
        let proxy = FaultProxy::start(gitlab.address()).await;
        let mut wire = Wire::through(gitlab, &proxy.url(), FAST);
        let mut text = String::new();
        wire.sending(async |wire| {
            for line in 0..60 {
                let line_text = format!("line {line} {}\n", "x".repeat(line * 37));
                wire.write(&line_text);
                text.push_str(&line_text);
                if line % 20 == 10 {
                    wire.received(&text).await;
                    proxy.cut(how);
                    // One more try at least runs into it; what is written meanwhile has to wait.
                    wire.write("written while the network was away\n");
                    text.push_str("written while the network was away\n");
                    proxy.further_attempts(1).await;
                    if how == Link::Refusing {
                        proxy.further_attempts(3).await;
                    }
                    proxy.heal();
                }
            }
            wire.received(&text).await;
        })
        .await;
        proxy.cut(how);
        proxy.heal();
        wire.write("last words\n");
        text.push_str("last words\n");
        assert_eq!(wire.finish(&success()).await, Delivery::Delivered);
        wire.assert_delivered_whole(text.as_bytes());
    }
}
