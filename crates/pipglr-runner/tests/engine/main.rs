//! The engine in this process, against a GitLab and a podman that misbehave on command.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like the tests themselves")]

mod adoption;
mod age;
mod cache_storage;
mod caches;
mod client;
mod disk;
mod hold;
mod house;
mod images;
mod independent;
mod job;
mod job_failures;
mod lifecycle;
mod manager;
mod options;
mod outages;
mod payload;
mod plan_artifacts;
mod plan_sources;
mod registration;
mod reload;
mod secrets;
mod sender;
mod services;
mod stop;
mod support;
mod terminal;
mod volumes;
