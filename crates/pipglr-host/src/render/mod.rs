//! The same set-up in other words: a [`crate::sandbox::Sandbox`] as a shell command, as Quadlet units, as Kubernetes YAML.

mod kube;
mod quadlet;
mod shell;
mod unit;
mod yaml;

pub use kube::{CONFIG_NAME, SECCOMP_PROFILE, pod, secret};
pub use quadlet::{Quadlet, quadlet};
pub use shell::shell;
pub use unit::{Section, Unit};
pub(crate) use unit::{plain, settings, unquoted};
pub use yaml::{documents, yaml};
