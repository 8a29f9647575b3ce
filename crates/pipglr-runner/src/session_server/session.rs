//! What is known of one job's session, and what holds its job open.

use super::server::Shared;
use crate::containers::terminal::Shells;
use pipglr_protocol::Secret;
use pipglr_protocol::job_request::SessionInfo;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;

/// What the job and connections to it share.
#[derive(Debug)]
pub(super) struct State {
    token: Secret,
    /// Where shells are opened, once there is such a place.
    shells: watch::Sender<Option<Arc<Shells>>>,
    /// Somebody is connected; one at a time.
    connected: watch::Sender<bool>,
    /// Why nobody may be connected any more.
    ended: watch::Sender<Option<String>>,
}

/// A session that was announced to GitLab, in case there is a job.
#[derive(Debug)]
pub struct ProposedSession {
    shared: Arc<Shared>,
    id: String,
    token: Secret,
    timeout: Duration,
}

impl ProposedSession {
    pub(super) fn new(shared: Arc<Shared>, timeout: Duration) -> Self {
        Self {
            shared,
            id: random(),
            token: Secret::new(random()),
            timeout,
        }
    }

    /// As GitLab is told.
    #[must_use]
    pub fn info(&self) -> SessionInfo {
        SessionInfo {
            url: self.shared.url(&self.id),
            certificate: self.shared.certificate().to_owned(),
            authorization: self.token.clone(),
        }
    }

    /// There is a job: connections are taken from now on.
    #[must_use]
    pub fn begin(self) -> JobSession {
        let state = Arc::new(State {
            token: self.token,
            shells: watch::Sender::new(None),
            connected: watch::Sender::new(false),
            ended: watch::Sender::new(None),
        });
        self.shared.add(&self.id, state.clone());
        JobSession(Arc::new(Running {
            shared: self.shared,
            id: self.id,
            state,
            timeout: self.timeout,
        }))
    }
}

/// 64 hexadecimal digits.
fn random() -> String {
    let [a, b] = [(); 2].map(|()| Uuid::new_v4().simple().to_string());
    a + &b
}

/// The session of a job that runs. Ends with its last clone.
#[derive(Debug, Clone)]
pub struct JobSession(Arc<Running>);

#[derive(Debug)]
struct Running {
    shared: Arc<Shared>,
    id: String,
    state: Arc<State>,
    timeout: Duration,
}

impl JobSession {
    /// Shells may be opened there from now on.
    pub(crate) fn offer(&self, shells: Shells) {
        self.0.state.shells.send_replace(Some(Arc::new(shells)));
    }

    /// Whether somebody is connected.
    pub(crate) fn is_connected(&self) -> bool {
        *self.0.state.connected.borrow()
    }

    /// Waits until nobody is connected.
    pub(crate) async fn disconnected(&self) {
        let mut connected = self.0.state.connected.subscribe();
        // The sender lives in `self`, so this cannot fail.
        let _ = connected.wait_for(|connected| !connected).await;
    }

    /// How long somebody who is connected may hold the job open.
    pub(crate) fn timeout(&self) -> Duration {
        self.0.timeout
    }

    /// Ends it, and says why to whoever is connected.
    pub(crate) fn end(&self, why: &str) {
        self.0.end(why);
    }
}

impl Running {
    fn end(&self, why: &str) {
        self.shared.remove(&self.id);
        self.state.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            ended.get_or_insert_with(|| why.to_owned());
            first
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end("the job has ended");
    }
}

impl State {
    /// Whether a request carries the session's token. Takes as long for a wrong one as for the right one.
    pub(super) fn is_authorized(&self, header: &[u8]) -> bool {
        let token = self.token.expose().as_bytes();
        let differences = token.iter().zip(header).fold(0, |all, (a, b)| all | (a ^ b));
        token.len() == header.len() && differences == 0
    }

    /// Where shells are opened; `None` if that is not known within `limit`.
    pub(super) async fn shells(&self, limit: Duration) -> Option<Arc<Shells>> {
        let mut shells = self.shells.subscribe();
        let offered = async {
            // The sender lives in `self`, so this cannot fail.
            let offered = shells.wait_for(Option::is_some).await.ok()?;
            offered.clone()
        };
        tokio::select! {
            biased;
            offered = offered => offered,
            _ = self.ended() => None,
            () = tokio::time::sleep(limit) => None,
        }
    }

    /// Takes the only place there is.
    pub(super) fn occupy(self: Arc<Self>) -> Option<Place> {
        let is_free = self
            .connected
            .send_if_modified(|connected| !std::mem::replace(connected, true));
        is_free.then(|| Place(self))
    }

    /// Waits for the end of the session and says why it came.
    pub(super) async fn ended(&self) -> String {
        let mut ended = self.ended.subscribe();
        // The sender lives in `self`, so this cannot fail.
        match ended.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            Err(_) => String::new(),
        }
    }
}

/// Somebody is connected as long as this is there.
#[derive(Debug)]
pub(super) struct Place(Arc<State>);

impl Place {
    /// As [`State::ended`].
    pub(super) async fn ended(&self) -> String {
        self.0.ended().await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connected.send_replace(false);
    }
}
