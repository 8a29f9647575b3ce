//! `pipglr survey`: what `pipglr status` of the host asks inside the runner's container. Reads only, shows no secret.

use super::Outcome;
use crate::cli::ConfigArgs;
use crate::output;
use jiff::Timestamp;
use pipglr_runner::config::{self, ConfigSource};
use pipglr_runner::journal::overview;
use serde_json::json;

pub(super) fn run(args: &ConfigArgs) -> Outcome {
    let configuration = ConfigSource::new(&args.config, &args.state_dir()).load()?.config;
    let runners = configuration
        .runners
        .iter()
        .map(|runner| json!({ "name": runner.name, "url": runner.url, "token": runner.token.short() }));
    let now = Timestamp::now();
    let jobs = overview::underway(&args.state_dir().join("jobs"))?;
    let jobs = jobs.iter().map(|job| {
        json!({
            "id": job.id,
            "name": job.name,
            "project": job.project,
            "runner": job.runner,
            "phase": job.phase,
            "age_seconds": now.duration_since(job.accepted_at).as_secs().max(0),
        })
    });
    output::line(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "system_id": config::known_system_id(&args.state_dir()),
        "concurrent": configuration.concurrent,
        "runners": runners.collect::<Vec<_>>(),
        "jobs": jobs.collect::<Vec<_>>(),
    }))?;
    Ok(0)
}
