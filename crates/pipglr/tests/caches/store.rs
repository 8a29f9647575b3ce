//! An object store that answers on command.

use pipglr_protocol::Secret;
use pipglr_runner::container_side::helper::SignedRequest;
use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The status of an answer that never comes.
pub(crate) const SILENCE: &str = "";

/// An object store that gives these answers in order, and tells what it was asked.
pub(crate) struct Store {
    pub(crate) address: String,
    pub(crate) requests: Arc<Mutex<Vec<Request>>>,
}

#[derive(Clone, Default)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) headers: Vec<String>,
    pub(crate) body: Vec<u8>,
}

#[derive(Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: &'static str,
    pub(crate) headers: Vec<String>,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn answer(status: &'static str, body: &[u8]) -> Answer {
    Answer {
        status,
        headers: Vec::new(),
        body: body.to_vec(),
    }
}

impl Store {
    pub(crate) fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let (mut answers, seen): (VecDeque<Answer>, _) = (answers.into_iter().collect(), requests.clone());
        std::thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = read_request(&mut stream);
                let head = request.line.starts_with("HEAD ");
                seen.lock().unwrap().push(request);
                // Without an answer the connection is lost.
                let Some(answer) = answers.pop_front() else { continue };
                if answer.status == SILENCE {
                    silent.push(stream);
                    continue;
                }
                let mut text = format!("HTTP/1.1 {}\r\nConnection: close\r\n", answer.status);
                for header in &answer.headers {
                    text.push_str(&format!("{header}\r\n"));
                }
                text.push_str(&format!("Content-Length: {}\r\n\r\n", answer.body.len()));
                stream.write_all(text.as_bytes()).unwrap();
                if !head {
                    // The helper need not read what it has already.
                    let _ = stream.write_all(&answer.body);
                }
            }
        });
        Self { address, requests }
    }

    pub(crate) fn request(&self, query: &str) -> SignedRequest {
        SignedRequest {
            url: Secret::new(format!("http://{}/bucket/object?X-Amz-Signature={query}", self.address)),
            headers: vec![("x-amz-meta-cachekey".to_owned(), "k".to_owned())],
            limit: None,
        }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.requests().into_iter().map(|r| r.line).collect()
    }
}

pub(crate) fn read_request(stream: &mut TcpStream) -> Request {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    };
    let mut request = Request {
        line: line(),
        ..Request::default()
    };
    loop {
        let header = line();
        if header.is_empty() {
            break;
        }
        request.headers.push(header);
    }
    let length = request.headers.iter().find_map(|h| h.strip_prefix("content-length: "));
    request.body = vec![0; length.map_or(0, |l| l.parse().unwrap())];
    reader.read_exact(&mut request.body).unwrap();
    request
}
