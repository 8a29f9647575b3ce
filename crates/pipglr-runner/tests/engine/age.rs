//! Connections to GitLab that are renewed.

use pipglr_protocol::Secret;
use pipglr_runner::gitlab::{Connection, GitLab, TlsFiles};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Answers every call with 403 on a connection that stays open, and counts connections.
async fn server() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut request = Vec::new();
                let mut buffer = [0; 4096];
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    request.extend_from_slice(&buffer[..read]);
                    // The body is one line of JSON.
                    if request.ends_with(b"}") {
                        request.clear();
                        let answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
                        stream.write_all(answer).await.unwrap();
                    }
                }
            });
        }
    });
    (url, count)
}

#[tokio::test]
async fn connections_are_not_used_for_longer_than_configured() {
    for (max_age, connections) in [
        (None, 1),
        (Some(Duration::from_secs(900)), 1),
        (Some(Duration::ZERO), 3),
    ] {
        let (url, count) = server().await;
        let connection = Connection {
            url,
            tls: TlsFiles::default(),
        };
        let gitlab = GitLab::connect(&connection).unwrap().renewed(&connection, max_age);
        for _ in 0..3 {
            let refused = gitlab.reset_token(&Secret::new("t")).await.unwrap_err();
            assert_eq!(refused.status(), Some(403));
        }
        assert_eq!(count.load(Ordering::SeqCst), connections, "{max_age:?}");
    }
}
