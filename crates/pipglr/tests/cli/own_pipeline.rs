//! The project's own `.gitlab-ci.yml`: which jobs are there for which pipeline.

use crate::support::{called, pipglr, repository};
use serde_json::Value;

const OWN: &str = include_str!("../../../../.gitlab-ci.yml");
const BUILDS: [&str; 2] = ["build image: [amd64]", "build image: [arm64]"];

#[test]
fn every_kind_of_pipeline_has_the_jobs_it_should() {
    let project = repository(&[(".gitlab-ci.yml", OWN), ("Cargo.lock", "")]);
    let checks = ["format", "lint", "test"];
    let daily = [
        &checks[..],
        &BUILDS[..],
        &[
            "newest release",
            "build release image: [amd64]",
            "build release image: [arm64]",
        ],
        &["publish", "publish newest release"],
    ];
    let release = [&checks[..], &BUILDS[..], &["release archives", "publish", "release"]].concat();
    for (kind, expected) in [
        ("", [&checks[..], &BUILDS[..]].concat()),
        ("--branch topic", checks.to_vec()),
        ("--mr", checks.to_vec()),
        ("--tag v1.0.0", release),
        ("--schedule", daily.concat()),
    ] {
        let line = format!("ci list --json {kind}");
        let words: Vec<&str> = line.split_whitespace().collect();
        let told = called(pipglr(project.path(), &words).env("PATH", "/usr/local/bin:/usr/bin:/bin"));
        assert_eq!((told.code, told.err.as_str()), (0, ""), "{line}: {}", told.out);
        let listed: Value = serde_json::from_str(&told.out).unwrap();
        let jobs = listed["jobs"].as_array().unwrap();
        let names: Vec<&str> = jobs.iter().filter_map(|job| job["name"].as_str()).collect();
        assert_eq!(names, expected, "{line}");
    }
}
