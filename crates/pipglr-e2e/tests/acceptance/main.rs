//! The host acceptance test: a new user follows the README on a stock Debian 13, and the machine is rebooted in mid-job.
//!
//! `cargo xtask acceptance` makes what it takes and calls this with `PIPGLR_MACHINE_…` and `PIPGLR_ACCEPTANCE_…`.
#![expect(clippy::print_stdout, reason = "the outcome is told to a person")]

mod limits;
mod machine;
#[path = "../stories/project.rs"]
mod project;
mod readme;
mod reboot;
mod set_up;
mod transcript;
mod upgrade;

use anyhow::Context as _;
use machine::{Machine, Parts};
use pipglr_coordinator::{Given, PipelineId, PipelineOptions, PipelineRecord};
use pipglr_e2e::job_images::SMALL;
use pipglr_e2e::registry::Registry;
use pipglr_e2e::{cache, sample};
use project::Project;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use transcript::Transcript;

/// The new user's account.
const ACCOUNT: &str = "ci";

/// What the steps share. The coordinator and the registry are on this side; the machine reaches them at QEMU's address.
struct Host {
    machine: Machine,
    project: Project,
    registry: Registry,
    runtime: Runtime,
    archive: PathBuf,
    program: PathBuf,
}

type Step = (&'static str, fn(&mut Host) -> anyhow::Result<()>);

const STEPS: &[Step] = &[
    ("the machine boots, with systemd and cgroups of version 2", set_up::boot),
    ("README: podman is installed", set_up::podman),
    ("README: a fresh account, linger, subordinate IDs", set_up::account),
    ("program and image are brought in", set_up::image),
    ("pipglr up", set_up::up),
    ("a job", set_up::first_job),
    ("a fork bomb in a job meets its limit", limits::processes),
    ("a job that takes too much memory is ended", limits::memory),
    ("pipglr service install", reboot::service),
    ("pipglr upgrade of the service, while a job runs", upgrade::with_a_job),
    ("an image that is ill in service only", upgrade::to_an_ill_one),
    ("a reboot in mid-job", reboot::in_mid_job),
    ("the runner has come back by itself, and does a job", reboot::back_again),
];

fn main() -> ExitCode {
    let began = Instant::now();
    let mut host = match Host::set() {
        Ok(host) => host,
        Err(error) => {
            println!("the machine cannot be made: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let mut passed = 0;
    let mut failed = 0;
    for (name, step) in STEPS {
        let began = Instant::now();
        let titled = host.machine.transcript.title(name);
        let result = titled.and_then(|()| step(&mut host));
        let seconds = began.elapsed().as_secs_f64();
        match result {
            Ok(()) => {
                passed += 1;
                println!("ok    {seconds:>6.1}s  {name}");
            }
            Err(error) => {
                failed += 1;
                println!("FAIL  {seconds:>6.1}s  {name}\n      {error:#}");
                host.look_around();
                break;
            }
        }
    }
    println!(
        "in {:.0} s, the base and the build left out",
        began.elapsed().as_secs_f64()
    );
    println!("{passed} passed, {failed} failed");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

impl Host {
    fn set() -> anyhow::Result<Self> {
        let path = |name: &str| {
            let value =
                std::env::var_os(name).with_context(|| format!("{name} is not set: run cargo xtask acceptance"));
            value.map(PathBuf::from)
        };
        let parts = Parts {
            disk: path("PIPGLR_MACHINE_DISK")?,
            kernel: path("PIPGLR_MACHINE_KERNEL")?,
            initrd: path("PIPGLR_MACHINE_INITRD")?,
            directory: path("PIPGLR_MACHINE_DIRECTORY")?,
        };
        let transcript = Transcript::create(&parts.directory.join("transcript.log"))?;
        let machine = Machine::start(&parts, transcript)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let registry = Registry::start(&cache().join("registry"))?;
        let directory = tempfile::tempdir()?;
        let small = SMALL.reference(&registry);
        let pipeline = include_str!("pipeline.yml").replace("@SMALL@", &small);
        let repo = sample::from_files(&directory.path().join("project"), &[(".gitlab-ci.yml", &pipeline)])?;
        let project = runtime.block_on(Project::serve(directory, repo, |_| {}))?;
        machine
            .transcript
            .says("coordinator", &format!("{} (port {} here)", project.url, project.port))?;
        Ok(Self {
            machine,
            project,
            registry,
            runtime,
            archive: path("PIPGLR_ACCEPTANCE_ARCHIVE")?,
            program: path("PIPGLR_ACCEPTANCE_PROGRAM")?,
        })
    }

    /// A line of the account's.
    fn user(&self, script: &str, seconds: u64) -> anyhow::Result<String> {
        self.machine.run(ACCOUNT, script, Duration::from_secs(seconds))
    }

    fn root(&self, script: &str, seconds: u64) -> anyhow::Result<String> {
        self.machine.run("root", script, Duration::from_secs(seconds))
    }

    /// Begins the pipeline of the jobs that are there for `part`.
    fn begin(&self, part: &str) -> anyhow::Result<PipelineId> {
        self.machine
            .transcript
            .says("coordinator", &format!("(a pipeline for {part})"))?;
        let options = PipelineOptions {
            variables: vec![Given::new("PART", part)],
            ..PipelineOptions::default()
        };
        Ok(self.runtime.block_on(self.project.coordinator.create(&options))?)
    }

    /// Begins a pipeline of one job, which says `begun`, and waits until it does.
    fn begin_and_see(&self, part: &str) -> anyhow::Result<PipelineId> {
        let id = self.begin(part)?;
        project::wait_for("the job to begin", Duration::from_secs(300), || {
            let record = self.project.coordinator.pipeline(id).context("no pipeline")?;
            let job = &record.jobs[0];
            Ok((job.trace_size > 0 && project::log(job)?.contains("begun\n")).then_some(()))
        })?;
        Ok(id)
    }

    /// Waits until a pipeline has come to its end; its jobs' logs go to the transcript.
    fn wait(&self, id: PipelineId, seconds: u64) -> anyhow::Result<PipelineRecord> {
        let limit = Duration::from_secs(seconds);
        let ended = async { tokio::time::timeout(limit, self.project.coordinator.wait(id)).await };
        let ended = self.runtime.block_on(ended);
        let record = self.project.coordinator.pipeline(id).context("no pipeline")?;
        for job in &record.jobs {
            let title = format!("(job {}: {:?} {:?})", job.name, job.state, job.failure_reason);
            self.machine.transcript.says("coordinator", &title)?;
            self.machine.transcript.hears(&project::log(job)?, Some(0))?;
        }
        let _ended = ended.with_context(|| format!("the pipeline did not end in {seconds} s"))??;
        Ok(record)
    }

    /// What may tell why a step failed.
    fn look_around(&self) {
        let looks = [
            (
                "root",
                "systemctl --no-pager --failed; df -h /; free -m; journalctl --no-pager -n 60",
            ),
            (
                ACCOUNT,
                "podman ps --all; podman logs --tail 200 pipglr; systemctl --user --no-pager status pipglr || true",
            ),
        ];
        for (account, script) in looks {
            if let Err(error) = self.machine.attempt(account, script, Duration::from_secs(120)) {
                println!("      {error:#}");
            }
        }
    }
}
