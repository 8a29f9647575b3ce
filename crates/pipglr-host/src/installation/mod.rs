//! A runner on this host, from nothing to healthy: what is there ([`look`]) and what is wanted ([`Wish`]) make a plan of
//! steps ([`plan`]), which is shown or carried out (`carry_out`). What is as wished makes no step.

mod carry_out;
pub(crate) mod command_line;
mod configuration;
mod look;
mod plan;
mod trial;
mod wish;

pub use carry_out::{CarryOutError, Worker};
pub use configuration::{Configuration, ConfigurationError};
pub use look::{Boot, Config, Container, Facts, LookError, VolumeFact, look};
pub use plan::{Obstacle, Plan, Step, plan};
pub use trial::TrialError;
pub use wish::{Pull, Registration, Token, Wish};
