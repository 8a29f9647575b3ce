//! Several hosts with one runner token. GitLab is their queue.

use crate::config::{pipglr, provide_program, system_id};
use crate::debian13::copy_image;
use crate::stage::{Project, Stage, all_pass, contains, failed_for, job, lacks, log, wait_for};
use crate::stream::Stream;
use anyhow::{Context as _, ensure};
use pipglr_coordinator::{Given, JobRecord, PipelineId, PipelineOptions, Selection};
use pipglr_e2e::HOST_LOOPBACK;
use pipglr_e2e::command::CommandExt as _;
use pipglr_e2e::host::{Account, packages};
use pipglr_testkit::s3::{ACCESS_KEY, BUCKET, S3Server, SECRET_KEY};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a host may say nothing here; in GitLab it is an hour, or half of it.
const SILENCE: Duration = Duration::from_secs(25);

/// Jobs that are not of the stream, and run when they are asked for by name.
const JOBS: &str = "\
fill: { rules: [{ if: '$ONLY == \"fill\"' }], cache: { key: k, paths: [kept] }, script: ['echo from one host > kept'] }
use: { rules: [{ if: '$ONLY == \"use\"' }], cache: { key: k, paths: [kept] }, script: ['cat kept'] }
long: { rules: [{ if: '$ONLY == \"long\"' }], script: ['while echo works; do sleep 1; done'] }
";

/// One host fills the cache, the other uses it; both are known by IDs that stay; no job runs twice; the jobs of one that is
/// gone end with GitLab's own reason, and it is welcome again.
pub(crate) fn one_token(stage: &mut Stage) -> anyhow::Result<()> {
    if !packages::is_root() {
        println!("      not run: a second account takes root to make");
        return Ok(());
    }
    let name = format!("{}-two", stage.account.name());
    let mut other = Account::provide(&name, &mut |text| println!("      {text}"))?;
    let result = copy_image(&stage.image, &stage.account, &other).and_then(|()| story(stage, &mut other));
    if result.is_err() {
        stage.show_runner_log();
        std::mem::swap(&mut stage.account, &mut other);
        stage.show_runner_log();
        std::mem::swap(&mut stage.account, &mut other);
    }
    let cleared = on(stage, &mut other, Stage::clear);
    let closed = other.close(true);
    result.and(cleared).and(closed)
}

/// Does something on the other host.
fn on<T>(
    stage: &mut Stage,
    other: &mut Account,
    act: impl FnOnce(&mut Stage) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    std::mem::swap(&mut stage.account, other);
    let outcome = act(stage);
    std::mem::swap(&mut stage.account, other);
    outcome
}

fn story(stage: &mut Stage, other: &mut Account) -> anyhow::Result<()> {
    let stream = Stream::listen(stage)?;
    let objects = tempfile::tempdir()?;
    let s3 = stage.runtime.block_on(S3Server::start(objects.path()))?;
    let project = stage.project(&[(".gitlab-ci.yml", &(stream.configuration() + JOBS))], |options| {
        options.silence_limit = SILENCE;
    })?;
    let cache = format!(
        "\n[runners.cache]\nType = \"s3\"\nShared = true\n[runners.cache.s3]\nServerAddress = \"{}\"\nInsecure = true\n\
         AccessKey = \"{ACCESS_KEY}\"\nSecretKey = \"{SECRET_KEY}\"\nBucketName = \"{BUCKET}\"\n",
        s3.address().replace("127.0.0.1", HOST_LOOPBACK)
    );
    let set_up = |stage: &mut Stage| {
        provide_program(stage)?;
        stage.start_runner(&project, |text| text + cache.as_str())?;
        system_id(stage)
    };
    let first = set_up(stage)?;
    let fill = run(stage, &project, "fill")?;
    contains(&log(&fill)?, "Created cache\n")?;
    contains(&log(&fill)?, &format!("system ID: {first}\n"))?;
    stage.account.podman(["stop", "pipglr"]).run_text()?;
    let second = on(stage, other, set_up)?;
    ensure!(first != second, "both hosts are {first}");
    let used = run(stage, &project, "use")?;
    contains(&log(&used)?, "from one host\n")?;
    contains(&log(&used)?, &format!("system ID: {second}\n"))?;
    stage.account.podman(["start", "pipglr"]).run_text()?;
    stage.wait_until_healthy()?;
    ensure!(
        system_id(stage)? == first,
        "the first host is another one after a restart"
    );
    at_work(stage, &project, stream, [&first, &second])?;
    one_dies(stage, other, &project, [&first, &second])
}

/// Both work, and none of the jobs is done twice.
fn at_work(stage: &Stage, project: &Project, stream: Stream, ids: [&str; 2]) -> anyhow::Result<()> {
    let load = stream.begin(stage, project);
    for _ in 0..12 {
        load.wait_for_a_job()?;
    }
    let figures = load.end(stage, project)?;
    let mut by_host = BTreeMap::new();
    for record in project.coordinator.pipelines().into_iter().flat_map(|p| p.jobs) {
        *by_host.entry(host_of(&record)?).or_insert(0_u32) += 1;
    }
    ensure!(by_host.keys().map(String::as_str).eq(sorted(ids)), "{by_host:?}");
    println!("      two hosts: {figures}; jobs by host: {by_host:?}");
    Ok(())
}

fn sorted(mut ids: [&str; 2]) -> [&str; 2] {
    ids.sort_unstable();
    ids
}

/// The system ID in a job's log.
fn host_of(record: &JobRecord) -> anyhow::Result<String> {
    let text = log(record)?;
    let id = text.split("system ID: ").nth(1).and_then(|rest| rest.lines().next());
    Ok(id.with_context(|| format!("no system ID in:\n{text}"))?.to_owned())
}

/// A host is gone in mid-job; nobody else does the job again, and when the host is back it does not either.
fn one_dies(stage: &mut Stage, other: &mut Account, project: &Project, ids: [&str; 2]) -> anyhow::Result<()> {
    let pipeline = begin(stage, project, "long")?;
    let record = wait_for_line(project, pipeline, "works\n")?;
    let died = host_of(&record)?;
    let kill = |stage: &mut Stage| stage.account.podman(["rm", "--force", "--time=0", "pipglr"]).run_text();
    if died == ids[0] {
        kill(stage)?
    } else {
        on(stage, other, kill)?
    };
    // The other one goes on meanwhile.
    contains(&log(&run(stage, project, "use")?)?, "from one host\n")?;
    let ended = stage.wait_pipeline(project, pipeline)?;
    let long = job(&ended, "long")?;
    let reason = long.failure_reason.as_ref().map(ToString::to_string);
    ensure!(
        ended.retried.is_empty() && reason.as_deref() == Some("no_updates_running"),
        "{:?} {reason:?}",
        long.state
    );
    let back = |stage: &mut Stage| {
        let kept = pipglr(stage, "pipglr up", 0)?;
        lacks(&kept, "register")?;
        wait_for("the job that is over to be forgotten", Duration::from_secs(60), || {
            let left = stage
                .inside("ls /var/lib/pipglr/jobs; podman --remote ps -aq")
                .run_text()?;
            Ok(left.trim().is_empty().then_some(()))
        })?;
        system_id(stage)
    };
    let id = if died == ids[0] {
        back(stage)?
    } else {
        on(stage, other, back)?
    };
    ensure!(id == died, "{died} has come back as {id}");
    let size = project.coordinator.job(long.id).map(|record| record.trace_size);
    ensure!(size == Some(long.trace_size), "the log grew after its end");
    contains(&log(&run(stage, project, "use")?)?, "from one host\n")
}

/// Everything of a runner is killed at once, as by a host that runs out of memory; podman starts it again, and the job is
/// told why it ended.
pub(crate) fn killed(stage: &mut Stage) -> anyhow::Result<()> {
    let project = stage.coordinator(
        "image: '@SMALL@'\nvariables: { GIT_STRATEGY: none }\nlong: { script: ['while echo works; do sleep 1; done'] }\n",
    )?;
    stage.start_runner(&project, |text| text)?;
    let pipeline = stage.begin_pipeline(&project)?;
    wait_for_line(&project, pipeline, "works\n")?;
    stage.account.podman(["stop", "--time=0", "pipglr"]).run_text()?;
    stage.account.podman(["start", "pipglr"]).run_text()?;
    stage.wait_until_healthy()?;
    let ended = stage.wait_pipeline(&project, pipeline)?;
    let text = failed_for(job(&ended, "long")?, "runner_system_failure")?;
    println!("      {}", text.lines().last().unwrap_or_default());
    contains(
        &text,
        "ERROR: Job failed (system failure): the runner, or the host it is on, was stopped while the job ran",
    )
}

/// Runs the one job to its end, in which all is well.
fn run(stage: &Stage, project: &Project, name: &str) -> anyhow::Result<JobRecord> {
    let id = begin(stage, project, name)?;
    let pipeline = stage.wait_pipeline(project, id)?;
    all_pass(&pipeline)?;
    Ok(job(&pipeline, name)?.clone())
}

fn begin(stage: &Stage, project: &Project, name: &str) -> anyhow::Result<PipelineId> {
    let options = PipelineOptions {
        variables: vec![Given::new("ONLY", name)],
        selection: Selection {
            jobs: vec![name.to_owned()],
            ..Selection::default()
        },
        ..PipelineOptions::default()
    };
    Ok(stage.runtime.block_on(project.coordinator.create(&options))?)
}

/// The job `long`, as soon as its log has the line.
fn wait_for_line(project: &Project, id: PipelineId, line: &str) -> anyhow::Result<JobRecord> {
    let record = || {
        let pipeline = project.coordinator.pipeline(id).context("no pipeline")?;
        job(&pipeline, "long").cloned()
    };
    let found = wait_for(&format!("{line:?} in the log"), Duration::from_secs(60), || {
        let record = record()?;
        Ok(log(&record)?.contains(line).then_some(record))
    });
    found.with_context(|| match record() {
        Ok(record) => format!(
            "{} is {:?}: {}",
            record.name,
            record.state,
            log(&record).unwrap_or_default()
        ),
        Err(error) => error.to_string(),
    })
}
