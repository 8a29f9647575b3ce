//! Parameters of calls about runners, as GitLab takes them: a JSON body, a form of either kind, or the URL's query.

use super::reply::Refusal;
use axum::body::Bytes;
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse as _;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// What a form says in text and is none.
const SWITCHES: [&str; 3] = ["run_untagged", "locked", "paused"];
const NUMBERS: [&str; 1] = ["maximum_timeout"];

/// The parameters of a call.
#[derive(Debug)]
pub(super) struct Parameters<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Parameters<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let mut form = Form::default();
        form.add_encoded(request.uri().query().unwrap_or_default().as_bytes());
        let kind = request.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let kind = kind.unwrap_or_default().to_ascii_lowercase();
        let mut values = Map::new();
        if kind.starts_with("multipart/form-data") {
            form.add_parts(request, state).await?;
        } else {
            let body = Bytes::from_request(request, state)
                .await
                .map_err(|e| refusal(&e.into_response()))?;
            // Tools say "form" of JSON as well, unless they are told otherwise.
            let is_json = body.trim_ascii_start().starts_with(b"{");
            if is_json {
                values = serde_json::from_slice(&body).map_err(|error| unreadable(&error))?;
            } else if kind.starts_with("application/x-www-form-urlencoded") {
                form.add_encoded(&body);
            } else if !body.is_empty() {
                return Err(Refusal::BadRequest("400 Bad Request"));
            }
        }
        for (name, value) in form.0 {
            values.entry(name).or_insert(value);
        }
        join_tags(&mut values);
        serde_json::from_value(Value::Object(values))
            .map(Self)
            .map_err(|error| unreadable(&error))
    }
}

fn unreadable(error: &serde_json::Error) -> Refusal {
    tracing::debug!(%error, "parameters of the runner API could not be read");
    Refusal::BadRequest("400 Bad Request")
}

fn refusal(rejection: &axum::response::Response) -> Refusal {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Refusal::TooLarge
    } else {
        Refusal::BadRequest("400 Bad Request")
    }
}

/// The fields of a form, put together as JSON would have them.
#[derive(Debug, Default)]
struct Form(Map<String, Value>);

impl Form {
    fn add_encoded(&mut self, text: &[u8]) {
        for (name, value) in form_urlencoded::parse(text) {
            self.add(&name, value.into_owned());
        }
    }

    async fn add_parts<S: Send + Sync>(&mut self, request: Request, state: &S) -> Result<(), Refusal> {
        let wrong = |_| Refusal::BadRequest("400 Bad Request");
        let mut parts = Multipart::from_request(request, state).await.map_err(wrong)?;
        while let Some(part) = parts.next_field().await.map_err(|e| refusal(&e.into_response()))? {
            let name = part.name().unwrap_or_default().to_owned();
            let value = part.text().await.map_err(|e| refusal(&e.into_response()))?;
            self.add(&name, value);
        }
        Ok(())
    }

    /// `name`, `name[]`, or `name[key][key]`.
    fn add(&mut self, name: &str, text: String) {
        let Some((first, rest)) = name.split_once('[') else {
            self.0.insert(name.to_owned(), typed(name, text));
            return;
        };
        let keys: Vec<&str> = rest.split('[').map(|key| key.trim_end_matches(']')).collect();
        let mut place = self.0.entry(first).or_insert(Value::Null);
        for key in keys {
            place = if key.is_empty() {
                if !place.is_array() {
                    *place = Value::Array(Vec::new());
                }
                let list = place.as_array_mut().expect("made above");
                list.push(Value::Null);
                list.last_mut().expect("pushed above")
            } else {
                if !place.is_object() {
                    *place = Value::Object(Map::new());
                }
                let table = place.as_object_mut().expect("made above");
                table.entry(key).or_insert(Value::Null)
            };
        }
        *place = typed(name, text);
    }
}

fn typed(name: &str, text: String) -> Value {
    let is_switch = SWITCHES.contains(&name) || name.starts_with("info[features]");
    if is_switch {
        return Value::Bool(matches!(text.as_str(), "true" | "1" | "t" | "yes" | "on"));
    }
    if NUMBERS.contains(&name) {
        return text.parse::<u64>().map_or(Value::Null, Value::from);
    }
    Value::String(text)
}

/// Tags are a list or one text with commas.
fn join_tags(values: &mut Map<String, Value>) {
    if let Some(tags @ Value::Array(_)) = values.get_mut("tag_list") {
        let texts: Vec<&str> = tags
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        *tags = Value::String(texts.join(","));
    }
}
