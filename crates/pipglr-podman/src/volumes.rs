//! Named volumes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::client::{Client, existed};
use crate::error::Error;
use crate::json::null_default;
use crate::request::{ApiRequest, Filters, segment};

/// A volume to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct VolumeSpec {
    /// Name.
    pub name: String,
    /// Driver; empty is `local`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub driver: String,
    /// Labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Options of the `local` driver: `type`, `device`, `o`, e.g. `o` = `size=1g`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

/// A volume as podman has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Volume {
    /// Name.
    pub name: String,
    /// Directory on podman's host.
    pub mountpoint: String,
    /// Labels.
    #[serde(default, deserialize_with = "null_default")]
    pub labels: BTreeMap<String, String>,
    /// Options it was made with.
    #[serde(default, deserialize_with = "null_default")]
    pub options: BTreeMap<String, String>,
    /// When it was made, RFC 3339.
    #[serde(default)]
    pub created_at: String,
}

impl Client {
    /// Makes a volume.
    ///
    /// # Errors
    /// [`Error::Conflict`] when there is one of that name.
    pub async fn create_volume(&self, spec: &VolumeSpec) -> Result<Volume, Error> {
        self.fetch(&ApiRequest::post("/volumes/create").json(spec)).await
    }

    /// Looks at a volume.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn inspect_volume(&self, name: &str) -> Result<Volume, Error> {
        self.fetch(&ApiRequest::get(format!("/volumes/{}/json", segment(name))))
            .await
    }

    /// Whether there is a volume of that name.
    ///
    /// # Errors
    /// Those of any call; see [`Error`].
    pub async fn volume_exists(&self, name: &str) -> Result<bool, Error> {
        existed(
            self.run(&ApiRequest::get(format!("/volumes/{}/exists", segment(name))))
                .await,
        )
    }

    /// Lists volumes.
    ///
    /// # Errors
    /// Those of any call; see [`Error`].
    pub async fn volumes(&self, filters: &Filters) -> Result<Vec<Volume>, Error> {
        self.fetch(&ApiRequest::get("/volumes/json").filters(filters)).await
    }

    /// Removes a volume; `force` removes the containers that use it too. `false` when there was none.
    ///
    /// # Errors
    /// [`Error::Conflict`] when a container uses it.
    pub async fn remove_volume(&self, name: &str, force: bool) -> Result<bool, Error> {
        let request = ApiRequest::delete(format!("/volumes/{}", segment(name))).flag("force", force);
        existed(self.run(&request).await)
    }
}
