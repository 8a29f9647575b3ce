//! podman's secrets: values containers get without their showing in an inspection.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::client::{Client, existed};
use crate::error::Error;
use crate::json::null_default;
use crate::request::{ApiRequest, segment};

/// A secret to be made.
pub struct SecretSpec {
    /// Name.
    pub name: String,
    /// Its value, 1 byte to 512 000.
    pub value: SecretString,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

impl fmt::Debug for SecretSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretSpec")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A secret as podman lists it, without its value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SecretInfo {
    /// Its ID.
    #[serde(rename = "ID")]
    pub id: String,
    /// What it was made with.
    pub spec: SecretLabels,
}

/// The part of a secret that is not secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct SecretLabels {
    /// Name.
    pub name: String,
    /// Labels.
    #[serde(deserialize_with = "null_default")]
    pub labels: BTreeMap<String, String>,
}

impl Client {
    /// Makes a secret.
    ///
    /// # Errors
    /// [`Error::Api`] when the name is taken or the value is empty or too long.
    pub async fn create_secret(&self, secret: &SecretSpec) -> Result<(), Error> {
        let labels = serde_json::to_string(&secret.labels).expect("a map of strings is always JSON");
        let request = ApiRequest::post("/secrets/create")
            .query("name", &secret.name)
            .query("labels", labels)
            .bytes(Bytes::copy_from_slice(secret.value.expose_secret().as_bytes()));
        self.run(&request).await
    }

    /// Lists all secrets. Compat: podman has no filter by label for them.
    ///
    /// # Errors
    /// Those of any call; see [`Error`].
    pub async fn secrets(&self) -> Result<Vec<SecretInfo>, Error> {
        self.fetch(&ApiRequest::get("/secrets/json")).await
    }

    /// Removes a secret. `false` when there was none.
    ///
    /// # Errors
    /// Those of any call; see [`Error`].
    pub async fn remove_secret(&self, name: &str) -> Result<bool, Error> {
        existed(
            self.run(&ApiRequest::delete(format!("/secrets/{}", segment(name))))
                .await,
        )
    }
}
