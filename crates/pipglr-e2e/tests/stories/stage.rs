//! What stories share: account, registry, coordinator, a running pipglr container.

use anyhow::{Context as _, bail, ensure};
use pipglr_coordinator::{PipelineId, PipelineRecord, Revision, ServeOptions};
use pipglr_e2e::command::CommandExt as _;
use pipglr_e2e::host::Account;
use pipglr_e2e::job_images::{JobImage, SMALL};
use pipglr_e2e::registry::Registry;
use pipglr_e2e::sample;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

pub(crate) use crate::project::{Project, all_pass, contains, failed_for, job, lacks, log, wait_for};

/// What a command printed, if it ended with this code.
pub(crate) fn said(output: &Output, what: &str, code: i32) -> anyhow::Result<String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.code() == Some(code),
        "{what}: {} instead of {code}\n{text}",
        output.status
    );
    Ok(text)
}

pub(crate) struct Stage {
    pub account: Account,
    pub registry: Arc<Registry>,
    pub runtime: Runtime,
    /// The image under test.
    pub image: String,
}

impl Stage {
    /// Sets the stage on this account: everything stories need but a runner.
    pub(crate) fn set(account: &str, registry: Arc<Registry>) -> anyhow::Result<Self> {
        let image =
            std::env::var("PIPGLR_STORY_IMAGE").context("PIPGLR_STORY_IMAGE is not set: run `cargo xtask test`")?;
        let account = Account::provide(account, &mut |_| {})?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let mut stage = Self {
            account,
            registry,
            runtime,
            image,
        };
        stage.provide(&SMALL)?;
        stage.clear()?;
        Ok(stage)
    }

    /// Makes sure that a job image is in the registry.
    pub(crate) fn provide(&mut self, image: &JobImage) -> anyhow::Result<()> {
        image.provide(&self.registry, &self.account, &mut |text| println!("      {text}"))
    }

    /// The small job image, as jobs name it.
    pub(crate) fn small(&self) -> String {
        SMALL.reference(&self.registry)
    }

    /// Removes what a story left; the image stays.
    pub(crate) fn clear(&mut self) -> anyhow::Result<()> {
        self.account
            .podman(["rm", "--force", "--all", "--time", "0"])
            .run_any()?;
        for secret in ["REGISTRATION_TOKEN", "config.toml"] {
            self.account.podman(["secret", "rm", secret]).run_any()?;
        }
        self.account.podman(["volume", "rm", "--force", "--all"]).run_any()?;
        self.account.shell("rm -f config.toml").run_any()?;
        Ok(())
    }

    /// Ends everything and checks that nothing of ours is left.
    pub(crate) fn strike(self) -> anyhow::Result<()> {
        let left = |what: &str, arguments: &[&str]| -> anyhow::Result<()> {
            let text = self.account.podman(arguments.iter().copied()).run_text()?;
            ensure!(text.trim().is_empty(), "{what}: {text}");
            Ok(())
        };
        left("containers", &["ps", "--all", "--quiet"])?;
        left("volumes", &["volume", "ls", "--quiet"])?;
        left("secrets", &["secret", "ls", "--quiet", "--noheading"])?;
        left("networks", &["network", "ls", "--quiet", "--filter", "name=pipglr"])?;
        let name = self.account.name().to_owned();
        drop(self.registry);
        self.runtime.shutdown_timeout(Duration::from_secs(5));
        self.account.close(false)?;
        let processes = std::process::Command::new("ps")
            .args(["-u", &name, "-o", "stat=,comm="])
            .run_any()?;
        let names = String::from_utf8_lossy(&processes.stdout).into_owned();
        // What has ended and was not yet collected by the host's process 1 is gone.
        let alive: Vec<&str> = names.lines().filter(|l| !l.starts_with('Z')).collect();
        ensure!(alive.is_empty(), "processes of {name}: {alive:?}");
        Ok(())
    }

    /// The last lines of a running container, for a failed story.
    pub(crate) fn show_runner_log(&self) {
        if let Ok(output) = self.account.podman(["logs", "pipglr"]).run_any() {
            let text = String::from_utf8_lossy(&output.stdout);
            let lines: Vec<&str> = text.lines().collect();
            let last = lines.len().saturating_sub(40);
            lines[last..].iter().for_each(|line| println!("      | {line}"));
            let whole = std::env::temp_dir().join(format!("{}-runner.log", self.account.name()));
            match std::fs::write(&whole, &output.stdout) {
                Ok(()) => println!("      the whole log: {}", whole.display()),
                Err(error) => println!("      {}: {error}", whole.display()),
            }
        }
    }

    /// A shell line in the running container; `podman --remote` is the engine of the jobs.
    pub(crate) fn inside(&self, line: &str) -> Command {
        let engine = "export XDG_RUNTIME_DIR=/run/user/1000 CONTAINER_HOST=unix:///run/podman/podman.sock";
        self.account
            .podman(["exec", "pipglr", "sh", "-c", &format!("{engine}; {line}")])
    }

    /// A coordinator for a project with this `.gitlab-ci.yml`; `@SMALL@` is the small job image.
    pub(crate) fn coordinator(&self, configuration: &str) -> anyhow::Result<Project> {
        self.project(&[(".gitlab-ci.yml", configuration)], |_| {})
    }

    /// A coordinator for a project of several files, with options changed by `adjust`.
    pub(crate) fn project(
        &self,
        files: &[(&str, &str)],
        adjust: impl FnOnce(&mut ServeOptions),
    ) -> anyhow::Result<Project> {
        let directory = tempfile::tempdir()?;
        let small = self.small();
        let registry = self.registry.address_inside();
        let files: Vec<(&str, String)> = files
            .iter()
            .map(|(name, text)| (*name, text.replace("@SMALL@", &small).replace("@REGISTRY@", &registry)))
            .collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let repo = sample::from_files(&directory.path().join("project"), &files)?;
        self.project_of(directory, repo, adjust)
    }

    /// Serves a repository that is there already, in `directory`.
    pub(crate) fn project_of(
        &self,
        directory: tempfile::TempDir,
        repo: PathBuf,
        adjust: impl FnOnce(&mut ServeOptions),
    ) -> anyhow::Result<Project> {
        self.runtime.block_on(Project::serve(directory, repo, adjust))
    }

    /// Registers, configures and starts a runner for `project` by the runlabels; `edit` changes config.toml.
    pub(crate) fn start_runner(&self, project: &Project, edit: impl FnOnce(String) -> String) -> anyhow::Result<()> {
        self.register(project, &[])?;
        self.configure_and_run(edit)
    }

    /// One `[[runners]]` more in config.toml.
    pub(crate) fn register(&self, project: &Project, environment: &[(&str, &str)]) -> anyhow::Result<()> {
        self.register_at(&project.url, &project.token(), environment)
    }

    /// As [`Stage::register`], for a coordinator that is a process of its own.
    pub(crate) fn register_at(&self, url: &str, token: &str, environment: &[(&str, &str)]) -> anyhow::Result<()> {
        self.account.podman(["secret", "rm", "REGISTRATION_TOKEN"]).run_any()?;
        self.account
            .podman(["secret", "create", "REGISTRATION_TOKEN", "-"])
            .run_with_input(token)?;
        self.account.shell("touch config.toml").run_text()?;
        let small = self.small();
        let mut all = vec![
            ("CI_SERVER_URL", url),
            ("DOCKER_IMAGE", &small),
            ("DOCKER_PULL_POLICY", "if-not-present"),
        ];
        all.extend_from_slice(environment);
        self.label("register", &all)?;
        // The registry on loopback speaks no TLS.
        let text = std::fs::read_to_string(self.account.home().join("config.toml"))?;
        let podman = format!(
            "\n[runners.podman]\ninsecure_registries = [\"{}\"]\n",
            self.registry.address_inside()
        );
        self.account.write("config.toml", &(text + podman.as_str()))
    }

    /// Stores config.toml, prepares volumes, starts the container and waits until it is healthy.
    pub(crate) fn configure_and_run(&self, edit: impl FnOnce(String) -> String) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(self.account.home().join("config.toml"))?;
        self.account.write(
            "config.toml",
            &edit(text.replace("concurrent = 1\n", "concurrent = 4\n")),
        )?;
        for name in ["setupconfig", "setupstorage", "setupcache", "run"] {
            self.label(name, &[])?;
        }
        self.wait_until_healthy()
    }

    pub(crate) fn wait_until_healthy(&self) -> anyhow::Result<()> {
        wait_for("the container to be healthy", Duration::from_secs(60), || {
            Ok(self
                .account
                .podman(["exec", "pipglr", "pipglr", "health"])
                .run_any()?
                .status
                .success()
                .then_some(()))
        })
    }

    /// Calls a runlabel the modern way and gives its output.
    pub(crate) fn label(&self, name: &str, environment: &[(&str, &str)]) -> anyhow::Result<String> {
        let mut command = self.account.command("env");
        command.args(environment.iter().map(|(key, value)| format!("{key}={value}")));
        command
            .args(["podman", "container", "runlabel", name, &self.image])
            .run_text()
    }

    /// Runs a pipeline of `project` to its end.
    pub(crate) fn run_pipeline(&self, project: &Project) -> anyhow::Result<PipelineRecord> {
        let id = self.begin_pipeline(project)?;
        self.wait_pipeline(project, id)
    }

    pub(crate) fn begin_pipeline(&self, project: &Project) -> anyhow::Result<PipelineId> {
        Ok(self
            .runtime
            .block_on(project.coordinator.create_pipeline(&Revision::Head))?)
    }

    pub(crate) fn wait_pipeline(&self, project: &Project, id: PipelineId) -> anyhow::Result<PipelineRecord> {
        self.wait_pipeline_for(project, id, Duration::from_secs(180))
    }

    pub(crate) fn wait_pipeline_for(
        &self,
        project: &Project,
        id: PipelineId,
        limit: Duration,
    ) -> anyhow::Result<PipelineRecord> {
        let waiting = async { tokio::time::timeout(limit, project.coordinator.wait(id)).await };
        match self.runtime.block_on(waiting) {
            Ok(record) => Ok(record?),
            Err(_) => bail!(
                "the pipeline did not end in {} s: {:#?}",
                limit.as_secs(),
                project.coordinator.pipeline(id)
            ),
        }
    }
}
