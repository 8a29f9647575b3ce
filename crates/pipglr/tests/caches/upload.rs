//! Caches to object storage.

use crate::place::Place;
use crate::store::{SILENCE, Store, answer};
use pipglr_runner::container_side::helper::Phase;
use std::fs;

#[test]
fn uploads_end_as_gitlab_runners_do() {
    let created = "+ Created cache";
    let failed = "! Failed to create cache";
    let retry = "! WARNING: Retrying...  error=received: 500 Internal Server Error";
    let cases: [(&str, &[&str], &[&str]); 4] = [
        ("stored", &["200 OK"], &[created]),
        ("created", &["201 Created"], &[created]),
        (
            "denied",
            &["403 Forbidden"],
            &["!! ERROR: upload the cache: received: 403 Forbidden", failed],
        ),
        (
            "broken, then stored",
            &["500 Internal Server Error", "200 OK"],
            &[retry, created],
        ),
    ];
    for (name, answers, expected) in cases {
        let place = Place::new();
        place.write("file", "content");
        let store = Store::start(answers.iter().map(|status| answer(status, b"")));
        let mut target = place.target("k");
        target.upload = Some(store.request("secret"));
        let log: Vec<String> = place
            .keep(target, &["file"])
            .iter()
            .map(|l| l.replace(&store.address, "STORE"))
            .collect();
        assert_eq!(
            log[2..4],
            [
                "Using presigned URL for cache upload",
                "Uploading cache.zip to http://STORE/bucket/object"
            ],
            "{name}"
        );
        assert_eq!(log[4..], *expected, "{name}");
        let requests = store.requests();
        assert_eq!(requests.len(), answers.len(), "{name}");
        for request in requests {
            assert_eq!(
                request.line, "PUT /bucket/object?X-Amz-Signature=secret HTTP/1.1",
                "{name}"
            );
            for header in ["x-amz-meta-cachekey: k", "content-type: application/octet-stream"] {
                assert!(
                    request.headers.contains(&header.to_owned()),
                    "{name}: {:?}",
                    request.headers
                );
            }
            assert!(
                !request.headers.iter().any(|h| h.starts_with("transfer-encoding")),
                "{name}"
            );
            assert_eq!(request.body, fs::read(place.archive("k")).unwrap(), "{name}");
        }
    }
}

#[test]
fn an_unchanged_archive_is_uploaded_only_if_it_is_missing() {
    for (there, expected) in [
        ("200 OK", "Primary cache already exists remotely, skipping upload"),
        (
            "404 Not Found",
            "Primary cache does not exist remotely, uploading existing archive",
        ),
    ] {
        let place = Place::new();
        place.write("file", "content");
        place.keep(place.target("k"), &["file"]);
        let store = Store::start([answer(there, b""), answer("200 OK", b"")]);
        let mut target = place.target("k");
        target.exists = Some(store.request("head"));
        target.upload = Some(store.request("put"));
        let log = place.keep(target, &["file"]);
        assert_eq!(log[2], expected);
        let head = "HEAD /bucket/object?X-Amz-Signature=head HTTP/1.1";
        let put = "PUT /bucket/object?X-Amz-Signature=put HTTP/1.1";
        let wanted = if there.starts_with("200") {
            vec![head]
        } else {
            vec![head, put]
        };
        assert_eq!(store.lines(), wanted);
    }
}

#[test]
fn archives_over_the_limit_stay_here() {
    for (name, over, uploaded) in [
        ("no limit", None, true),
        ("as large as the limit", Some(0), true),
        ("larger than the limit", Some(1), false),
    ] {
        let place = Place::new();
        place.write("file", "content");
        // The same tree gives the same archive.
        place.keep(place.target("k"), &["file"]);
        let size = fs::metadata(place.archive("k")).unwrap().len();
        fs::remove_file(place.archive("k")).unwrap();
        let store = Store::start([answer("200 OK", b"")]);
        let mut target = place.target("k");
        target.upload = Some(store.request("put"));
        let mut plan = place.archive_plan(target, &["file"]);
        plan.max_upload_bytes = over.map_or(0, |over| size - over);
        let limit = plan.max_upload_bytes;
        let log = place.run(Phase::ArchiveCache(plan));
        let expected = format!(
            "Cache archive size ({size}) is too big (Limit is set to {limit}). Cache will be stored only locally."
        );
        assert_eq!(log.contains(&expected), !uploaded, "{name}: {log:?}");
        assert_eq!(log.last().unwrap(), "+ Created cache", "{name}");
        assert_eq!(store.lines().len(), usize::from(uploaded), "{name}");
        assert!(place.archive("k").exists(), "{name}");
    }
}

#[test]
fn what_the_storage_does_not_take_at_once_stays_here() {
    let place = Place::new();
    place.write("file", "content");
    let store = Store::start([]);
    let mut target = place.target("k");
    target.upload = Some(store.request("put"));
    target.upload.as_mut().unwrap().limit = Some(10);
    let log = place.keep(target, &["file"]);
    let size = fs::metadata(place.archive("k")).unwrap().len();
    let warning = format!(
        "! WARNING: Cache archive size ({size}) is more than the storage takes at once (10). \
         Cache will be stored only locally."
    );
    assert_eq!(log[2..], [warning, "+ Created cache".to_owned()]);
    assert_eq!(store.lines(), Vec::<String>::new());
}

#[test]
fn a_store_that_does_not_answer_is_not_waited_for_beyond_the_time() {
    let place = Place::new();
    place.write("file", "content");
    place.keep(place.target("k"), &["file"]);
    let store = Store::start([answer(SILENCE, b""), answer("200 OK", b"")]);
    let mut target = place.target("k");
    target.exists = Some(store.request("head"));
    target.upload = Some(store.request("put"));
    let mut plan = place.archive_plan(target, &["file"]);
    plan.request_timeout = 1;
    let log = place.run(Phase::ArchiveCache(plan));
    let expected = "Primary cache does not exist remotely, uploading existing archive";
    assert_eq!(
        (log[2].as_str(), log.last().unwrap().as_str()),
        (expected, "+ Created cache")
    );
    assert_eq!(store.lines().len(), 2);
}

#[test]
fn a_temporary_archive_does_not_stay() {
    let place = Place::new();
    place.write("file", "content");
    let store = Store::start([answer("200 OK", b"")]);
    let mut target = place.target("k");
    target.temporary = true;
    target.upload = Some(store.request("put"));
    let log = place.keep(target, &["file"]);
    assert_eq!(log.last().unwrap(), "+ Created cache");
    assert!(!place.archive("k").parent().unwrap().exists());
    assert_eq!(store.lines().len(), 1);
}
