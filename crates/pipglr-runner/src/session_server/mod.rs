//! The session server: GitLab opens web terminals of jobs here, over HTTPS.
//!
//! `server` listens and answers, `session` is what is known of one job, `bridge` passes bytes between a websocket
//! and a shell.
//!
//! Compat: gitlab-runner session/server.go, session/session.go.

mod bridge;
mod certificate;
mod server;
mod session;
mod upgrade;

pub use server::{Listener, SessionServer, SessionServerError, Times};
pub use session::{JobSession, ProposedSession};
