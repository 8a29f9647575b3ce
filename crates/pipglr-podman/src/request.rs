//! One API request as plain data: path, query and body, encoded properly. No I/O.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use http::{Method, Request};
use http_body_util::Full;
use serde::Serialize;

/// Version prefix of every path. Compat: accepted by podman 4.3.1 and 5.4.2.
const PREFIX: &str = "/v4.0.0/libpod";

/// Filters of a list or of the event stream: every key must match, any value of a key will do (labels: all).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    /// Objects that carry `label`, given as `key` or `key=value`.
    #[must_use]
    pub fn label(label: impl Into<String>) -> Self {
        Self::default().and("label", label)
    }

    /// Adds one more filter, e.g. `("event", "died")` or `("container", id)`.
    #[must_use]
    pub fn and(mut self, key: &str, value: impl Into<String>) -> Self {
        self.0.entry(key.to_owned()).or_default().push(value.into());
        self
    }

    fn to_json(&self) -> String {
        serde_json::to_string(&self.0).expect("a map of strings is always JSON")
    }
}

/// A request that can be sent again on another connection.
#[derive(Clone)]
pub(crate) struct ApiRequest {
    pub(crate) method: Method,
    /// Path without the version prefix, percent-encoded.
    pub(crate) path: String,
    query: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl ApiRequest {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: String::new(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    pub(crate) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    pub(crate) fn query(mut self, key: &str, value: impl AsRef<str>) -> Self {
        self.query.push(if self.query.is_empty() { '?' } else { '&' });
        self.query.push_str(key);
        self.query.push('=');
        encode_into(&mut self.query, value.as_ref(), "");
        self
    }

    pub(crate) fn flag(self, key: &str, value: bool) -> Self {
        self.query(key, if value { "true" } else { "false" })
    }

    pub(crate) fn query_if(self, key: &str, value: Option<impl AsRef<str>>) -> Self {
        match value {
            Some(value) => self.query(key, value),
            None => self,
        }
    }

    pub(crate) fn filters(self, filters: &Filters) -> Self {
        if filters.0.is_empty() {
            self
        } else {
            self.query("filters", filters.to_json())
        }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// A body of plain bytes.
    pub(crate) fn bytes(mut self, body: Bytes) -> Self {
        self.body = body;
        self.header(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
    }

    pub(crate) fn json(mut self, body: &impl Serialize) -> Self {
        self.body = serde_json::to_vec(body)
            .expect("request bodies have only string keys")
            .into();
        self.header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
    }

    /// Whether sending it twice does no more than sending it once.
    pub(crate) fn is_idempotent(&self) -> bool {
        self.method.is_idempotent()
    }

    pub(crate) fn to_http(&self) -> Request<Full<Bytes>> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(format!("{PREFIX}{}{}", self.path, self.query))
            .header(HOST, "podman")
            .body(Full::new(self.body.clone()))
            .expect("path and query are percent-encoded");
        for (name, value) in &self.headers {
            request.headers_mut().insert(name.clone(), value.clone());
        }
        request
    }
}

/// Encodes one path segment. A slash is encoded too, so a name cannot reach into another path.
pub(crate) fn segment(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    encode_into(&mut out, name, "");
    out
}

/// Encodes an image name, whose slashes, colon and at-sign podman's router wants to see as they are.
pub(crate) fn image_segment(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    encode_into(&mut out, name, "/:@");
    out
}

fn encode_into(out: &mut String, text: &str, keep: &str) {
    for byte in text.bytes() {
        let kept = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep.as_bytes().contains(&byte);
        if kept {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_percent_encoded() {
        let request = ApiRequest::get("/x")
            .query("a", "1 2&b=ü/%+")
            .query_if("none", None::<&str>)
            .flag("f", false)
            .to_http();
        assert_eq!(request.uri(), "/v4.0.0/libpod/x?a=1%202%26b%3D%C3%BC%2F%25%2B&f=false");
    }

    #[test]
    fn filters_are_one_json_map() {
        let filters = Filters::label("a=b").and("label", "c").and("event", "died");
        let request = ApiRequest::get("/events").filters(&filters).to_http();
        assert_eq!(
            request.uri().query(),
            Some("filters=%7B%22event%22%3A%5B%22died%22%5D%2C%22label%22%3A%5B%22a%3Db%22%2C%22c%22%5D%7D")
        );
        assert_eq!(
            ApiRequest::get("/x")
                .filters(&Filters::default())
                .to_http()
                .uri()
                .query(),
            None
        );
    }

    #[test]
    fn a_container_name_cannot_leave_its_segment() {
        assert_eq!(segment("../images/x?y#z"), "..%2Fimages%2Fx%3Fy%23z");
        assert_eq!(
            image_segment("reg.io:5000/a b/c@sha256:0"),
            "reg.io:5000/a%20b/c@sha256:0"
        );
    }
}
