//! Networks containers can join.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::{Client, existed};
use crate::error::Error;
use crate::json::null_default;
use crate::request::{ApiRequest, Filters, segment};

/// A network to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NetworkSpec {
    /// Name.
    pub name: String,
    /// Driver.
    pub driver: String,
    /// Labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Whether containers find each other by name.
    pub dns_enabled: bool,
    /// Without a way out.
    pub internal: bool,
    /// Adds an IPv6 subnet.
    pub ipv6_enabled: bool,
    /// Driver options, e.g. `mtu`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

impl NetworkSpec {
    /// A bridge with name resolution and a way out.
    pub fn bridge(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            driver: "bridge".to_owned(),
            labels: BTreeMap::new(),
            dns_enabled: true,
            internal: false,
            ipv6_enabled: false,
            options: BTreeMap::new(),
        }
    }
}

/// A network as podman has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Network {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Name.
    pub name: String,
    /// Driver.
    #[serde(default)]
    pub driver: String,
    /// Labels.
    #[serde(default, deserialize_with = "null_default")]
    pub labels: BTreeMap<String, String>,
    /// Whether containers find each other by name.
    #[serde(default)]
    pub dns_enabled: bool,
    /// Without a way out.
    #[serde(default)]
    pub internal: bool,
    /// Has an IPv6 subnet.
    #[serde(default)]
    pub ipv6_enabled: bool,
    /// Driver options.
    #[serde(default, deserialize_with = "null_default")]
    pub options: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RemoveReport {
    #[serde(default)]
    err: Value,
}

impl Client {
    /// Makes a network.
    ///
    /// # Errors
    /// [`Error::Conflict`] when there is one of that name.
    pub async fn create_network(&self, spec: &NetworkSpec) -> Result<Network, Error> {
        self.fetch(&ApiRequest::post("/networks/create").json(spec)).await
    }

    /// Lists networks.
    ///
    /// # Errors
    /// Those of any call; see [`Error`].
    pub async fn networks(&self, filters: &Filters) -> Result<Vec<Network>, Error> {
        self.fetch(&ApiRequest::get("/networks/json").filters(filters)).await
    }

    /// Removes a network; `force` removes the containers that use it too. `false` when there was none.
    ///
    /// # Errors
    /// [`Error::Conflict`] when a container uses it.
    pub async fn remove_network(&self, name: &str, force: bool) -> Result<bool, Error> {
        let request = ApiRequest::delete(format!("/networks/{}", segment(name))).flag("force", force);
        let reports: Vec<RemoveReport> = match self.fetch(&request).await {
            Ok(reports) => reports,
            Err(error) => return existed(Err(error)),
        };
        if reports.iter().all(|report| report.err.is_null()) {
            return Ok(true);
        }
        // Compat: where the network's own removal fails, podman answers 200 and only says *that* it failed, as Go writes
        // an error value as `{}` (podman `handlers/libpod/networks.go`).
        Err(Error::Api {
            method: request.method,
            path: request.path,
            status: StatusCode::OK,
            message: "network could not be removed, podman does not say why".to_owned(),
            cause: String::new(),
        })
    }
}
