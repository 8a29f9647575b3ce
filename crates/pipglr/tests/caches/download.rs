//! Caches from object storage.

use crate::place::Place;
use crate::store::{Answer, Store, answer};
use std::fs;
use std::time::{Duration, SystemTime};

/// A cache as another runner stored it.
fn stored(content: &str) -> Vec<u8> {
    let place = Place::new();
    place.write("file", content);
    place.keep(place.target("k"), &["file"]);
    fs::read(place.archive("k")).unwrap()
}

/// Name, the store's answers, the end of the log, the restored file.
type DownloadCase<'a> = (&'a str, Vec<Answer>, &'a [&'a str], Option<&'a str>);

#[test]
fn downloads_end_as_gitlab_runners_do() {
    let denied = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
    let found = Answer {
        headers: vec![
            "Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT".to_owned(),
            "ETag: \"e1\"".to_owned(),
        ],
        ..answer("200 OK", &stored("remote"))
    };
    let downloading = "Downloading cache.zip from http://STORE/bucket/object  etag=\"e1\"";
    let failed = "! Failed to extract cache";
    let retry = "! WARNING: Retrying...  error=received: 503 Service Unavailable";
    let cases: [DownloadCase<'_>; 5] = [
        (
            "found",
            vec![found.clone()],
            &[downloading, "+ Successfully extracted cache"],
            Some("remote"),
        ),
        (
            "missing",
            vec![answer("404 Not Found", b"")],
            &["! WARNING: file does not exist", failed],
            None,
        ),
        (
            "denied",
            vec![answer("403 Forbidden", denied)],
            &[
                "! WARNING: received: 403 Forbidden. Request failed with code: AccessDenied, message: Access Denied",
                failed,
            ],
            None,
        ),
        (
            "unavailable, then found",
            vec![answer("503 Service Unavailable", b""), found.clone()],
            &[retry, downloading, "+ Successfully extracted cache"],
            Some("remote"),
        ),
        (
            "unavailable for good",
            vec![answer("503 Service Unavailable", b""); 3],
            &[retry, retry, "! WARNING: received: 503 Service Unavailable", failed],
            None,
        ),
    ];
    cases.into_iter().for_each(check_download);
}

fn check_download((name, answers, expected, content): DownloadCase<'_>) {
    let (place, tries) = (Place::new(), answers.len());
    let store = Store::start(answers);
    let mut source = place.source("k");
    source.download = Some(store.request("secret"));
    let log: Vec<String> = place
        .restore(vec![source])
        .iter()
        .map(|l| l.replace(&store.address, "STORE"))
        .collect();
    assert_eq!(
        log[..2],
        ["+ Checking cache for k...", "Using presigned URL for cache download"],
        "{name}"
    );
    assert_eq!(log[2..], *expected, "{name}");
    assert_eq!(place.read("file").as_deref(), content, "{name}");
    let line = "GET /bucket/object?X-Amz-Signature=secret HTTP/1.1";
    assert_eq!(store.lines(), vec![line; tries], "{name}");
    assert!(
        store.requests()[0]
            .headers
            .contains(&"x-amz-meta-cachekey: k".to_owned()),
        "{name}"
    );
    if content.is_some() {
        // The time of the object becomes the archive's: it is not fetched again.
        let modified = fs::metadata(place.archive("k")).unwrap().modified().unwrap();
        assert_eq!(
            modified,
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_445_412_480),
            "{name}"
        );
    }
}

#[test]
fn an_archive_that_is_here_is_not_fetched_again() {
    let place = Place::new();
    place.write("file", "local");
    place.keep(place.target("k"), &["file"]);
    place.empty_project();
    let store = Store::start([Answer {
        headers: vec!["Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT".to_owned()],
        ..answer("200 OK", &stored("remote"))
    }]);
    let mut source = place.source("k");
    source.download = Some(store.request("s"));
    let log = place.restore(vec![source]);
    assert_eq!(log[2..], ["cache.zip is up to date", "+ Successfully extracted cache"]);
    assert_eq!(place.read("file").as_deref(), Some("local"));
}
