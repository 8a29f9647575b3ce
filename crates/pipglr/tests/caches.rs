//! `pipglr helper` restoring and keeping caches on plain directories, and with an object store that answers on command.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like the tests themselves")]

use pipglr_protocol::Secret;
use pipglr_runner::container_side::helper::{
    ArchiveEntry, ArchivePlan, CacheSource, CacheTarget, HelperPlan, Notice, Phase, RestoreEntry, RestorePlan,
    SignedRequest,
};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// A project directory and a directory for caches.
struct Place {
    root: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("project")).unwrap();
        Self { root }
    }

    fn project(&self) -> PathBuf {
        self.root.path().join("project")
    }

    fn archive(&self, key: &str) -> PathBuf {
        self.root.path().join("cache").join(key).join("cache.zip")
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.project().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.project().join(path)).ok()
    }

    fn empty_project(&self) {
        fs::remove_dir_all(self.project()).unwrap();
        fs::create_dir(self.project()).unwrap();
    }

    fn text(&self, path: &Path) -> String {
        path.to_str().unwrap().to_owned()
    }

    fn target(&self, key: &str) -> CacheTarget {
        CacheTarget {
            key: key.to_owned(),
            archive: self.text(&self.archive(key)),
            ..CacheTarget::default()
        }
    }

    fn source(&self, key: &str) -> CacheSource {
        CacheSource {
            key: key.to_owned(),
            archive: self.text(&self.archive(key)),
            ..CacheSource::default()
        }
    }

    fn archive_plan(&self, target: CacheTarget, paths: &[&str]) -> ArchivePlan {
        ArchivePlan {
            stage: "archive_cache".to_owned(),
            project_dir: self.text(&self.project()),
            entries: vec![ArchiveEntry {
                target: Some(target),
                paths: paths.iter().map(|p| (*p).to_owned()).collect(),
                ..ArchiveEntry::default()
            }],
            request_timeout: 60,
            ..ArchivePlan::default()
        }
    }

    fn keep(&self, target: CacheTarget, paths: &[&str]) -> Vec<String> {
        self.run(Phase::ArchiveCache(self.archive_plan(target, paths)))
    }

    fn restore(&self, sources: Vec<CacheSource>) -> Vec<String> {
        self.run(Phase::RestoreCache(self.restore_plan(sources)))
    }

    fn restore_plan(&self, sources: Vec<CacheSource>) -> RestorePlan {
        RestorePlan {
            project_dir: self.text(&self.project()),
            entries: vec![RestoreEntry {
                sources,
                ..RestoreEntry::default()
            }],
            attempts: 1,
            request_timeout: 60,
            ca: None,
        }
    }

    /// Runs the helper, which must succeed, and gives its output without colours and markers.
    fn run(&self, phase: Phase) -> Vec<String> {
        let plan = HelperPlan {
            nonce: "n".to_owned(),
            environment: vec![("DIRECTORY".to_owned(), Secret::new("vendor"))],
            phases: vec![phase],
            ..HelperPlan::default()
        };
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_pipglr"))
            .arg("helper")
            .env_remove("http_proxy")
            .stdin(Stdio::piped())
            .stdout(writer.try_clone().unwrap())
            .stderr(writer)
            .spawn()
            .unwrap();
        let mut line = serde_json::to_vec(&plan).unwrap();
        line.push(b'\n');
        child.stdin.take().unwrap().write_all(&line).unwrap();
        let mut output = String::new();
        reader.read_to_string(&mut output).unwrap();
        assert!(child.wait().unwrap().success(), "{output}");
        let plain = output.replace("\x1b[0;m", "").replace("\x1b[32;1m", "+ ");
        let plain = plain.replace("\x1b[0;33m", "! ").replace("\x1b[31;1m", "!! ");
        let root = self.root.path().display().to_string();
        plain
            .lines()
            .filter(|l| !l.starts_with('\x1e'))
            .map(|l| l.replace(&root, "ROOT"))
            .collect()
    }
}

const NO_URL_DOWN: &str = "No URL provided, cache will not be downloaded from shared cache server. \
                           Instead a local version of cache will be extracted.";
const NO_URL_UP: &str =
    "No URL provided, cache will not be uploaded to shared cache server. Cache will be stored only locally.";

#[test]
fn what_was_kept_is_restored() {
    let place = Place::new();
    place.write("vendor/deep/file", "content");
    place.write("other", "not cached");
    symlink("deep/file", place.project().join("vendor/link")).unwrap();
    let kept = place.keep(place.target("a/key"), &["$DIRECTORY/"]);
    assert_eq!(
        kept,
        [
            "+ Creating cache a/key...",
            "vendor: found 4 matching artifact files and directories",
            NO_URL_UP,
            "+ Created cache"
        ]
    );
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let archive = place.archive("a/key");
    assert_eq!((mode(&archive), mode(archive.parent().unwrap())), (0o600, 0o700));
    let metadata = archive.with_file_name("metadata.json");
    assert_eq!(mode(&metadata), 0o640);
    assert_eq!(fs::read_to_string(metadata).unwrap(), r#"{"cachekey":"a/key"}"#);

    place.empty_project();
    let restored = place.restore(vec![place.source("a/key")]);
    assert_eq!(
        restored,
        [
            "+ Checking cache for a/key...",
            NO_URL_DOWN,
            "+ Successfully extracted cache"
        ]
    );
    assert_eq!(place.read("vendor/link").as_deref(), Some("content"));
    assert_eq!(place.read("other"), None);
}

#[test]
fn keys_are_tried_in_order_until_one_is_there() {
    let place = Place::new();
    place.write("file", "from b");
    place.keep(place.target("b"), &["file"]);
    place.keep(place.target("c"), &["file"]);
    place.empty_project();
    let sources = ["a", "b", "c"].map(|key| place.source(key)).to_vec();
    assert_eq!(
        place.restore(sources),
        [
            "+ Checking cache for a...",
            NO_URL_DOWN,
            "! WARNING: Cache file does not exist",
            "! Failed to extract cache",
            "+ Checking cache for b...",
            NO_URL_DOWN,
            "+ Successfully extracted cache"
        ]
    );
    assert_eq!(place.read("file").as_deref(), Some("from b"));
}

#[test]
fn notices_come_first_and_entries_without_keys_do_nothing() {
    let place = Place::new();
    let notices = vec![
        Notice::Caution("changed".to_owned()),
        Notice::Info("skipped".to_owned()),
    ];
    let restore = RestorePlan {
        entries: vec![RestoreEntry {
            notices: notices.clone(),
            ..RestoreEntry::default()
        }],
        ..RestorePlan::default()
    };
    assert_eq!(place.run(Phase::RestoreCache(restore)), ["! changed", "+ skipped"]);
    let archive = ArchivePlan {
        entries: vec![ArchiveEntry {
            notices,
            ..ArchiveEntry::default()
        }],
        ..ArchivePlan::default()
    };
    assert_eq!(place.run(Phase::ArchiveCache(archive)), ["! changed", "+ skipped"]);
}

#[test]
fn an_unchanged_tree_keeps_its_archive() {
    let place = Place::new();
    place.write("dir/a", "1");
    place.write("dir/b", "1");
    place.keep(place.target("k"), &["dir"]);
    // (what is done to the tree, whether the archive is made anew)
    type Change = fn(&Place);
    let changes: [(&str, Change, bool); 3] = [
        ("nothing", |_| {}, false),
        ("a changed file", |p| p.write("dir/a", "2"), true),
        (
            "a removed file",
            |p| fs::remove_file(p.project().join("dir/b")).unwrap(),
            true,
        ),
    ];
    for (name, change, anew) in changes {
        // Times of files are compared: what was archived lies in the past, what changes now is newer.
        let archive = File::options().write(true).open(place.archive("k")).unwrap();
        let past = SystemTime::now() - Duration::from_secs(100);
        archive.set_modified(past).unwrap();
        for path in ["dir/a", "dir/b", "dir"] {
            if let Ok(file) = File::open(place.project().join(path)) {
                file.set_modified(past - Duration::from_secs(100)).unwrap();
            }
        }
        change(&place);
        let log = place.keep(place.target("k"), &["dir"]);
        assert_eq!(
            log.contains(&"Archive is up to date!".to_owned()),
            !anew,
            "{name}: {log:?}"
        );
        let modified = fs::metadata(place.archive("k")).unwrap().modified().unwrap();
        assert_eq!(modified > past + Duration::from_secs(1), anew, "{name}");
    }
    let restored = Place::new();
    fs::create_dir_all(restored.archive("k").parent().unwrap()).unwrap();
    fs::copy(place.archive("k"), restored.archive("k")).unwrap();
    restored.restore(vec![restored.source("k")]);
    let log = restored.keep(restored.target("k"), &["dir"]);
    assert!(
        log.contains(&"Archive is up to date!".to_owned()),
        "a restored tree: {log:?}"
    );
    assert_eq!(
        (restored.read("dir/a").as_deref(), restored.read("dir/b")),
        (Some("2"), None)
    );
}

#[test]
fn nothing_to_keep_is_no_failure() {
    let place = Place::new();
    assert_eq!(
        place.keep(place.target("k"), &["nowhere"]),
        [
            "+ Creating cache k...",
            "! WARNING: nowhere: no matching files. Ensure that the artifact path is relative to the working directory (ROOT/project)",
            "! WARNING: No files to cache.",
            "+ Created cache"
        ]
    );
    assert!(!place.archive("k").exists());
}

#[test]
fn a_failure_is_said_and_fails_nothing() {
    let place = Place::new();
    place.write("file", "x");
    fs::write(place.root.path().join("cache"), "in the way").unwrap();
    let log = place.keep(place.target("k"), &["file"]);
    assert!(log[2].starts_with("!! ERROR: create ROOT/cache/k: "), "{log:?}");
    assert_eq!(log[3..], ["! Failed to create cache"]);

    let place = Place::new();
    fs::create_dir_all(place.archive("k").parent().unwrap()).unwrap();
    fs::write(place.archive("k"), "PK is not enough").unwrap();
    let log = place.restore(vec![place.source("k")]);
    assert!(log[2].starts_with("!! ERROR: unpack the cache: "), "{log:?}");
    assert_eq!(log[3..], ["! Failed to extract cache"]);
}

#[test]
fn a_cache_cannot_be_unpacked_through_a_link() {
    let place = Place::new();
    place.write("dir/file", "from the cache");
    place.keep(place.target("k"), &["dir/file"]);
    place.empty_project();
    let outside = place.root.path().join("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, place.project().join("dir")).unwrap();
    let log = place.restore(vec![place.source("k")]);
    assert_eq!(log.last().unwrap(), "! Failed to extract cache", "{log:?}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn a_failed_try_is_cleaned_up_if_asked() {
    let place = Place::new();
    place.write("dir/file", "half of it");
    place.write("kept", "x");
    let mut plan = place.restore_plan(vec![place.source("k")]);
    plan.entries[0].remove_after_failure = vec!["dir".to_owned(), "../cache".to_owned()];
    fs::create_dir(place.root.path().join("cache")).unwrap();
    let log = place.run(Phase::RestoreCache(plan));
    assert_eq!(
        log[3..],
        ["! Failed to extract cache", "Removing dir"].map(str::to_owned)[..].to_vec(),
        "{log:?}"
    );
    assert_eq!(
        (place.read("dir/file"), place.read("kept").as_deref()),
        (None, Some("x"))
    );
    assert!(place.root.path().join("cache").exists());
}

#[test]
fn formats_that_cannot_be_written_are_named() {
    for (format, warns) in [("", false), ("ZIP", false), ("tarzstd", true)] {
        let place = Place::new();
        place.write("file", "x");
        let mut plan = place.archive_plan(place.target("k"), &["file"]);
        plan.format = format.to_owned();
        plan.compression = "fastest".to_owned();
        let log = place.run(Phase::ArchiveCache(plan));
        let warning = "! WARNING: CACHE_COMPRESSION_FORMAT \"tarzstd\" is not supported, zip is used".to_owned();
        assert_eq!(log.contains(&warning), warns, "{format}: {log:?}");
        assert_eq!(log.last().unwrap(), "+ Created cache");
    }
}

#[test]
fn untracked_files_are_kept() {
    let place = Place::new();
    place.write("tracked", "x");
    place.write("untracked", "y");
    let git = |arguments: &[&str]| {
        let status = Command::new("git")
            .args(arguments)
            .current_dir(place.project())
            .status();
        assert!(status.unwrap().success());
    };
    git(&["init", "--quiet"]);
    git(&["add", "tracked"]);
    let mut plan = place.archive_plan(place.target("k"), &[]);
    plan.entries[0].untracked = true;
    let log = place.run(Phase::ArchiveCache(plan));
    assert_eq!(log[1], "untracked: found 1 files", "{log:?}");
    place.empty_project();
    place.restore(vec![place.source("k")]);
    assert_eq!(
        (place.read("tracked"), place.read("untracked").as_deref()),
        (None, Some("y"))
    );
}

/// An object store that gives these answers in order, and tells what it was asked.
struct Store {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

#[derive(Clone, Default)]
struct Request {
    line: String,
    headers: Vec<String>,
    body: Vec<u8>,
}

#[derive(Clone, Default)]
struct Answer {
    status: &'static str,
    headers: Vec<String>,
    body: Vec<u8>,
}

fn answer(status: &'static str, body: &[u8]) -> Answer {
    Answer {
        status,
        headers: Vec::new(),
        body: body.to_vec(),
    }
}

impl Store {
    fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let (mut answers, seen): (VecDeque<Answer>, _) = (answers.into_iter().collect(), requests.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = read_request(&mut stream);
                let head = request.line.starts_with("HEAD ");
                seen.lock().unwrap().push(request);
                // Without an answer the connection is lost.
                let Some(answer) = answers.pop_front() else { continue };
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

    fn request(&self, query: &str) -> SignedRequest {
        SignedRequest {
            url: Secret::new(format!("http://{}/bucket/object?X-Amz-Signature={query}", self.address)),
            headers: vec![("x-amz-meta-cachekey".to_owned(), "k".to_owned())],
        }
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    fn lines(&self) -> Vec<String> {
        self.requests().into_iter().map(|r| r.line).collect()
    }
}

fn read_request(stream: &mut TcpStream) -> Request {
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
fn a_large_archive_stays_here() {
    let place = Place::new();
    place.write("file", "content");
    let store = Store::start([]);
    let mut target = place.target("k");
    target.upload = Some(store.request("put"));
    let mut plan = place.archive_plan(target, &["file"]);
    plan.max_upload_bytes = 10;
    let log = place.run(Phase::ArchiveCache(plan));
    let size = fs::metadata(place.archive("k")).unwrap().len();
    assert_eq!(
        log[2..],
        [
            format!("Cache archive size ({size}) is too big (Limit is set to 10). Cache will be stored only locally."),
            "+ Created cache".to_owned()
        ]
    );
    assert_eq!(store.lines(), Vec::<String>::new());
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
