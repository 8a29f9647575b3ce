//! Which jobs run, with what, for how long, and again when files change.

use super::desk::Desk;
use crate::stage::{Stage, contains, lacks};
use anyhow::ensure;
use pipglr_e2e::command::CommandExt as _;

/// Each choice, on one pipeline whose jobs say what they see.
const CONFIGURATION: &str = "\
stages: [build, test, deploy]
default: { image: '@SMALL@' }
variables: { GIT_STRATEGY: none }
make:
  stage: build
  script: ['echo made > made']
  artifacts: { paths: [made] }
other: { stage: build, script: ['echo other ran'] }
check:
  stage: test
  needs: [make]
  script: ['cat made', 'test -n \"$FINE\"']
late: { stage: test, needs: [check], script: ['echo late ran', 'echo total 87.5%'], coverage: '/total \\d+\\.\\d+/' }
ship: { stage: deploy, when: manual, allow_failure: false, script: ['echo shipped'] }
";

/// By name with needs, by stage, by what failed, what follows a job, and a manual one.
pub(crate) fn selections(stage: &mut Stage) -> anyhow::Result<()> {
    let desk = Desk::set(stage, CONFIGURATION)?;
    // Arguments, exit code, what is shown, what is not.
    let runs: [(&str, i32, &[&str], &[&str]); 7] = [
        (
            "",
            3,
            &["make  | ", "other | other ran\n", "check | made\n"],
            &["late ran"],
        ),
        // Nothing of it waits: what the manual job blocks is the rest of the pipeline.
        ("--stage build", 0, &["make  | ", "other | other ran\n"], &["check |"]),
        ("check", 3, &["check | made\n"], &["make  |", "other |"]),
        (
            "check --needs",
            3,
            &["make  | ", "check | made\n"],
            &["other |", "late"],
        ),
        (
            "--only-failed -e FINE=1",
            6,
            &[
                "check | made\n",
                "late  | late ran\n",
                "coverage 87.5%",
                "ship  # manual\n",
            ],
            &["make  |", "other |"],
        ),
        (
            "--from check -e FINE=1",
            6,
            &["check | made\n", "late  | late ran\n"],
            &["make  |", "other |"],
        ),
        (
            "--manual ship -e FINE=1",
            0,
            &["ship  | shipped\n", "other | other ran\n"],
            &[],
        ),
    ];
    for (arguments, code, shown, hidden) in runs {
        let ran = desk.run(arguments)?;
        let text = ran.text();
        ensure!(ran.code == code, "{arguments}: exit code {}: {text}", ran.code);
        for part in shown {
            contains(&text, part)?;
        }
        for part in hidden {
            lacks(&text, part)?;
        }
    }
    let waiting = desk.run("-e FINE=1")?;
    ensure!(waiting.code == 6, "{}: {}", waiting.code, waiting.text());
    contains(
        &waiting.text(),
        "pipeline: blocked: a manual job has to be played: --manual ship\n",
    )?;
    desk.is_left_clean()
}

/// Inputs and files with variables arrive; a time limit cancels; each kind of pipeline has its own jobs.
pub(crate) fn input_and_limits(stage: &mut Stage) -> anyhow::Result<()> {
    let desk = Desk::set(
        stage,
        "spec: { inputs: { word: { default: none }, count: { type: number, default: 1 } } }\n---\n\
         default: { image: '@SMALL@' }\nvariables: { GIT_STRATEGY: none }\n\
         told: { rules: [{ when: on_success }], script: ['echo \"$[[ inputs.word ]] $[[ inputs.count ]] $FROM_FILE $CI_PIPELINE_SOURCE $CI_COMMIT_REF_NAME\"'] }\n\
         endless: { rules: [{ if: $ENDLESS }], script: [echo begun, sleep 1000], after_script: [echo cleaned] }\n\
         of tag: { rules: [{ if: $CI_COMMIT_TAG }], script: ['echo tagged'] }\n",
    )?;
    desk.write("more.yml", "project: { FROM_FILE: read }\n")?;
    for (arguments, said) in [
        (
            "--input word=seen --input count=3 --variables-file more.yml",
            "seen 3 read push main\n",
        ),
        ("--branch topic", "none 1  push topic\n"),
        ("--tag v1", "none 1  push v1\n"),
        ("--mr", "none 1  merge_request_event "),
        ("--schedule", "none 1  schedule main\n"),
    ] {
        let ran = desk.run(arguments)?;
        let text = ran.text();
        ensure!(ran.code == 0, "{arguments}: exit code {}: {text}", ran.code);
        contains(&text, said)?;
        ensure!(
            text.contains("tagged") == arguments.contains("tag"),
            "{arguments}: {text}"
        );
    }
    let limited = desk.run("-e ENDLESS=1 --timeout 8s endless")?;
    let text = limited.text();
    ensure!(limited.code == 130, "{}: {text}", limited.code);
    for part in ["endless | begun\n", "endless | cleaned\n", "pipeline: canceled"] {
        contains(&text, part)?;
    }
    desk.is_left_clean()
}

/// A changed file starts the pipeline again, as it is now; Ctrl-C ends the watching.
pub(crate) fn watching(stage: &mut Stage) -> anyhow::Result<()> {
    let desk = Desk::set(stage, "a: { image: '@SMALL@', script: ['cat changed'] }\n")?;
    let mut child = desk.start("--watch")?;
    desk.wait_for("pipeline: success", 1)?;
    desk.write("changed", "another text\n")?;
    desk.wait_for("pipeline: success", 2)?;
    desk.shell("kill -INT $(cat pid)")?;
    child.wait()?;
    let shown = desk.read("shown")?;
    contains(&shown, "a | committed\n")?;
    contains(&shown, "a | another text\n")?;
    desk.is_left_clean()
}

/// What a killed run left is removed on demand; what a run in progress uses is not.
pub(crate) fn cleaning(stage: &mut Stage) -> anyhow::Result<()> {
    let desk = Desk::set(
        stage,
        "default: { image: '@SMALL@' }\nlong: { script: [echo begun, sleep 1000], cache: { paths: [kept] } }\n",
    )?;
    let mut killed = desk.start("")?;
    desk.wait_for("| begun", 1)?;
    desk.shell("kill -KILL $(cat pid)")?;
    killed.wait()?;
    // podman's service of that run ends by itself, a minute later.
    desk.shell("pkill --uid $(id -u) --full '[p]odman system service' || true")?;
    let left = desk.stage.account.podman(["ps", "--quiet"]).run_text()?;
    ensure!(!left.is_empty(), "the killed run left nothing");
    let cleaned = desk.run("--clean")?;
    ensure!(cleaned.code == 0, "{}", cleaned.text());
    desk.is_left_clean()?;

    let mut running = desk.start("")?;
    desk.wait_for("| begun", 1)?;
    let cleaned = desk.run("--clean")?;
    ensure!(cleaned.code == 0, "{}", cleaned.text());
    contains(&cleaned.text(), "runs of this project in progress: 1")?;
    desk.shell("kill -INT $(cat pid)")?;
    running.wait()?;
    contains(&desk.read("shown")?, "\npipeline: canceled\n")?;
    desk.is_left_clean()?;
    let cleaned = desk.run("--clean")?;
    ensure!(cleaned.code == 0, "{}", cleaned.text());
    let volumes = desk.stage.account.podman(["volume", "ls", "--quiet"]).run_text()?;
    ensure!(volumes.is_empty(), "{volumes}");
    Ok(())
}
