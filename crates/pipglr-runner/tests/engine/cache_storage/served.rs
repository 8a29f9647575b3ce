//! A store of objects in memory, which asks a judge about each request.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use reqwest::{Method, StatusCode};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

/// A request as it came in.
pub(super) struct Asked {
    pub(super) method: Method,
    /// As it was sent.
    pub(super) path: String,
    /// Decoded.
    pub(super) query: BTreeMap<String, String>,
    pub(super) headers: http::HeaderMap,
    pub(super) length: usize,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(super) fn query(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }
}

/// Starts a store; `judge` says what is wrong with a request. Ends with the test's runtime.
pub(super) async fn start(judge: impl Fn(&Asked) -> Result<(), String> + Send + Sync + 'static) -> String {
    let objects = Arc::<Mutex<BTreeMap<String, Bytes>>>::default();
    let judge = Arc::new(judge);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (objects, judge) = (objects.clone(), judge.clone());
            let service = service_fn(move |request: http::Request<Incoming>| {
                let (objects, judge) = (objects.clone(), judge.clone());
                async move {
                    let (status, body) = answer(request, &objects, &*judge).await;
                    let response = http::Response::builder().status(status).body(Full::new(body));
                    Ok::<_, Infallible>(response.unwrap())
                }
            });
            let io = hyper_util::rt::TokioIo::new(stream);
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
        }
    });
    address
}

async fn answer(
    request: http::Request<Incoming>,
    objects: &Mutex<BTreeMap<String, Bytes>>,
    judge: &(impl Fn(&Asked) -> Result<(), String> + Send + Sync),
) -> (StatusCode, Bytes) {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let pairs = parts.uri.query().unwrap_or_default().split('&');
    let query = pairs.filter_map(|pair| pair.split_once('='));
    let asked = Asked {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: query.map(|(name, value)| (decoded(name), decoded(value))).collect(),
        headers: parts.headers,
        length: body.len(),
    };
    if let Err(reason) = judge(&asked) {
        return (StatusCode::FORBIDDEN, Bytes::from(reason));
    }
    let mut objects = objects.lock().unwrap();
    let object = decoded(&asked.path);
    match asked.method {
        Method::PUT => {
            objects.insert(object, body);
            (StatusCode::CREATED, Bytes::new())
        }
        Method::GET | Method::HEAD => match objects.get(&object) {
            Some(body) => (StatusCode::OK, body.clone()),
            None => (StatusCode::NOT_FOUND, Bytes::new()),
        },
        _ => (StatusCode::METHOD_NOT_ALLOWED, Bytes::new()),
    }
}

pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let (digits, after) = rest.split_at(2);
            rest = after;
            bytes.push(u8::from_str_radix(str::from_utf8(digits).unwrap(), 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}
