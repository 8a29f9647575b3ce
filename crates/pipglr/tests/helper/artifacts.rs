//! Artifacts on their way to the coordinator and back, as helper processes carry them.

use crate::support::{Ran, Workshop, files_below, names_in};
use pipglr_protocol::Secret;
use pipglr_protocol::payload::{Artifact, JobId};
use pipglr_runner::container_side::helper::{
    CoordinatorAccess, Download, DownloadsPlan, HelperPlan, Pauses, Phase, ProvenancePlan, UploadsPlan,
};
use pipglr_testkit::Gate;
use pipglr_testkit::gitlab::{Answer, Endpoint, FakeGitLab, JobBuilder, Record, Request, Upload};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const JOB: u64 = 71;
const TOKEN: &str = "glcbt-64_job71token";
/// The job artifacts come from.
const EARLIER: u64 = 7;
const EARLIER_TOKEN: &str = "glcbt-64_earlier";
const AT_ONCE: Pauses = Pauses {
    first_ms: 1,
    longest_ms: 1,
};
/// Longer than any test: whoever waits for it is found out.
const NEVER: Pauses = Pauses {
    first_ms: 3_600_000,
    longest_ms: 3_600_000,
};

struct Place {
    workshop: Workshop,
    gitlab: FakeGitLab,
}

impl Place {
    /// A project with `file` and `dir/other`, of a running job.
    async fn open() -> Self {
        let place = Self {
            workshop: Workshop::open().await,
            gitlab: FakeGitLab::start().await,
        };
        place.gitlab.assign_running(JobBuilder::new(JOB));
        place.write("file", "one\n");
        place.write("dir/other", "two\n");
        place
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.workshop.project().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.workshop.project().join(path)).ok()
    }

    fn coordinator(&self) -> CoordinatorAccess {
        CoordinatorAccess {
            url: self.gitlab.url(),
            ..CoordinatorAccess::default()
        }
    }

    fn uploads(&self, artifacts: Vec<Artifact>) -> UploadsPlan {
        UploadsPlan {
            stage: "upload_artifacts_on_success".to_owned(),
            coordinator: self.coordinator(),
            project_dir: self.workshop.project().display().to_string(),
            job: JobId(JOB),
            token: Secret::new(TOKEN),
            artifacts,
            timeout: 60,
            response_header_timeout: 60,
            pauses: AT_ONCE,
            ..UploadsPlan::default()
        }
    }

    fn downloads(&self) -> DownloadsPlan {
        DownloadsPlan {
            coordinator: self.coordinator(),
            project_dir: self.workshop.project().display().to_string(),
            staging_dir: self.workshop.temp().display().to_string(),
            downloads: vec![Download {
                job: JobId(EARLIER),
                name: "earlier".to_owned(),
                token: Secret::new(EARLIER_TOKEN),
            }],
            attempts: 1,
            direct: true,
            pauses: AT_ONCE,
        }
    }

    async fn run(&self, phase: Phase) -> Ran {
        let plan = HelperPlan {
            phases: vec![phase],
            ..self.workshop.helper_plan()
        };
        self.workshop.run(plan).await
    }

    async fn upload(&self, plan: UploadsPlan) -> Ran {
        self.run(Phase::UploadArtifacts(plan)).await
    }

    async fn download(&self, plan: DownloadsPlan) -> Ran {
        self.run(Phase::DownloadArtifacts(plan)).await
    }

    /// What the coordinator took of the job.
    fn taken(&self) -> Vec<Upload> {
        self.gitlab.record().jobs[&JOB].uploads.clone()
    }

    fn requests(&self, endpoint: Endpoint) -> Vec<Request> {
        let record: Record = self.gitlab.record();
        record.calls(endpoint).cloned().collect()
    }

    /// The archive of `file` and `dir` is what the earlier job has; the project is empty again.
    async fn with_archive(&self, format: &str) {
        let archive = Artifact {
            artifact_format: format.to_owned(),
            ..artifact(&["*"])
        };
        self.upload(self.uploads(vec![archive])).await.assert_code(0);
        let content = self.taken().pop().unwrap().content;
        self.gitlab.store_artifacts(EARLIER, EARLIER_TOKEN, &content);
        fs::remove_dir_all(self.workshop.project()).unwrap();
    }
}

fn artifact(paths: &[&str]) -> Artifact {
    Artifact {
        paths: paths.iter().map(|p| (*p).to_owned()).collect(),
        artifact_type: "archive".to_owned(),
        artifact_format: "zip".to_owned(),
        ..Artifact::default()
    }
}

/// Answers before the usual one, exit code, requests, parts of the log.
type Case<'a> = (&'a str, Vec<Answer>, i32, usize, &'a [&'a str]);

async fn check_upload((name, answers, code, requests, parts): Case<'_>) {
    let place = Place::open().await;
    for answer in answers {
        place.gitlab.answer(Endpoint::Upload, answer);
    }
    let ran = place.upload(place.uploads(vec![artifact(&["file"])])).await;
    assert_eq!(ran.code, code, "{name}:\n{}", ran.text);
    ran.assert_has(parts);
    assert_eq!(place.requests(Endpoint::Upload).len(), requests, "{name}");
    assert_eq!(place.taken().len(), usize::from(code == 0), "{name}");
    assert_eq!(place.gitlab.record().violations, Vec::<String>::new(), "{name}");
    ran.assert_lacks(TOKEN);
}

#[tokio::test]
async fn uploads_end_as_the_coordinator_says() {
    let status = Answer::status;
    let retrying = "WARNING: Retrying...                                context=artifacts-uploader error=";
    let retry_503 = format!("{retrying}503 Service Unavailable\n");
    let what = "Uploading artifacts as \"archive\" to coordinator...";
    let facts = |code: &str| format!("http_status_code={code} id=71 token=64_job71t");
    let created = format!("{what} 201 Created  {}\n", facts("201"));
    let refused = |status: &str, why: &str| format!("ERROR: {what} {status}  {}\nFATAL: {why}\n", facts(&status[..3]));
    let forbidden = refused("403 Forbidden", "permission denied");
    let too_large = refused("413 Request Entity Too Large", "too large");
    let cases: [Case<'_>; 10] = [
        ("201", vec![], 0, 1, &["Uploading artifacts...\n", &created]),
        ("403", vec![status(403)], 1, 1, &[&forbidden]),
        ("413", vec![status(413)], 1, 1, &[&too_large]),
        (
            "500 twice",
            vec![status(500), status(500)],
            0,
            3,
            &["WARNING: Uploading", retrying, &created],
        ),
        (
            "500 thrice",
            vec![status(500); 3],
            1,
            3,
            &[retrying, "FATAL: 500 Internal Server Error\n"],
        ),
        (
            "503 five times",
            vec![status(503); 5],
            0,
            6,
            &["ERROR: Uploading", &retry_503, &created],
        ),
        ("503 six times", vec![status(503); 6], 1, 6, &["FATAL: 503 Service"]),
        ("429", vec![status(429); 5], 0, 6, &["429 Too Many Requests", &created]),
        (
            "connection lost",
            vec![Answer::drop_read(), Answer::drop_unread()],
            0,
            3,
            &["coordinator... error", &created],
        ),
        (
            "answer of no use",
            vec![status(200); 3],
            1,
            3,
            &["WARNING: Uploading", "FATAL: 200 OK\n"],
        ),
    ];
    for case in cases {
        check_upload(case).await;
    }
}

#[tokio::test]
async fn the_coordinator_says_when_to_try_again() {
    let place = Place::open().await;
    for status in [429, 503, 500] {
        place
            .gitlab
            .answer(Endpoint::Upload, Answer::status(status).header("Retry-After", "0"));
        place
            .gitlab
            .answer(Endpoint::Download, Answer::status(status).header("Retry-After", "0"));
    }
    let mut plan = place.uploads(vec![artifact(&["file"])]);
    plan.pauses = NEVER;
    // Three tries are allowed for 500, more for the others.
    let ran = place.upload(plan).await;
    ran.assert_code(1).assert_has(&["FATAL: 500"]);
    assert_eq!(place.requests(Endpoint::Upload).len(), 3);
    let mut plan = place.downloads();
    plan.pauses = NEVER;
    place.download(plan).await.assert_code(1);
    assert_eq!(place.requests(Endpoint::Download).len(), 3);
}

#[tokio::test]
async fn an_answer_has_its_own_time_limit() {
    let place = Place::open().await;
    let never = Gate::closed();
    place.gitlab.answer(Endpoint::Upload, Answer::usual().held(&never));
    let mut plan = place.uploads(vec![artifact(&["file"])]);
    plan.response_header_timeout = 1;
    let ran = place.upload(plan).await;
    ran.assert_code(0)
        .assert_has(&["error=no answer within 1 s of the whole archive", "201 Created"]);
}

#[tokio::test]
async fn redirected_uploads_take_the_token_along_on_their_server_only() {
    for status in [307, 308] {
        let place = Place::open().await;
        let path = format!("/api/v4/jobs/{JOB}/artifacts?artifact_type=archive&artifact_format=zip");
        let answer = Answer::status(status).header("location", &path);
        place.gitlab.answer(Endpoint::Upload, answer);
        let ran = place.upload(place.uploads(vec![artifact(&["file"])])).await;
        ran.assert_code(0)
            .assert_has(&[
                "WARNING: Upload request redirected",
                "location=http://127.0.0.1:",
                "201 Created",
            ])
            .assert_lacks("Retrying");
        let tokens: Vec<String> = place
            .requests(Endpoint::Upload)
            .iter()
            .map(|r| r.header("job-token").to_owned())
            .collect();
        assert_eq!(tokens, [TOKEN, TOKEN]);
        assert_eq!(place.taken().len(), 1);

        let elsewhere = FakeGitLab::start().await;
        let answer = Answer::status(status).header("location", &format!("{}{path}", elsewhere.url()));
        place.gitlab.answer(Endpoint::Upload, answer);
        place
            .upload(place.uploads(vec![artifact(&["file"])]))
            .await
            .assert_code(1);
        let seen: Vec<Request> = elsewhere.record().calls(Endpoint::Upload).cloned().collect();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].header("job-token"), "");
        assert!(!seen[0].body.is_empty());
    }
}

#[tokio::test]
async fn redirects_lead_somewhere_and_come_to_an_end() {
    let place = Place::open().await;
    place.gitlab.answer_times(Endpoint::Upload, 3, Answer::status(307));
    let ran = place.upload(place.uploads(vec![artifact(&["file"])])).await;
    ran.assert_code(1).assert_has(&["FATAL: 307 Temporary Redirect"]);
    let again = Answer::status(307).header("location", &format!("/api/v4/jobs/{JOB}/artifacts"));
    place.gitlab.answer_times(Endpoint::Upload, 50, again);
    let ran = place.upload(place.uploads(vec![artifact(&["file"])])).await;
    ran.assert_code(1).assert_has(&["FATAL: too many redirects"]);
    assert_eq!(place.requests(Endpoint::Upload).len(), 3 + 11);
}

#[tokio::test]
async fn every_entry_is_an_upload_of_its_own() {
    let place = Place::open().await;
    let entry = |name: &str, kind: &str, format: &str, paths: &[&str]| Artifact {
        name: name.to_owned(),
        artifact_type: kind.to_owned(),
        artifact_format: format.to_owned(),
        expire_in: "1 week".to_owned(),
        ..artifact(paths)
    };
    let entries = vec![
        entry("", "archive", "zip", &["dir"]),
        entry("junit.xml", "junit", "gzip", &["file", "dir/other"]),
        entry("$CI_NAME/dotenv", "dotenv", "raw", &["file"]),
        Artifact {
            expire_in: String::new(),
            ..entry("plain", "", "", &["file"])
        },
    ];
    let ran = place.upload(place.uploads(entries)).await;
    ran.assert_code(0).assert_has(&[
        "Uploading artifacts as \"archive\" to coordinator...",
        "Uploading artifacts as \"junit\" to coordinator...",
        "Uploading artifacts as \"dotenv\" to coordinator...",
        "Uploading artifacts to coordinator...",
    ]);
    let sent: Vec<(String, Value)> = place
        .taken()
        .iter()
        .map(|u| (u.file_name.clone(), json!(u.query)))
        .collect();
    let query =
        |kind: &str, format: &str| json!({"artifact_type": kind, "artifact_format": format, "expire_in": "1 week"});
    assert_eq!(
        sent,
        [
            ("artifacts.zip".to_owned(), query("archive", "zip")),
            ("junit.xml.gz".to_owned(), query("junit", "gzip")),
            ("dotenv".to_owned(), query("dotenv", "raw")),
            ("plain.zip".to_owned(), json!({})),
        ]
    );
    let taken = place.taken();
    assert_eq!(taken[2].content, b"one\n");
    assert!(taken[1].content.starts_with(&[0x1f, 0x8b]));
}

#[tokio::test]
async fn what_does_not_fit_its_format_fails_and_ends_the_stage() {
    for (format, paths, reason) in [
        (
            "raw",
            vec!["file", "dir/other"],
            "FATAL: exactly one file can be stored raw, not 2",
        ),
        ("gzip", vec!["dir"], "FATAL: `dir` is not a regular file"),
        (
            "rar",
            vec!["file"],
            "artifact format \"rar\" is not supported: use zip, zipzstd, tarzstd, gzip or raw",
        ),
    ] {
        let place = Place::open().await;
        let wrong = Artifact {
            artifact_format: format.to_owned(),
            ..artifact(&paths)
        };
        let ran = place.upload(place.uploads(vec![wrong, artifact(&["file"])])).await;
        ran.assert_code(1).assert_has(&[reason]);
        assert_eq!(place.taken(), [], "{format}");
    }
}

#[tokio::test]
async fn nothing_to_upload_is_no_failure() {
    for entry in [
        artifact(&["missing"]),
        Artifact {
            exclude: vec!["file".to_owned()],
            ..artifact(&[])
        },
        Artifact {
            exclude: vec!["**".to_owned()],
            ..artifact(&["file"])
        },
    ] {
        let place = Place::open().await;
        let ran = place.upload(place.uploads(vec![entry])).await;
        ran.assert_code(0).assert_has(&["ERROR: No files to upload\n"]);
        assert_eq!(place.requests(Endpoint::Upload).len(), 0);
    }
}

#[tokio::test]
async fn files_are_chosen_as_their_author_says() {
    let mut place = Place::open().await;
    let project = place.workshop.project();
    place.write(".gitignore", "ignored\n");
    place.write("ignored", "x");
    place.write("dir/no", "x");
    place.workshop.environment = vec![("DIRECTORY".to_owned(), "dir".to_owned())];
    place.workshop.git(&["init", "--quiet"]);
    place.workshop.git(&["add", "file", "dir", ".gitignore"]);
    let entry = Artifact {
        exclude: vec!["**/no".to_owned()],
        untracked: true,
        ..artifact(&["${DIRECTORY}/*", "nothing*", "../outside", "", "[", "$(id)"])
    };
    let ran = place.upload(place.uploads(vec![entry])).await;
    let missing = format!(
        "WARNING: nothing*: no matching files. Ensure that the artifact path is relative to the working directory ({})",
        project.display()
    );
    ran.assert_code(0).assert_has(&[
        "dir/*: found 1 matching artifact files and directories\n",
        &missing,
        "WARNING: artifact path is not a subpath of project directory: ../outside",
        "WARNING: No matching files. Path is empty.",
        "WARNING: [: ",
        "WARNING: invalid path \"$(id)\": command substitution is not allowed",
        "**/no: excluded 1 files\n",
        "untracked: found 1 files\n",
    ]);
    place
        .gitlab
        .store_artifacts(EARLIER, EARLIER_TOKEN, &place.taken()[0].content);
    fs::remove_dir_all(&project).unwrap();
    place.download(place.downloads()).await.assert_code(0);
    assert_eq!(names_in(&project), ["dir", "ignored"]);
    assert_eq!(names_in(&project.join("dir")), ["other"]);
}

#[tokio::test]
async fn untracked_files_are_found_without_running_what_the_job_configured() {
    let place = Place::open().await;
    let mark = place.workshop.directory.path().join("configured-ran");
    let program = format!("touch {}; false", mark.display());
    place.workshop.git(&["init", "--quiet"]);
    place.workshop.git(&["add", "file", "dir"]);
    place.workshop.git(&["commit", "--quiet", "-m", "all"]);
    place
        .workshop
        .git(&["sparse-checkout", "set", "--cone", "--sparse-index"]);
    // Without this object git cannot read its index, and would ask for it.
    let lost = place.workshop.git(&["rev-parse", "HEAD:dir"]);
    let (start, rest) = lost.trim().split_at(2);
    fs::remove_file(place.workshop.project().join(".git/objects").join(start).join(rest)).unwrap();
    place.write("dir/new", "x");
    let remote = format!("ext::{}", program.replace("; false", "").replace(' ', "% "));
    for (key, value) in [
        ("core.fsmonitor", program.as_str()),
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "origin"),
        ("protocol.ext.allow", "always"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.url", &remote),
    ] {
        place.workshop.git(&["config", key, value]);
    }
    if mark.exists() {
        fs::remove_file(&mark).unwrap();
    }
    let entry = Artifact {
        untracked: true,
        ..artifact(&[])
    };
    let ran = place.upload(place.uploads(vec![entry])).await;
    ran.assert_code(0).assert_has(&["untracked: found 1 files\n"]);
    assert!(!mark.exists(), "what the job configured was run");
}

#[tokio::test]
async fn a_statement_of_provenance_is_added_if_wanted() {
    let place = Place::open().await;
    let outside = place.workshop.directory.path().join("outside");
    fs::write(&outside, "untouched").unwrap();
    std::os::unix::fs::symlink(&outside, place.workshop.project().join("release-metadata.json")).unwrap();
    let entry = |format: &str| Artifact {
        name: "x/release".to_owned(),
        artifact_format: format.to_owned(),
        ..artifact(&["file", "dir"])
    };
    let mut plan = place.uploads(vec![entry("zip")]);
    plan.provenance = Some(Box::new(ProvenancePlan {
        source: "https://gitlab.test/group/project".to_owned(),
        commit: "1ecfd275".to_owned(),
        job: JobId(JOB),
        job_name: "build".to_owned(),
        runner_id: "12".to_owned(),
        runner_name: "r".to_owned(),
        executor: "docker".to_owned(),
        started: "2026-01-02T03:04:05.6Z".parse().unwrap(),
        parameters: vec!["SECRET".to_owned()],
    }));
    let ran = place.upload(plan.clone()).await;
    ran.assert_code(0).assert_has(&["Generating artifacts statement\n"]);
    assert_eq!(fs::read_to_string(&outside).unwrap(), "untouched");
    place
        .gitlab
        .store_artifacts(EARLIER, EARLIER_TOKEN, &place.taken()[0].content);
    fs::remove_dir_all(place.workshop.project()).unwrap();
    place.download(place.downloads()).await.assert_code(0);
    let statement: Value = serde_json::from_str(&place.read("release-metadata.json").unwrap()).unwrap();
    assert_eq!(
        statement["subject"],
        json!([
            {"name": "dir/other", "digest": {"sha256": "27dd8ed44a83ff94d557f9fd0412ed5a8cbca69ea04922d88c01184a07300a5a"}},
            {"name": "file", "digest": {"sha256": "2c8b08da5ce60398e1f19af0e5dccc744df274b826abe585eaba68c525434806"}},
        ])
    );
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v0.1");
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    let predicate = &statement["predicate"];
    assert_eq!(
        predicate["buildDefinition"]["externalParameters"],
        json!({"SECRET": "", "entryPoint": "build", "source": "https://gitlab.test/group/project"})
    );
    assert_eq!(predicate["buildDefinition"]["internalParameters"]["job"], "71");
    assert_eq!(
        predicate["runDetails"]["builder"]["id"],
        "https://gitlab.test/group/project/-/runners/12"
    );
    assert_eq!(predicate["runDetails"]["metadata"]["startedOn"], "2026-01-02T03:04:06Z");
    // Only archives that are called zip have one.
    plan.artifacts = vec![entry("")];
    place.upload(plan).await.assert_code(0).assert_lacks("Generating");
}

async fn check_download((name, answers, code, requests, parts): Case<'_>) {
    let place = Place::open().await;
    place.with_archive("zip").await;
    for answer in answers {
        place.gitlab.answer(Endpoint::Download, answer);
    }
    let ran = place.download(place.downloads()).await;
    assert_eq!(ran.code, code, "{name}:\n{}", ran.text);
    ran.assert_has(parts);
    let seen = place.requests(Endpoint::Download);
    assert_eq!(seen.len(), requests, "{name}");
    let direct: Vec<bool> = seen.iter().map(|r| r.path.contains("direct_download=true")).collect();
    assert!(
        direct[0] && !direct[1..].contains(&true),
        "{name}: only the first try is a direct one"
    );
    assert_eq!(place.read("dir/other").is_some(), code == 0, "{name}");
}

#[tokio::test]
async fn downloads_end_as_the_coordinator_says() {
    let status = Answer::status;
    let what = "Downloading artifacts from coordinator...";
    let facts = "id=7 token=64_earlie\n";
    let ok = format!("{what} ok        host=127.0.0.1 http_status_code=200 {facts}");
    let unauthorized =
        format!("ERROR: {what} unauthorized  host=127.0.0.1 http_status_code=401 {facts}FATAL: permission denied\n");
    let forbidden =
        format!("ERROR: {what} forbidden  host=127.0.0.1 http_status_code=403 {facts}FATAL: permission denied\n");
    let missing =
        format!("ERROR: {what} not found  host=127.0.0.1 http_status_code=404 {facts}FATAL: file does not exist\n");
    let cases: [Case<'_>; 7] = [
        (
            "200",
            vec![],
            0,
            1,
            &["Downloading artifacts for earlier (7)...\n", &ok],
        ),
        ("401", vec![status(401)], 1, 1, &[&unauthorized]),
        ("403", vec![status(403)], 1, 1, &[&forbidden]),
        ("404", vec![status(404)], 1, 1, &[&missing]),
        (
            "500 twice",
            vec![status(500); 2],
            0,
            3,
            &[
                "coordinator... failed",
                "context=artifacts-downloader error=500 Internal Server Error\n",
                &ok,
            ],
        ),
        (
            "503 thrice",
            vec![status(503); 3],
            1,
            3,
            &["FATAL: 503 Service Unavailable\n"],
        ),
        (
            "connection lost",
            vec![Answer::drop_read()],
            0,
            2,
            &["coordinator... error", &ok],
        ),
    ];
    for case in cases {
        check_download(case).await;
    }
}

#[tokio::test]
async fn the_object_store_is_not_shown_the_token() {
    let place = Place::open().await;
    place.with_archive("zip").await;
    let store = FakeGitLab::start().await;
    let archive = place.taken().pop().unwrap().content;
    store.store_artifacts(EARLIER, "another", &archive);
    for (status, direct) in [(302, true), (307, true), (302, false)] {
        let answer =
            Answer::status(status).header("location", &format!("{}/storage/{EARLIER}?signature=x", store.url()));
        place.gitlab.answer(Endpoint::Download, answer);
        let plan = DownloadsPlan {
            direct,
            ..place.downloads()
        };
        let ran = place.download(plan).await;
        ran.assert_code(0).assert_lacks("signature");
        let asked = place.requests(Endpoint::Download).pop().unwrap();
        assert_eq!(asked.path.contains("direct_download"), direct);
        assert_eq!(place.read("file").as_deref(), Some("one\n"));
    }
    assert_eq!(store.record().violations, Vec::<String>::new());
    assert_eq!(store.record().calls(Endpoint::Storage).count(), 3);
}

#[tokio::test]
async fn archives_are_unpacked_over_what_is_there() {
    for format in ["zip", "zipzstd", "tarzstd"] {
        let place = Place::open().await;
        std::os::unix::fs::symlink("file", place.workshop.project().join("link")).unwrap();
        place.with_archive(format).await;
        let outside = place.workshop.directory.path().join("outside");
        fs::write(&outside, "untouched").unwrap();
        place.write("kept", "x");
        std::os::unix::fs::symlink(&outside, place.workshop.project().join("file")).unwrap();
        place.download(place.downloads()).await.assert_code(0);
        assert_eq!(
            names_in(&place.workshop.project()),
            ["dir", "file", "kept", "link"],
            "{format}"
        );
        assert_eq!(place.read("link").as_deref(), Some("one\n"), "{format}");
        assert_eq!(fs::read_to_string(&outside).unwrap(), "untouched", "{format}");
    }
}

#[tokio::test]
async fn a_link_in_place_of_a_directory_is_not_written_through() {
    let place = Place::open().await;
    place.with_archive("zip").await;
    let outside = place.workshop.directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::create_dir_all(place.workshop.project()).unwrap();
    std::os::unix::fs::symlink(&outside, place.workshop.project().join("dir")).unwrap();
    let ran = place.download(place.downloads()).await;
    assert_eq!(files_below(&outside), [], "{}", ran.text);
}

#[tokio::test]
async fn what_cannot_be_unpacked_fails_the_stage() {
    for (content, reason) in [
        (
            &b"\x1f\x8b\x08\x00"[..],
            "FATAL: unpack artifacts of earlier: unpacking a gzip archive is not supported",
        ),
        (
            b"no archive",
            "FATAL: unpack artifacts of earlier: the archive's format is not recognised",
        ),
        (
            b"PK\x03\x04",
            "FATAL: unpack artifacts of earlier: the archive is damaged",
        ),
    ] {
        let place = Place::open().await;
        place.gitlab.store_artifacts(EARLIER, EARLIER_TOKEN, content);
        place
            .download(place.downloads())
            .await
            .assert_code(1)
            .assert_has(&[reason]);
    }
}

#[tokio::test]
async fn archives_wait_in_the_directory_the_job_names() {
    let mut place = Place::open().await;
    place.with_archive("zip").await;
    let nowhere = "/proc/nowhere".to_owned();
    place.workshop.environment = vec![("ARCHIVER_STAGING_DIR".to_owned(), nowhere)];
    let ran = place.download(place.downloads()).await;
    ran.assert_code(1)
        .assert_has(&["FATAL: create a temporary file in /proc/nowhere"]);
    let staging = place.workshop.directory.path().join("staging");
    fs::create_dir(&staging).unwrap();
    place.workshop.environment[0].1 = staging.display().to_string();
    place.download(place.downloads()).await.assert_code(0);
    assert!(is_empty(&staging), "nothing stays there");
}

#[tokio::test]
async fn archives_wait_beside_the_project_unless_the_job_names_a_place() {
    let place = Place::open().await;
    place.with_archive("zip").await;
    let temp = place.workshop.temp();
    fs::write(&temp, "in the way").unwrap();
    let reason = format!("FATAL: create a temporary file in {}", temp.display());
    let ran = place.download(place.downloads()).await;
    ran.assert_code(1).assert_has(&[&reason]);
    fs::remove_file(&temp).unwrap();
    place.download(place.downloads()).await.assert_code(0);
    assert!(is_empty(&temp), "nothing stays there");
}

fn is_empty(directory: &Path) -> bool {
    names_in(directory).is_empty()
}
