//! One side of the comparison: an image with a runner in it, and the job set run by it.

use crate::image::Builder;
use crate::quickstart::{self, Coordinator, IMAGE};
use anyhow::{Context as _, ensure};
use pipglr_e2e::command::CommandExt as _;
use pipglr_e2e::host::Account;
use pipglr_e2e::job_images::SMALL;
use pipglr_e2e::registry::Registry;
use pipglr_e2e::{releases, sample};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Not a release: whatever binary was given.
const OFFICIAL_VERSION: &str = "0.0.0";
const OFFICIAL_IMAGE: &str = "localhost/pipglr-gitlab-runner";

/// A runner to compare.
pub(super) struct Side {
    pub(super) name: String,
    image: String,
    /// Reference of the helper image GitLab's runner is told to use.
    helper_image: Option<String>,
    is_ours: bool,
}

/// What a job came to.
pub(super) struct Outcome {
    pub(super) name: String,
    /// State, exit code and failure reason in one line.
    pub(super) summary: String,
    pub(super) log: PathBuf,
}

impl Side {
    /// Our own engine.
    pub(super) fn ours(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            image: IMAGE.to_owned(),
            helper_image: None,
            is_ours: true,
        }
    }

    /// GitLab's runner, installed into the image the way a release is.
    pub(super) fn official(
        builder: &Builder,
        account: &Account,
        registry: &Registry,
        binary: &Path,
        helper: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let program = std::fs::read(binary).with_context(|| format!("read {}", binary.display()))?;
        let sum = Command::new("sha256sum").arg(binary).run_text()?;
        let sum = sum.split(' ').next().unwrap_or_default().to_owned();
        let url = releases::serve(OFFICIAL_VERSION, program, sum)?;
        let version = format!("RUNNER_VERSION={OFFICIAL_VERSION}");
        let arguments = [
            "RUNNER_FLAVOUR=gitlab-runner",
            &version,
            &format!("RUNNER_BASE_URL={url}"),
        ];
        builder.build(OFFICIAL_IMAGE, &arguments)?;
        let helper_image = helper
            .map(|archive| push_helper(account, registry, archive))
            .transpose()?;
        Ok(Self {
            name: "gitlab-runner".to_owned(),
            image: OFFICIAL_IMAGE.to_owned(),
            helper_image,
            is_ours: false,
        })
    }

    /// Runs the job set, one job at a time so that jobs find what earlier ones left in the same order.
    pub(super) fn play(
        &self,
        program: &Path,
        account: &Account,
        registry: &Registry,
        directory: &Path,
    ) -> anyhow::Result<Vec<Outcome>> {
        quickstart::clean(account)?;
        let directory = directory.join(format!("{}-data", self.name));
        if directory.exists() {
            std::fs::remove_dir_all(&directory)?;
        }
        std::fs::create_dir_all(&directory)?;
        let values = [
            ("SMALL", SMALL.reference(registry)),
            ("REGISTRY", registry.address_inside()),
        ];
        let values: Vec<(&str, &str)> = values.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let project = sample::materialize("job-set", &directory, &values)?;
        let report = directory.join("report.json");
        let option = format!("--report={}", report.display());
        let mut coordinator = Coordinator::start(program, &project, &directory, &[&option])?;
        let environment = self.environment(account, registry)?;
        let edit = |config: &str| self.edit(config, registry);
        quickstart::set_up_with(account, &self.image, &coordinator, edit, &environment)?;
        coordinator.wait()?;
        account.podman(["stop", "pipglr"]).run_text()?;
        read(&report)
    }

    fn environment(&self, account: &Account, registry: &Registry) -> anyhow::Result<Vec<String>> {
        let image = format!("DOCKER_IMAGE={}", SMALL.reference(registry));
        if self.is_ours {
            return Ok(vec![image]);
        }
        // GitLab's runner has no word for a registry without TLS: its engine is told.
        let name = "compare-registries.conf";
        let location = registry.address_inside();
        account.write(
            name,
            &format!("[[registry]]\nlocation = \"{location}\"\ninsecure = true\n"),
        )?;
        let file = account.home().join(name);
        let mount = format!("{}:/etc/containers/registries.conf.d/compare.conf:ro", file.display());
        Ok(vec![image, format!("PIPGLR_OPTIONS=-v {mount}")])
    }

    fn edit(&self, config: &str, registry: &Registry) -> String {
        if self.is_ours {
            return quickstart::with_registry(config, registry, 1);
        }
        match &self.helper_image {
            Some(image) => {
                let table = "[runners.docker]\n";
                config.replace(table, &format!("{table}    helper_image = \"{image}\"\n"))
            }
            None => config.to_owned(),
        }
    }
}

/// Puts the helper image where its runner can pull it.
fn push_helper(account: &Account, registry: &Registry, archive: &Path) -> anyhow::Result<String> {
    let file = std::fs::File::open(archive).with_context(|| format!("open {}", archive.display()))?;
    let loaded = account.podman(["load", "--quiet"]).stdin(file).run_any()?;
    let text = String::from_utf8_lossy(&loaded.stdout).into_owned();
    ensure!(
        loaded.status.success(),
        "podman load: {}",
        String::from_utf8_lossy(&loaded.stderr)
    );
    let name = text
        .lines()
        .find_map(|l| l.split_once(": ").map(|(_, name)| name.trim().to_owned()))
        .context("podman load names the image")?;
    let target = format!("{}/ci/gitlab-runner-helper:compare", registry.address());
    account.podman(["tag", &name, &target]).run_text()?;
    account
        .podman(["push", "--quiet", "--tls-verify=false", &target])
        .run_text()?;
    Ok(format!("{}/ci/gitlab-runner-helper:compare", registry.address_inside()))
}

fn read(report: &Path) -> anyhow::Result<Vec<Outcome>> {
    let text = std::fs::read_to_string(report).with_context(|| format!("read {}", report.display()))?;
    let report: serde_json::Value = serde_json::from_str(&text)?;
    let jobs = report["jobs"].as_array().context("the report has jobs")?;
    jobs.iter()
        .map(|job| {
            let word = |key: &str| job[key].as_str().unwrap_or("none").to_owned();
            Ok(Outcome {
                name: word("name"),
                summary: format!(
                    "state {}, exit code {}, failure reason {}",
                    word("state"),
                    job["exit_code"],
                    word("failure_reason")
                ),
                log: job["log"].as_str().context("a job has a log")?.into(),
            })
        })
        .collect()
}
