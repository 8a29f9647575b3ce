//! A runner set up by one command, on an account that has nothing but podman and the image.

use crate::authority::Front;
use crate::registries::make_certificate_of;
use crate::stage::{Project, Stage, all_pass, contains, job, lacks, log, said, wait_for};
use anyhow::{Context as _, ensure};
use pipglr_coordinator::JobState;
use pipglr_e2e::command::CommandExt as _;
use std::time::Duration;

/// Where the account has the program, below its home.
const PROGRAM: &str = "up-story/pipglr";

/// `pipglr up` and nothing else leads to a finished job; again it changes nothing; a difference is seen and applied.
pub(crate) fn from_nothing(stage: &mut Stage) -> anyhow::Result<()> {
    let project = stage.coordinator(
        "a: { image: '@SMALL@', variables: { GIT_STRATEGY: none }, script: ['echo concurrency $CI_CONCURRENT_ID'] }\n",
    )?;
    let host = Host::set(stage, &project)?;
    let up = host.up();
    contains(&host.run(&format!("{up} --dry-run"), 0)?, "would register the runner")?;
    ensure!(
        stage.account.podman(["volume", "ls", "--quiet"]).run_text()?.is_empty(),
        "--dry-run makes nothing"
    );
    let closed = format!("{up} --concurrent 4");
    let proxy = "ftp_proxy=http://proxy.story";
    contains(&host.run_with(proxy, &closed, 0)?, "pipglr is up and healthy\n")?;
    all_pass(&stage.run_pipeline(&project)?)?;
    let first = host.container()?;
    contains(
        &host.run(&closed, 0)?,
        "nothing to do: pipglr is healthy and as wished\n",
    )?;
    contains(&host.run("up", 0)?, "nothing to do")?;
    contains(&host.run("up --json", 0)?, "\"changed\":false")?;
    ensure!(host.container()? == first, "the container is the same");
    let changed = host.run("up --concurrent 2", 0)?;
    contains(&changed, "set concurrent from 4 to 2\n")?;
    contains(&changed, "it takes no more jobs and waits up to 7200 s")?;
    lacks(&changed, "register")?;
    ensure!(host.container()? != first, "the container was made anew");
    contains(&host.inside("cat /run/secrets/config.toml")?, "concurrent = 2")?;
    contains(&host.inside("env")?, &format!("{proxy}\n"))?;
    contains(&host.run("up", 0)?, "nothing to do")?;
    all_pass(&stage.run_pipeline(&project)?)?;
    host.hides_the_token(&project)
}

/// What stands in the way is told with what to do, and the same command goes on where another broke off.
pub(crate) fn troubles(stage: &mut Stage) -> anyhow::Result<()> {
    let project = stage.coordinator("a: { image: '@SMALL@', script: ['true'] }\n")?;
    let host = Host::set(stage, &project)?;
    contains(
        &host.run("up --image nowhere.invalid/none", 1)?,
        "hint: create a runner in GitLab",
    )?;
    contains(
        &host.run("up --url https://g.example", 2)?,
        "hint: give --token-file FILE",
    )?;
    stage.account.write("up-story/wrong", "glrt-not-good-at-all\n")?;
    let wrong = host.run(&host.up().replace("up-story/token", "up-story/wrong"), 1)?;
    contains(&wrong, "the runner cannot be registered")?;
    lacks(&wrong, "glrt-not-good-at-all")?;
    let secrets = stage.account.podman(["secret", "ls", "--noheading"]).run_text()?;
    ensure!(secrets.is_empty(), "{secrets}");
    let went_on = host.run(&host.up(), 0)?;
    lacks(&went_on, "prepare the volume")?;
    stage
        .account
        .podman(["rm", "--force", "--time=0", "pipglr"])
        .run_text()?;
    let only_the_rest = host.run("up", 0)?;
    lacks(&only_the_rest, "register")?;
    contains(&only_the_rest, "start the container pipglr of")?;
    let shared = host.run("up --container second", 1)?;
    contains(&shared, "the container pipglr has the volume pipglr-storage")?;
    contains(&shared, "hint: --container pipglr is the runner that is there")?;
    stage.account.podman(["stop", "pipglr"]).run_text()?;
    contains(&host.run("up", 0)?, "start the container pipglr again\n")
}

/// The certificate is mounted, and trusted from the registration on.
pub(crate) fn own_authority(stage: &mut Stage) -> anyhow::Result<()> {
    let project =
        stage.coordinator("a: { image: '@SMALL@', variables: { GIT_STRATEGY: none }, script: ['true'] }\n")?;
    let directory = tempfile::tempdir()?;
    let (certificate, key) = (directory.path().join("own.crt"), directory.path().join("own.key"));
    let (authority, authority_key) = (directory.path().join("ca.crt"), directory.path().join("ca.key"));
    make_certificate_of(&authority, &authority_key, &certificate, &key)?;
    let front = Front::before(&project.url, &certificate, &key)?;
    let host = Host::set(stage, &project)?;
    stage
        .account
        .write("up-story/certs/gitlab.crt", &std::fs::read_to_string(&authority)?)?;
    let up = host.up().replace(&project.url, &front.url());
    contains(
        &host.run(&up, 1)?,
        "--run-option=--volume=DIRECTORY:/etc/gitlab-runner/certs:ro",
    )?;
    let certs = stage.account.home().join("up-story/certs");
    let trusted = format!(
        "{up} --run-option=--volume={}:/etc/gitlab-runner/certs:ro",
        certs.display()
    );
    contains(&host.run(&trusted, 0)?, "pipglr is up and healthy\n")?;
    contains(&host.inside("cat /run/secrets/config.toml")?, &front.url())?;
    all_pass(&stage.run_pipeline(&project)?)?;
    // The server has what `openssl req -x509` makes: a certificate of its own that says it is an authority's.
    let _own = front.instead(&project.url, &authority, &authority_key)?;
    all_pass(&stage.run_pipeline(&project)?)
}

/// What a person sees of a runner at work, and how it is taken down without losing the job.
pub(crate) fn looked_at(stage: &mut Stage) -> anyhow::Result<()> {
    let project = stage.coordinator(
        "long: { image: '@SMALL@', variables: { GIT_STRATEGY: none }, script: ['echo begun', 'sleep 45', 'echo done'] }\n",
    )?;
    let host = Host::set(stage, &project)?;
    contains(&host.run("status", 3)?, "there is no container pipglr")?;
    for command in ["logs", "disk", "disk --json", "prune", "prune --dry-run"] {
        let refused = host.run(command, 1)?;
        contains(
            &refused,
            "error: there is no container pipglr\nhint: pipglr up sets one up\n",
        )?;
    }
    contains(&host.run("down", 0)?, "nothing to do")?;
    host.run(&format!("{} --concurrent 3", host.up()), 0)?;
    let id = stage.begin_pipeline(&project)?;
    let long = project.coordinator.pipeline(id).context("no pipeline")?.jobs[0].id;
    wait_for("the job to begin", Duration::from_secs(60), || {
        let record = project.coordinator.job(long).context("no job")?;
        Ok((record.trace_size > 0 && log(&record)?.contains("begun\n")).then_some(()))
    })?;
    host.shows_status(&project.url)?;
    host.shows_the_job()?;
    host.shows_the_disk()?;
    contains(&host.run("restart", 0)?, "pipglr was restarted\n")?;
    let record = project.coordinator.pipeline(id).context("no pipeline")?;
    ensure!(
        job(&record, "long")?.state == JobState::Success,
        "{:?}",
        job(&record, "long")?.state
    );
    lacks(&host.run("up", 0)?, "start the container")?;
    stage.account.podman(["stop", "pipglr"]).run_text()?;
    for command in ["disk", "prune --dry-run"] {
        let refused = host.run(command, 1)?;
        contains(
            &refused,
            "error: the container pipglr does not run\nhint: pipglr up starts it; ",
        )?;
    }
    contains(&host.run("down", 0)?, "pipglr is down\n")?;
    host.run("status", 3)?;
    contains(&host.run("down --volumes", 0)?, "removed the volume pipglr-state\n")?;
    contains(&host.run("down --volumes", 0)?, "nothing to do")?;
    contains(&host.run("up", 0)?, "pipglr is up and healthy\n")?;
    host.hides_the_token(&project)
}

struct Host<'s> {
    stage: &'s Stage,
    /// Arguments that set the project's runner up.
    up: String,
}

impl<'s> Host<'s> {
    /// The program, the token in a file, and the word that the registry speaks no TLS.
    fn set(stage: &'s Stage, project: &Project) -> anyhow::Result<Self> {
        let account = &stage.account;
        account.shell("rm -rf up-story; mkdir up-story").run_text()?;
        let program = std::env::var("PIPGLR_STORY_PROGRAM").context("PIPGLR_STORY_PROGRAM is not set")?;
        std::fs::copy(&program, account.home().join(PROGRAM)).with_context(|| format!("copy {program}"))?;
        account.write("up-story/token", &format!("{}\n", project.token()))?;
        let registry = stage.registry.address_inside();
        account.write(
            "up-story/registry.conf",
            &format!("[[registry]]\nlocation = \"{registry}\"\ninsecure = true\n"),
        )?;
        let conf = account.home().join("up-story/registry.conf");
        let up = format!(
            "up --url {} --token-file up-story/token --name story --image {} \
             --run-option=--volume={}:/etc/containers/registries.conf.d/10-own.conf:ro",
            project.url,
            stage.image,
            conf.display()
        );
        Ok(Self { stage, up })
    }

    fn up(&self) -> String {
        self.up.clone()
    }

    /// What the program says, if it ends with this code.
    fn run(&self, arguments: &str, code: i32) -> anyhow::Result<String> {
        self.run_with("", arguments, code)
    }

    /// The same, with variables of the caller.
    fn run_with(&self, variables: &str, arguments: &str, code: i32) -> anyhow::Result<String> {
        let line = format!("exec env {variables} ./{PROGRAM} {arguments} 2>&1");
        let output = self.stage.account.shell(&line).run_any()?;
        said(&output, &format!("pipglr {arguments}"), code)
    }

    /// A job runs.
    fn shows_status(&self, url: &str) -> anyhow::Result<()> {
        let status = self.run("status", 0)?;
        for part in [
            "container  pipglr, running since ",
            "health     runner and engine answer\n",
            "engine     podman version ",
            "system ID r_",
            &format!("runner     story at {url}, token "),
            "jobs       1 of 3\n",
            ", scripts for ",
            "volume     pipglr-storage  ",
        ] {
            contains(&status, part)?;
        }
        Ok(())
    }

    /// A job runs, and is found everywhere.
    fn shows_the_job(&self) -> anyhow::Result<()> {
        let host = self;
        let json: serde_json::Value = serde_json::from_str(&host.run("status --json", 0)?)?;
        ensure!(
            json["survey"]["jobs"][0]["name"] == "long" && json["healthy"] == true,
            "{json}"
        );
        ensure!(
            json["volumes"][0]["bytes"]
                .as_u64()
                .is_some_and(|bytes| bytes > 1_000_000),
            "{json}"
        );
        let number = json["survey"]["jobs"][0]["id"].to_string();
        let used: serde_json::Value = serde_json::from_str(&host.run("top --json", 0)?)?;
        let builds = used
            .as_array()
            .context("a list")?
            .iter()
            .filter(|row| row["kind"] == "build");
        ensure!(
            builds.filter(|row| row["job"] == number.as_str()).count() == 1,
            "{used}"
        );
        contains(&host.run("top", 0)?, "JOB  CONTAINER")?;
        let about = host.run(&format!("logs --job {number}"), 0)?;
        contains(&about, "job accepted")?;
        lacks(&about, "polling for jobs")?;
        contains(&host.run("logs --component runner", 0)?, "polling for jobs")?;
        let systemd = host.run("logs --component systemd", 0)?;
        contains(&systemd, "runner.service")?;
        lacks(&systemd, "polling for jobs")?;
        contains(&host.run("logs", 0)?, "job accepted")?;
        contains(
            &host.run("exec podman --remote ps --format '{{.Labels}}'", 0)?,
            &format!("pipglr.job:{number}"),
        )?;
        host.run("exec sh -c 'exit 7'", 7)?;
        Ok(())
    }

    /// What the manager in the container knows is told on the host; the job's image is in use.
    fn shows_the_disk(&self) -> anyhow::Result<()> {
        let small = &self.stage.small();
        let shown = self.run("disk", 0)?;
        for part in ["DISK", "storage", "reserve", "KIND", "image", "in use"] {
            contains(&shown, part)?;
        }
        let report: serde_json::Value = serde_json::from_str(&self.run("disk --json", 0)?)?;
        ensure!(
            report["spaces"][0]["space"]["total"]
                .as_u64()
                .is_some_and(|total| total > 0),
            "{report}"
        );
        let images = report["images"].as_array().context("a list")?;
        ensure!(
            images
                .iter()
                .any(|image| image["name"] == small.as_str() && image["idle"].is_null()),
            "{report}"
        );
        let kept = self.run("prune --dry-run --all", 0)?;
        lacks(&kept, small)?;
        let list: serde_json::Value = serde_json::from_str(&self.run("prune --dry-run --all --json", 0)?)?;
        ensure!(list.is_array(), "{list}");
        lacks(&self.run("prune", 0)?, small)
    }

    fn container(&self) -> anyhow::Result<String> {
        self.stage
            .account
            .podman(["container", "inspect", "--format={{.Id}}", "pipglr"])
            .run_text()
    }

    fn inside(&self, line: &str) -> anyhow::Result<String> {
        self.stage
            .account
            .podman(["exec", "pipglr", "sh", "-c", line])
            .run_text()
    }

    /// It is in the secret, and in nothing that can be looked at.
    fn hides_the_token(&self, project: &Project) -> anyhow::Result<()> {
        let token = project.token();
        let account = &self.stage.account;
        lacks(&account.podman(["inspect", "pipglr"]).run_text()?, &token)?;
        lacks(&account.shell("ps -ef; ps eww -u $USER").run_text()?, &token)?;
        lacks(&account.podman(["logs", "pipglr"]).run_text()?, &token)?;
        account.shell("rm -r up-story/token").run_text()?;
        let files =
            account.shell("grep -rlF --exclude-dir=.local -e \"$0\" . || true; ls config.toml 2>/dev/null || true");
        let mut files = files;
        let found = files.arg(&token).run_text()?;
        ensure!(found.trim().is_empty(), "the token is in {found}");
        let secrets = account
            .podman(["secret", "ls", "--noheading", "--format={{.Name}}"])
            .run_text()?;
        ensure!(secrets.trim() == "config.toml", "{secrets}");
        Ok(())
    }
}

impl Drop for Host<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.stage.account.shell("rm -rf up-story").run_any() {
            println!("      up-story is left in the account's home: {error:#}");
        }
    }
}
