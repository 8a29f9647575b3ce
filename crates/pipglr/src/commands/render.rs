//! `pipglr render …`: the runner's container in other words.

use super::config::read_new;
use super::{Outcome, host};
use crate::cli::{RenderCommand, RenderKubeArgs, RenderQuadletArgs, RenderSeccompArgs, SandboxArgs};
use crate::error::CliError;
use crate::output;
use anyhow::{Context as _, anyhow};
use pipglr_host::podman::Podman;
use pipglr_host::render::{documents, pod, quadlet, secret, shell};
use pipglr_host::sandbox::{IMAGE, Sandbox};

/// Where an image carries its profile.
const PROFILE: &str = "--format={{index .Labels \"io.containers.seccomp.profile\"}}";

pub(super) fn run(command: RenderCommand) -> Outcome {
    match command {
        RenderCommand::Run(args) => {
            let mut sandbox = sandbox(&args.sandbox, &args.run_option);
            sandbox.health_checks = !args.no_health_checks;
            output::raw(&shell(&sandbox))?;
            Ok(0)
        }
        RenderCommand::Quadlet(args) => units(&args),
        RenderCommand::Kube(args) => kube(&args),
        RenderCommand::Seccomp(args) => seccomp(&args),
    }
}

/// The one value that all words are of.
fn sandbox(args: &SandboxArgs, options: &[String]) -> Sandbox {
    let image = args.image.as_deref().unwrap_or(IMAGE);
    let mut sandbox = Sandbox::new(&args.container, image);
    sandbox.environment.clone_from(&args.env);
    sandbox.extra = options.to_vec();
    sandbox
}

fn units(args: &RenderQuadletArgs) -> Outcome {
    let files = quadlet(&sandbox(&args.sandbox, &args.run_option)).files;
    let Some(directory) = &args.directory else {
        for (number, (name, unit)) in files.iter().enumerate() {
            let gap = if number == 0 { "" } else { "\n" };
            output::raw(&format!("{gap}# {name}\n{}", unit.text()))?;
        }
        return Ok(0);
    };
    std::fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
    for (name, unit) in &files {
        let file = directory.join(name);
        std::fs::write(&file, unit.text()).with_context(|| format!("write {}", file.display()))?;
        output::line(file.display())?;
    }
    Ok(0)
}

fn kube(args: &RenderKubeArgs) -> Outcome {
    let mut sandbox = sandbox(&args.sandbox, &[]);
    sandbox.health_checks = !args.no_health_checks;
    let mut all = Vec::new();
    if let Some(file) = &args.config {
        let text = read_new(file)?;
        pipglr_runner::config::parse_config(&text, &file.display().to_string())?;
        all.push(secret(&text));
    }
    all.push(pod(&sandbox));
    output::raw(&documents(&all))?;
    Ok(0)
}

fn seccomp(args: &RenderSeccompArgs) -> Outcome {
    let podman = Podman::of(&host::account(&args.account)?);
    let image = &args.image;
    let profile = podman
        .text(&["image", "inspect", PROFILE, image])
        .map_err(|error| CliError::with_hint(error, format!("the image has to be here: podman pull {image}")))?;
    if profile.is_empty() {
        return Err(CliError::with_hint(
            anyhow!("{image} carries no seccomp profile"),
            "name an image of pipglr: --image IMAGE",
        ));
    }
    output::line(profile)?;
    Ok(0)
}
