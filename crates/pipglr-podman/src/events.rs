//! What happens to containers, images, volumes and networks, as it happens.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::client::Client;
use crate::error::Error;
use crate::json::{JsonLines, null_default};
use crate::request::{ApiRequest, Filters};

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Event {
    /// `container`, `image`, `volume`, `network`, `pod`, `system`, …
    #[serde(rename = "Type")]
    pub kind: String,
    /// `create`, `init`, `start`, `attach`, `died`, `cleanup`, `remove`, …
    #[serde(rename = "Action")]
    pub action: String,
    /// What it happened to.
    #[serde(default, rename = "Actor")]
    pub actor: Actor,
    /// Nanoseconds since 1970.
    #[serde(default, rename = "timeNano")]
    pub time_nano: i64,
}

/// What an event happened to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Actor {
    /// Its ID, or a volume's name.
    #[serde(rename = "ID")]
    pub id: String,
    /// Labels, and `name`, `image`, `containerExitCode`, …
    #[serde(rename = "Attributes", deserialize_with = "null_default")]
    pub attributes: BTreeMap<String, String>,
}

impl Event {
    /// Exit code told by a container's `died` event.
    #[must_use]
    pub fn exit_code(&self) -> Option<i32> {
        if self.action != "died" {
            return None;
        }
        self.actor.attributes.get("containerExitCode")?.parse().ok()
    }
}

/// Events from the moment of the call on. Ends only with the service.
pub struct Events {
    lines: JsonLines,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

impl Events {
    /// The next event, or `None` when the service ended the stream. Cancel-safe.
    ///
    /// # Errors
    /// [`Error::Disconnected`] when podman went away.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        self.lines.next().await
    }
}

impl Client {
    /// Opens the stream of events, e.g. filtered by `event`, `type`, `container` or `label`.
    ///
    /// # Errors
    /// Those of any call; see [`Error`].
    pub async fn events(&self, filters: &Filters) -> Result<Events, Error> {
        let request = ApiRequest::get("/events").flag("stream", true).filters(filters);
        let lines = JsonLines::open(&self.transport, request).await?;
        Ok(Events { lines })
    }
}
