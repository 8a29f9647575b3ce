//! What the network does to jobs.

use crate::stage::{Stage, contains, job, log, wait_for};
use anyhow::{Context as _, ensure};
use pipglr_coordinator::JobState;
use pipglr_e2e::HOST_LOOPBACK;
use pipglr_testkit::proxy::{FaultProxy, Link};
use std::time::Duration;

/// Lines the job prints, one every tenth of a second.
const LINES: u32 = 300;

/// The connection between runner and coordinator is gone for 20 s while a job prints; the log is complete, byte for byte.
pub(crate) fn cut(stage: &mut Stage) -> anyhow::Result<()> {
    let project = stage.project(
        &[(
            ".gitlab-ci.yml",
            &format!(
                "variables: {{ GIT_STRATEGY: none, FF_TIMESTAMPS: 'false' }}\n\
                 print: {{ image: '@SMALL@', script: ['for i in $(seq {LINES}); do echo line $i of {LINES}; sleep 0.1; done'] }}\n"
            ),
        )],
        |_| {},
    )?;
    let upstream = std::net::SocketAddr::from(([127, 0, 0, 1], project.port));
    let proxy = stage.runtime.block_on(FaultProxy::start(upstream));
    let port = proxy
        .url()
        .rsplit(':')
        .next()
        .map(str::to_owned)
        .context("the proxy has a port")?;
    stage.start_runner(&project, |text| {
        text.replace(&project.url, &format!("http://{HOST_LOOPBACK}:{port}"))
    })?;
    let id = stage.begin_pipeline(&project)?;
    let job_id = project.coordinator.pipeline(id).context("no pipeline")?.jobs[0].id;
    wait_for("the first lines", Duration::from_secs(60), || {
        let record = project.coordinator.job(job_id).context("no job")?;
        Ok((record.trace_size > 0 && log(&record)?.contains("line 5 of")).then_some(()))
    })?;
    let before = project.coordinator.job(job_id).context("no job")?.trace_size;
    proxy.cut(Link::Blackhole);
    std::thread::sleep(Duration::from_secs(20));
    let during = project.coordinator.job(job_id).context("no job")?.trace_size;
    ensure!(
        during == before,
        "the connection was not cut: {before} bytes before, {during} after 20 s"
    );
    proxy.heal();
    let pipeline = stage.wait_pipeline(&project, id)?;
    let record = job(&pipeline, "print")?;
    ensure!(
        record.state == JobState::Success,
        "{:?} {:?}",
        record.state,
        record.failure_reason
    );
    let bytes = std::fs::read(&record.trace_path)?;
    let printed: String = (1..=LINES).map(|i| format!("line {i} of {LINES}\n")).collect();
    contains(&String::from_utf8(bytes.clone())?, &printed)?;
    // The coordinator compares size and CRC-32 of what it has with what the runner reports, and asks for the whole log
    // again if they differ; success means that they agree.
    println!(
        "      {} bytes, crc32 {:08x}, {} bytes were there when the connection was cut",
        bytes.len(),
        crc32fast::hash(&bytes),
        before
    );
    Ok(())
}
