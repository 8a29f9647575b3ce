//! The host a runner lives on: the account that owns it, the account's podman, and what is set up there.
//!
//! Everything is done by the host's own commands (podman, systemctl, …), so that a person can do it by hand, too; what
//! will be done is a plain value first, which can be shown. Nothing here knows of jobs, or links the engine.

pub mod account;
pub mod config;
pub mod doctor;
pub mod installation;
pub mod podman;
pub mod render;
pub mod running;
pub mod sandbox;
pub mod service;
pub mod tenancy;
