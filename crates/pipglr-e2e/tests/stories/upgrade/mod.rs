//! Another image is put in service while jobs come and go: none is lost, none runs twice, and an image that is no good
//! does not stay.

mod images;

use crate::config::{pipglr, provide_program, system_id};
use crate::stage::{Stage, contains, failed_for, job, lacks, log, wait_for};
use crate::stream::Stream;
use anyhow::{Context as _, ensure};
use images::{GOOD, Images, remove, variant};
use pipglr_e2e::command::CommandExt as _;
use std::time::{Duration, Instant};

/// Upgrades unless `cargo xtask upgrades` says otherwise.
const ROUNDS: u32 = 2;

/// One image after the other, each under load; then one that fails its trial, and one that fails in service.
pub(crate) fn under_load(stage: &mut Stage) -> anyhow::Result<()> {
    let rounds = std::env::var("PIPGLR_UPGRADES_ROUNDS").ok();
    let rounds = rounds.map_or(Ok(ROUNDS), |text| text.parse::<u32>())?;
    let images = Images::build(stage)?;
    let nameless = images::nameless(stage)?;
    let stream = Stream::listen(stage)?;
    let project = stage.coordinator(&stream.configuration())?;
    provide_program(stage)?;
    stage.start_runner(&project, |text| text)?;
    let identity = system_id(stage)?;
    let load = stream.begin(stage, &project);
    load.wait_for_a_job()?;
    let mut slowest = Duration::ZERO;
    for round in 0..rounds {
        let image = images.good(round);
        let began = Instant::now();
        let said = pipglr(stage, &format!("pipglr upgrade --image {image}"), 0)?;
        slowest = slowest.max(began.elapsed());
        contains(&said, &format!("start the container pipglr of {image}\n"))?;
        ensure!(in_service(stage)? == image, "round {round}: {}", in_service(stage)?);
        only_one(stage)?;
        load.wait_for_a_job()?;
    }
    let last = images.good(rounds.saturating_sub(1));
    let again = pipglr(stage, "pipglr upgrade --no-pull", 0)?;
    ensure!(again == "nothing to do: pipglr is healthy and as wished\n", "{again}");
    no_good(stage, &images, last)?;
    same_name(stage, last)?;
    load.wait_for_a_job()?;
    ensure!(system_id(stage)? == identity, "the manager is another one for GitLab");
    let figures = load.end(stage, &project)?;
    let left = images::nameless(stage)?;
    ensure!(left == nameless, "images without a name: {nameless}before, {left}after");
    println!(
        "      {rounds} upgrades, the slowest took {:.0} s; {figures}",
        slowest.as_secs_f64()
    );
    images.remove(stage)?;
    take_program(stage)
}

/// The runner in service does not even stop for an image that fails its trial; for one that fails later it comes back.
fn no_good(stage: &Stage, images: &Images, last: &str) -> anyhow::Result<()> {
    let unfit = pipglr(stage, &format!("pipglr upgrade --image {}", images.unfit), 1)?;
    contains(&unfit, "its engine cannot run a container: ")?;
    contains(&unfit, "hint: nothing was changed: the container in service goes on\n")?;
    lacks(&unfit, "stop the container")?;
    only_one(stage)?;
    // Only in service has it a volume with this on it.
    stage.inside("touch /cache/ill").run_text()?;
    let ill = pipglr(stage, &format!("pipglr upgrade --image {}", images.ill), 1)?;
    contains(&ill, "going back: rename the container pipglr-before to pipglr\n")?;
    contains(&ill, "error: cannot wait up to 120 s for pipglr to be healthy: ")?;
    contains(&ill, "hint: the container that was there before is in service again\n")?;
    ensure!(in_service(stage)? == last, "{}", in_service(stage)?);
    only_one(stage)
}

/// The image in service loses its name to a newer one, as `latest` does: it goes when it is not in service any more.
fn same_name(stage: &Stage, name: &str) -> anyhow::Result<()> {
    let before = images::id(stage, name)?;
    images::anew(stage, name)?;
    let mentions = format!("remove the image {}, which has no name any more", &before[..12]);
    contains(&pipglr(stage, "pipglr upgrade --dry-run", 0)?, &mentions)?;
    ensure!(images::nameless(stage)?.contains(&before), "{before} still has a name");
    contains(&pipglr(stage, "pipglr upgrade", 0)?, &mentions)?;
    only_one(stage)
}

/// A job that does not end in time is ended, and is told so.
pub(crate) fn out_of_time(stage: &mut Stage) -> anyhow::Result<()> {
    let image = variant(stage, "one", GOOD)?;
    let project = stage.coordinator(
        "long: { image: '@SMALL@', variables: { GIT_STRATEGY: none }, script: ['echo begun', 'sleep 600'] }\n",
    )?;
    provide_program(stage)?;
    stage.start_runner(&project, |text| text)?;
    let upgrade = format!("pipglr upgrade --image {image} --timeout 3s");
    let plan = pipglr(stage, &format!("{upgrade} --dry-run"), 0)?;
    contains(&plan, "would try out ")?;
    // Another image leads to the same plan by the other command, but for its time.
    let by_up = pipglr(stage, &format!("pipglr up --image {image} --dry-run"), 0)?;
    ensure!(plan.replace("up to 3 s", "up to 7200 s") == by_up, "{plan}{by_up}");
    let id = stage.begin_pipeline(&project)?;
    wait_for("the job to begin", Duration::from_secs(60), || {
        let record = project.coordinator.pipeline(id).context("no pipeline")?;
        Ok(log(job(&record, "long")?)?.contains("begun\n").then_some(()))
    })?;
    pipglr(stage, &upgrade, 0)?;
    let record = stage.wait_pipeline(&project, id)?;
    let long = failed_for(job(&record, "long")?, "runner_interrupted")?;
    contains(&long, "ERROR: Job failed: aborted: terminated\n")?;
    remove(stage, &[image])?;
    take_program(stage)
}

fn take_program(stage: &Stage) -> anyhow::Result<()> {
    let line = format!("rm {}", crate::config::PROGRAM);
    stage.account.shell(&line).run_text().map(drop)
}

/// The image of the runner's container.
fn in_service(stage: &Stage) -> anyhow::Result<String> {
    let inspect = ["container", "inspect", "--format={{.ImageName}}", "pipglr"];
    Ok(stage.account.podman(inspect).run_text()?.trim().to_owned())
}

/// Neither a trial nor a replaced container is left.
fn only_one(stage: &Stage) -> anyhow::Result<()> {
    let containers = stage
        .account
        .podman(["ps", "--all", "--format={{.Names}}"])
        .run_text()?;
    ensure!(containers == "pipglr\n", "{containers}");
    let volumes = stage.account.podman(["volume", "ls", "--quiet"]).run_text()?;
    lacks(&volumes, "trial")
}
