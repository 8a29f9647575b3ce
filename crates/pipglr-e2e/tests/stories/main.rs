//! End-to-end stories: the real image on real, nested, rootless podman, against our coordinator over real HTTP.
//!
//! `cargo xtask test` builds image and program and calls this with `PIPGLR_STORY_IMAGE` and `PIPGLR_STORY_BUILD`;
//! arguments select stories by part of their name.
#![expect(clippy::print_stdout, reason = "the outcome is told to a person")]

mod adoption;
mod artifacts;
mod authority;
mod browser;
mod caches;
mod commands;
mod config;
mod debian13;
mod disk;
mod doctor;
mod hosts;
mod image;
mod jobs;
mod labels;
mod lanes;
mod load;
mod local;
mod network;
mod options;
mod project;
mod readme;
mod registries;
mod render;
mod report;
mod service;
mod services;
mod soak;
mod sources;
mod stage;
mod stream;
mod terminal;
mod up;
mod upgrade;

use stage::Stage;
use std::process::ExitCode;

/// A story: its name and what happens.
type Story = (&'static str, fn(&mut Stage) -> anyhow::Result<()>);

/// Of the account in which `cargo xtask test` builds the image. The last has the toolchain's image from the one before.
const PINNED: &[Story] = &[
    ("image: what is inside", image::inside),
    (
        "image: seccomp profile differs from podman's by sethostname alone",
        image::seccomp,
    ),
    (
        "image: wrong build arguments fail with a clear word",
        image::wrong_arguments,
    ),
    ("image: build arguments have their effect", image::arguments_have_effect),
    (
        "image: gitlab-runner flavour is downloaded and checked",
        image::gitlab_runner_flavour,
    ),
    ("readme: commands for users", readme::user_commands),
    ("readme: commands for root of a host", readme::host_commands),
    ("readme: commands for a checkout", readme::repository_commands),
    ("local: the project's own lint jobs", local::own_checks),
];

/// Of any account. Those that take a host for themselves stand apart from each other.
const STORIES: &[Story] = &[
    ("doctor: an account's conditions are broken and cured", doctor::account),
    (
        "labels: both ways of calling, from secret to configuration",
        labels::registration,
    ),
    ("labels: mistakes get one clear line", labels::mistakes),
    ("labels: dumpconfig is byte for byte", labels::dumpconfig),
    ("debian13: both ways of calling with podman 5.4", debian13::labels),
    ("jobs: outcomes are reported as they are", jobs::outcomes),
    ("jobs: variables of all kinds", jobs::variables),
    ("jobs: git strategies, depth and credentials", jobs::git),
    (
        "sources: submodules, clone paths, stale locks",
        sources::submodules_and_paths,
    ),
    ("sources: nothing of a job's token stays", sources::credentials),
    ("sources: Git LFS", sources::lfs),
    ("jobs: images, entrypoints, users and pull policies", jobs::images),
    ("jobs: artifacts travel, a hostile tree does not", jobs::artifacts),
    ("artifacts: reports, provenance, a link in the way", artifacts::kinds),
    (
        "jobs: cancel runs after_script, timeout ends the job",
        jobs::cancel_and_timeout,
    ),
    ("jobs: parallel jobs of several runners", jobs::parallel),
    ("doctor: podman's conditions are broken and cured", doctor::engine),
    ("jobs: nothing secret in a container's configuration", jobs::secrets),
    ("jobs: container images are built inside jobs", jobs::nested_builds),
    (
        "services: found by name, late ones waited for, broken ones told",
        services::beside_jobs,
    ),
    (
        "services: a network only where it is needed",
        services::only_where_needed,
    ),
    ("options: what config.toml says holds in containers", options::of_docker),
    ("caches: travel between jobs and stay on their volume", caches::travel),
    ("network: cut for 20 s in mid-job, not a byte lost", network::cut),
    (
        "registries: mirrors, blocked ones, and the operator's certificates",
        registries::mirrors_and_certificates,
    ),
    ("report: a run's page in a browser", report::in_a_browser),
    (
        "terminal: a shell in a running job, which stays open for it",
        terminal::in_a_running_job,
    ),
    ("service: stop drains, volumes can be made anew", service::drain),
    ("service: logs, log levels, environment, health", service::observability),
    ("service: the container is not privileged", service::not_privileged),
    ("doctor: a host's conditions are broken and cured", doctor::surroundings),
    ("service: a unit's runner is upgraded and brought back", doctor::unit),
    ("commands: as they are typed in the image", commands::inside),
    (
        "adoption: runner and engine are killed at known points",
        adoption::known_points,
    ),
    ("adoption: kills at random moments", adoption::seeded),
    (
        "local: a working tree with changes, from cache to table",
        local::pipeline,
    ),
    ("local: services by name, events as JSON", local::services_and_events),
    ("local: Ctrl-C, once and twice", local::interrupted),
    (
        "local: a tree on a terminal, a shell in a failed job",
        local::on_a_terminal,
    ),
    ("local: what cannot be is told", local::troubles),
    (
        "local: jobs are chosen, earlier results stand for others",
        local::selections,
    ),
    (
        "local: inputs, variables, limits, kinds of pipelines",
        local::input_and_limits,
    ),
    ("local: watching files", local::watching),
    ("local: what was kept is removed", local::cleaning),
    ("load: jobs with services look up names all the time", load::services),
    ("soak: short jobs leave nothing behind", soak::short_jobs),
    ("local: nested in the sandbox", local::in_the_sandbox),
    (
        "local: the sandbox on a terminal, watched, reported",
        local::seen_in_the_sandbox,
    ),
    ("up: from nothing to a finished job, and no further", up::from_nothing),
    ("up: a runner at work is looked at, and taken down", up::looked_at),
    ("up: what stands in the way, and going on after it", up::troubles),
    ("up: a GitLab with an authority of its own", up::own_authority),
    ("hosts: two with one token, one of them dies", hosts::one_token),
    ("hosts: a runner is killed with all it has", hosts::killed),
    ("disk: what a job uses is not removed, the rest is", disk::prune),
    ("disk: filled to the last byte by a job", disk::full),
    ("disk: damage after a hard end is put right", disk::damaged),
    ("upgrade: a job that does not end in time is told", upgrade::out_of_time),
    ("upgrade: under load, there and back again", upgrade::under_load),
    (
        "config: changed by command under a running job",
        config::under_a_running_job,
    ),
    ("render: a command for a shell is run", render::shell),
    ("render: units and a pod are run on Debian 13", render::units_and_pod),
];

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let select = |stories: &'static [Story]| -> Vec<&'static Story> {
        let is_wanted = |(name, _): &&Story| wanted.is_empty() || wanted.iter().any(|w| name.contains(w.as_str()));
        stories.iter().filter(is_wanted).collect()
    };
    let (pinned, free) = (select(PINNED), select(STORIES));
    let selected = pinned.len() + free.len();
    if selected == 0 {
        println!("there is no story of this name: {}", wanted.join(", "));
        return ExitCode::FAILURE;
    }
    let failed = match lanes::tell(pinned, free) {
        Ok(failed) => failed,
        Err(error) => {
            println!("the stage cannot be set: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    println!("{} passed, {failed} failed", selected.saturating_sub(failed));
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
