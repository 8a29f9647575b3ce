//! Disks that fill up, and what is removed from them.

use crate::stage::{Project, Stage, all_pass, contains, failed_for, job, lacks, log, wait_for};
use anyhow::{Context as _, ensure};
use pipglr_coordinator::JobState;
use pipglr_e2e::command::CommandExt as _;
use std::path::PathBuf;
use std::time::Duration;

/// An image no job uses is told and removed, one that a job uses is not, until the job is over.
pub(crate) fn prune(stage: &mut Stage) -> anyhow::Result<()> {
    let project = stage.coordinator(
        "hold: { image: '@SMALL@', variables: { GIT_STRATEGY: none }, \
         script: ['echo begun', 'until test -e /builds/go; do sleep 0.2; done', 'echo went on'] }\n",
    )?;
    stage.start_runner(&project, |text| {
        format!("{text}\n[disk]\nimages_unused_for = \"0s\"\nvolumes_unused_for = \"0s\"\n")
    })?;
    stage
        .inside("tar -C /etc -c hostname | podman --remote import - localhost/unused:1; podman --remote tag localhost/unused:1 localhost/unused:2")
        .run_text()?;
    let id = stage.begin_pipeline(&project)?;
    let hold = project.coordinator.pipeline(id).context("no pipeline")?.jobs[0].id;
    wait_for("the job to begin", Duration::from_secs(90), || {
        let record = project.coordinator.job(hold).context("no job")?;
        Ok((record.trace_size > 0 && log(&record)?.contains("begun\n")).then_some(()))
    })?;
    let dry = stage.inside("pipglr prune --dry-run").run_text()?;
    contains(&dry, "would remove image localhost/unused:")?;
    lacks(&dry, &stage.small())?;
    let disk = stage.inside("pipglr disk").run_text()?;
    contains(&disk, "in use")?;
    contains(&disk, "localhost/unused:")?;
    println!("{}", indented(&disk));
    // The schedule's own way.
    stage.inside("systemctl start pipglr-prune.service").run_text()?;
    let images = stage
        .inside("podman --remote images --format '{{.Repository}}:{{.Tag}}'")
        .run_text()?;
    lacks(&images, "localhost/unused")?;
    contains(&images, &stage.small())?;
    // Everything unused goes, but not what the job has.
    let all = stage.inside("pipglr prune --all").run_text()?;
    lacks(&all, &stage.small())?;
    stage
        .inside("podman --remote exec $(podman --remote ps -q --filter label=pipglr.type=build) touch /builds/go")
        .run_any()?;
    let pipeline = stage.wait_pipeline(&project, id)?;
    all_pass(&pipeline)?;
    contains(&log(&pipeline.jobs[0])?, "went on\n")?;
    let all = wait_for("the lease to end", Duration::from_secs(30), || {
        let text = stage.inside("pipglr prune --all").run_text()?;
        Ok(text.contains(&stage.small()).then_some(text))
    })?;
    println!("{}", indented(&all));
    contains(&all, "more free\n")?;
    let journal = stage.account.podman(["logs", "pipglr"]).run_text()?;
    contains(&journal, "removed from the disk")
}

/// A job fills the storage volume to the last byte: it fails with the true reason, the runner goes on, space comes back
/// unattended, the next job is green. No job is asked for while space is short. The job goes on when a part of the reserve
/// was given up, and fills that, too.
pub(crate) fn full(stage: &mut Stage) -> anyhow::Result<()> {
    let configuration = "stages: [one, two]\ndefault: { image: '@SMALL@' }\nvariables: { GIT_STRATEGY: none }\n\
         fill: { stage: one, allow_failure: true, script: ['echo before', 'head -c 3G /dev/zero > /big || true', \
         'df -h / | tail -1', \
         'until test $(df --output=avail / | tail -1) -gt 1024; do sleep 0.2; done', 'echo filled', 'head -c 200M /dev/zero > /yet-more'] }\n\
         next: { stage: two, when: always, script: ['head -c 50M /dev/zero > /some', 'echo room again'] }\n";
    // A request that is held may bring a job although space has become short meanwhile.
    let project = stage.project(&[(".gitlab-ci.yml", configuration)], |options| {
        options.long_poll_hold = Duration::ZERO;
    })?;
    let small = SmallDisk::mount(stage)?;
    let result = fill(stage, &project, &small);
    // Volumes cannot be removed while something is mounted there.
    if result.is_err() {
        stage.show_runner_log();
    }
    stage
        .account
        .podman(["rm", "--force", "--time=0", "pipglr"])
        .run_any()?;
    small.unmount(stage)?;
    result
}

fn fill(stage: &Stage, project: &Project, small: &SmallDisk) -> anyhow::Result<()> {
    stage.register(project, &[])?;
    let text = std::fs::read_to_string(stage.account.home().join("config.toml"))?;
    stage
        .account
        .write("config.toml", &format!("{text}\n[disk]\nmin_free = \"60m\"\n"))?;
    for name in ["setupconfig", "setupcache", "run"] {
        stage.label(name, &[])?;
    }
    stage.wait_until_healthy()?;
    reserve_is_whole(stage)?;
    let pipeline = stage.run_pipeline(project)?;
    let text = failed_for(job(&pipeline, "fill")?, "script_failure")?;
    println!("{}", indented(&text));
    for part in [
        "before\n",
        "filled\n",
        "No space left on device\n",
        "WARNING: No space left on device: the disk of this runner was full while the job ran",
        "ERROR: Job failed: exit code 1\n",
    ] {
        contains(&text, part)?;
    }
    contains(&log(job(&pipeline, "next")?)?, "room again\n")?;
    ensure!(job(&pipeline, "next")?.state == JobState::Success);
    stage.wait_until_healthy()?;
    reserve_is_whole(stage)?;
    wait_for("everything of the jobs to be removed", Duration::from_secs(60), || {
        Ok(stage
            .inside("podman --remote ps -aq")
            .run_text()?
            .is_empty()
            .then_some(()))
    })?;
    small.no_jobs_while_space_is_short(stage, project)?;
    let journal = stage.account.podman(["logs", "pipglr"]).run_text()?;
    for part in [
        "no space left on the storage volume",
        "space is short: no jobs are asked for until there is more",
        "there is room again: jobs are asked for",
    ] {
        contains(&journal, part)?;
    }
    ensure!(
        stage
            .inside("systemctl show --property=NRestarts runner.service")
            .run_text()?
            .trim()
            == "NRestarts=0",
        "the runner survives"
    );
    println!("{}", indented(&stage.inside("pipglr disk").run_text()?));
    Ok(())
}

/// After a clean end nobody looks for damage. After a container that was killed, a layer that is gone takes its image with it, so
/// that it is pulled again, and a layer nobody knows is removed.
pub(crate) fn damaged(stage: &mut Stage) -> anyhow::Result<()> {
    let project =
        stage.coordinator("a: { image: '@SMALL@', variables: { GIT_STRATEGY: none }, script: ['echo fine'] }\n")?;
    stage.start_runner(&project, |text| text)?;
    all_pass(&stage.run_pipeline(&project)?)?;
    for command in ["stop", "start"] {
        stage.account.podman([command, "pipglr"]).run_text()?;
    }
    stage.wait_until_healthy()?;
    all_pass(&stage.run_pipeline(&project)?)?;
    let journal = || stage.account.podman(["logs", "pipglr"]).run_text();
    lacks(&journal()?, "looking for damage")?;
    let image = stage.small();
    let orphan = format!(
        "/home/podman/.local/share/containers/storage/overlay/{}",
        "f".repeat(64)
    );
    stage
        .inside(&format!(
            "diff=$(podman --remote image inspect --format '{{{{.GraphDriver.Data.UpperDir}}}}' {image}) && \
             rm -r ${{diff%/diff}} && install -d -o podman {orphan} {orphan}/diff && sync"
        ))
        .run_text()?;
    stage.account.podman(["kill", "pipglr"]).run_text()?;
    // Its restart policy may be faster.
    stage.account.podman(["start", "pipglr"]).run_any()?;
    stage.wait_until_healthy()?;
    all_pass(&stage.run_pipeline(&project)?)?;
    let said = journal()?;
    let words: Vec<&str> = said.lines().filter(|line| line.contains("amage")).collect();
    println!("{}", indented(&words.join("\n")));
    for part in ["looking for damage", "there is no damage, or no more"] {
        contains(&said, part)?;
    }
    ensure!(
        stage.inside(&format!("test -e {orphan}")).run_any()?.status.code() == Some(1),
        "the layer nobody knows is gone"
    );
    Ok(())
}

/// Until all pieces of the reserve are there, again if need be.
fn reserve_is_whole(stage: &Stage) -> anyhow::Result<()> {
    let pieces = "ls /home/podman/.local/share/containers/pipglr-ballast | wc -l";
    wait_for("the reserve", Duration::from_secs(60), || {
        Ok((stage.inside(pieces).run_text()?.trim() == "4").then_some(()))
    })
}

/// The storage volume on a file system of its own.
struct SmallDisk {
    _image: tempfile::TempDir,
    place: PathBuf,
}

impl SmallDisk {
    /// 1 GiB of ext4.
    fn mount(stage: &Stage) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let image = directory.path().join("disk");
        std::process::Command::new("truncate")
            .args(["--size=1G", &image.display().to_string()])
            .run_text()?;
        std::process::Command::new("mkfs.ext4")
            .args(["-q", "-m", "0", &image.display().to_string()])
            .run_text()?;
        stage.label("setupstorage", &[])?;
        let place = ["volume", "inspect", "--format={{.Mountpoint}}", "pipglr-storage"];
        let place = PathBuf::from(stage.account.podman(place).run_text()?.trim());
        let (name, at) = (stage.account.name(), place.display());
        let line = format!(
            "mount -o loop '{}' '{at}' && rm -rf '{at}/lost+found' && chown {name}:{name} '{at}' && chmod 700 '{at}'",
            image.display()
        );
        stage.account.root_shell(&line)?.run_text()?;
        // podman's own mount namespace is older than the mount, and would not see it.
        stage.account.podman(["system", "migrate"]).run_text()?;
        stage
            .account
            .podman(["unshare", "chown", "1000:1000", &place.display().to_string()])
            .run_text()?;
        Ok(Self {
            _image: directory,
            place,
        })
    }

    fn unmount(&self, stage: &Stage) -> anyhow::Result<()> {
        // podman's mount namespace would hold the disk.
        stage.account.podman(["system", "migrate"]).run_text()?;
        let line = format!("umount '{}'", self.place.display());
        stage.account.root_shell(&line)?.run_text()?;
        Ok(())
    }

    /// Something else takes the space, and gives it back.
    fn no_jobs_while_space_is_short(&self, stage: &Stage, project: &Project) -> anyhow::Result<()> {
        let file = self.place.join("somebody-elses");
        let take = format!(
            "fallocate --length $(( $(df --output=avail -B1 '{}' | tail -1) - 40000000 )) '{}'",
            self.place.display(),
            file.display()
        );
        stage.account.root_shell(&take)?.run_text()?;
        wait_for("the note", Duration::from_secs(30), || {
            let health = stage.inside("pipglr health").run_text()?;
            Ok(health.contains("\nno jobs are asked for: ").then_some(()))
        })?;
        let id = stage.begin_pipeline(project)?;
        // Long enough for a runner that asks every three seconds to show that it does.
        stage
            .inside("sleep 7; pipglr disk | grep 'no jobs are taken: now'")
            .run_text()?;
        let state = project.coordinator.pipeline(id).context("no pipeline")?.jobs[0].state;
        ensure!(state == JobState::Pending, "{state:?}");
        stage
            .account
            .root_shell(&format!("rm '{}'", file.display()))?
            .run_text()?;
        let pipeline = stage.wait_pipeline(project, id)?;
        ensure!(job(&pipeline, "next")?.state == JobState::Success);
        Ok(())
    }
}

fn indented(text: &str) -> String {
    let lines = text.lines().map(|line| format!("      | {line}"));
    lines.collect::<Vec<_>>().join("\n")
}
