//! `cargo xtask quickstart`: from a bare machine to a finished pipeline in the nested sandbox, by the README's own steps.

use crate::image;
use anyhow::{Context as _, ensure};
use pipglr_e2e::command::CommandExt as _;
use pipglr_e2e::host::{Account, STAGE_ACCOUNT, packages};
use pipglr_e2e::job_images::{BUILD, SMALL};
use pipglr_e2e::registry::Registry;
use pipglr_e2e::{HOST_LOOPBACK, cache, sample};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The image's default name.
pub(crate) const IMAGE: &str = "registry.gitlab.com/qontainers/pipglr:latest";

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Leave the runner running, to look around
    #[arg(long)]
    keep: bool,
    /// Remove everything an earlier run kept, the account included, and stop
    #[arg(long)]
    purge: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut steps = Steps::default();
    if args.purge {
        return purge(&mut steps);
    }
    steps.next("packages");
    packages::install(&packages::STAGE, &mut |text| Steps::say(text))?;
    packages::rust_target(image::native_target(), &mut |text| Steps::say(text))?;

    steps.next("account");
    let account = Account::provide(STAGE_ACCOUNT, &mut |text| Steps::say(text))?;
    let outcome = play(&account, &mut steps, args.keep);
    if args.keep && outcome.is_ok() {
        Steps::say(&format!(
            "left running for account {}; end it with `cargo xtask quickstart --purge`",
            account.name()
        ));
        std::mem::forget(account);
        return Ok(());
    }
    steps.next("clean up");
    clean(&account)?;
    account.close(false)?;
    Steps::say("kept for next time: the account with its image, the job images, the build; --purge removes them");
    outcome
}

/// Steps 3 to 6 of the README, and the pipeline.
fn play(account: &Account, steps: &mut Steps, keep: bool) -> anyhow::Result<()> {
    clean(account)?;
    steps.next("program and image");
    let builder = image::Builder::prepare(account, &mut |text| Steps::say(text))?;
    Steps::say("building the image");
    builder.build(IMAGE, &[])?;

    steps.next("job images, in a registry on loopback");
    let registry = Registry::start(&cache().join("registry"))?;
    for image in [SMALL, BUILD] {
        image.provide(&registry, account, &mut |text| Steps::say(text))?;
    }

    steps.next("coordinator with the sample project");
    let directory = cache().join("quickstart");
    std::fs::create_dir_all(&directory)?;
    let project = sample::materialize("sample", &directory, &[("REGISTRY", &registry.address_inside())])?;
    let mut coordinator = Coordinator::start(&builder.program, &project, &directory, &[])?;

    steps.next("registration, configuration, volumes, start (steps 3 to 6 of the README)");
    set_up_with(
        account,
        IMAGE,
        &coordinator,
        |config| with_registry(config, &registry, 4),
        &[format!("DOCKER_IMAGE={}", SMALL.reference(&registry))],
    )?;

    steps.next("pipeline");
    let status = coordinator.wait()?;
    show_container(account)?;
    if !keep {
        steps.next("stop (drains)");
        account.podman(["stop", "pipglr"]).run_text()?;
    }
    ensure!(status == 0, "the pipeline did not end as expected (exit code {status})");
    println!(
        "\nquickstart: every job ended as expected, {:.0} s",
        steps.began.elapsed().as_secs_f64()
    );
    Ok(())
}

/// The README's steps 3 to 6, by the runlabels of `image`. `edit` is what an admin does to config.toml in step 4;
/// `environment` goes to every label.
pub(crate) fn set_up_with(
    account: &Account,
    image: &str,
    coordinator: &Coordinator,
    edit: impl FnOnce(&str) -> String,
    environment: &[String],
) -> anyhow::Result<()> {
    account
        .command("podman")
        .args(["secret", "create", "REGISTRATION_TOKEN", "-"])
        .run_with_input(&coordinator.token)?;
    account.write("config.toml", "")?;
    let label = |name: &str| -> anyhow::Result<()> {
        let mut command = account.command("env");
        command
            .arg(format!("CI_SERVER_URL={}", coordinator.url))
            .args(["RUNNER_NAME=quickstart", "DOCKER_PULL_POLICY=if-not-present"])
            .args(environment);
        command.args(["podman", "container", "runlabel", name, image]);
        let output = command.run_text()?;
        output.lines().filter(|l| !l.trim().is_empty()).for_each(Steps::say);
        Ok(())
    };
    label("register")?;
    account.podman(["secret", "rm", "REGISTRATION_TOKEN"]).run_text()?;
    let path = account.home().join("config.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    account.write("config.toml", &edit(&text))?;
    for name in ["setupconfig", "setupstorage", "setupcache", "run"] {
        label(name)?;
    }
    Ok(())
}

/// The README's "edit if desired": several jobs at a time, and a registry without TLS.
pub(crate) fn with_registry(config: &str, registry: &Registry, concurrent: u32) -> String {
    let config = config.replace("concurrent = 1\n", &format!("concurrent = {concurrent}\n"));
    let address = registry.address_inside();
    format!("{config}\n[runners.podman]\ninsecure_registries = [\"{address}\"]\n")
}

fn show_container(account: &Account) -> anyhow::Result<()> {
    let format = "privileged: {{.HostConfig.Privileged}}, added capabilities: {{.HostConfig.CapAdd}}";
    let text = account
        .podman(["container", "inspect", "--format", format, "pipglr"])
        .run_text()?;
    Steps::say(&format!("the runner's container: {}", text.trim()));
    Ok(())
}

/// Removes what a run leaves in the account; the image stays.
pub(crate) fn clean(account: &Account) -> anyhow::Result<()> {
    account.podman(["rm", "--force", "--time", "0", "pipglr"]).run_any()?;
    for secret in ["REGISTRATION_TOKEN", "config.toml"] {
        account.podman(["secret", "rm", secret]).run_any()?;
    }
    account
        .podman([
            "volume",
            "rm",
            "--force",
            "pipglr-storage",
            "pipglr-cache",
            "pipglr-state",
        ])
        .run_any()?;
    account.shell("rm -f config.toml").run_any()?;
    Ok(())
}

fn purge(steps: &mut Steps) -> anyhow::Result<()> {
    steps.next("purge");
    let account = Account::provide(STAGE_ACCOUNT, &mut |_| {})?;
    clean(&account)?;
    account.close(true)?;
    if cache().exists() {
        std::fs::remove_dir_all(cache())?;
    }
    Steps::say("the account, its images and volumes, and the job images are removed");
    Ok(())
}

/// The embedded coordinator as a process of its own: the runner meets it only over HTTP.
pub(crate) struct Coordinator {
    child: Child,
    url: String,
    token: String,
}

impl Coordinator {
    /// Serves `project` once, with its data below `directory` and further `options`.
    pub(crate) fn start(program: &Path, project: &Path, directory: &Path, options: &[&str]) -> anyhow::Result<Self> {
        let credentials: PathBuf = directory.join("credentials");
        if credentials.exists() {
            std::fs::remove_file(&credentials)?;
        }
        let data = directory.join("data");
        if data.exists() {
            std::fs::remove_dir_all(&data)?;
        }
        let child = Command::new(program)
            .args(["serve", "--once", "--listen", "127.0.0.1:0"])
            .arg(format!("--external-url=http://{HOST_LOOPBACK}:{{port}}"))
            .arg("--repo")
            .arg(project)
            .arg("--data-dir")
            .arg(&data)
            .arg("--credentials-file")
            .arg(&credentials)
            .args(options)
            .stdin(Stdio::null())
            .spawn()
            .context("start pipglr serve")?;
        let mut coordinator = Self {
            child,
            url: String::new(),
            token: String::new(),
        };
        coordinator.read_credentials(&credentials)?;
        Ok(coordinator)
    }

    fn read_credentials(&mut self, path: &Path) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !path.exists() {
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("pipglr serve ended at once: {status}");
            }
            ensure!(Instant::now() < deadline, "pipglr serve does not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
        let text = std::fs::read_to_string(path)?;
        let value = |key: &str| {
            text.lines()
                .find_map(|l| l.strip_prefix(key))
                .map(str::to_owned)
                .with_context(|| format!("no {key}"))
        };
        self.url = value("CI_SERVER_URL=")?;
        self.token = value("CI_SERVER_TOKEN=")?;
        Ok(())
    }

    pub(crate) fn wait(&mut self) -> anyhow::Result<i32> {
        Ok(self.child.wait()?.code().unwrap_or(-1))
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Numbered steps on the terminal.
struct Steps {
    began: Instant,
    count: u32,
}

impl Default for Steps {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            count: 0,
        }
    }
}

impl Steps {
    fn next(&mut self, title: &str) {
        self.count += 1;
        println!("[{:>5.1}s] {}. {title}", self.began.elapsed().as_secs_f64(), self.count);
    }

    fn say(text: &str) {
        println!("         {text}");
    }
}
