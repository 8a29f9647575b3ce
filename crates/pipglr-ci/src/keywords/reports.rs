//! `artifacts:reports`.

use super::{Fields, Keywords, STRINGS, below, of, string, strings, word, wrong_type};
use crate::diagnostics::Problems;
use crate::model::Report;
use crate::yaml::Node;

const REPORTS: Keywords = Keywords {
    supported: &[
        "accessibility",
        "annotations",
        "api_fuzzing",
        "browser_performance",
        "cluster_image_scanning",
        "codequality",
        "container_scanning",
        "coverage_fuzzing",
        "coverage_report",
        "cyclonedx",
        "dast",
        "dependency_scanning",
        "dotenv",
        "junit",
        "license_management",
        "license_scanning",
        "load_performance",
        "lsif",
        "metrics",
        "performance",
        "repository_xray",
        "requirements",
        "requirements_v2",
        "sarif",
        "sast",
        "scip",
        "secret_detection",
        "terraform",
    ],
};

const COVERAGE_REPORT: Keywords = Keywords {
    supported: &["coverage_format", "path"],
};

/// The reports of a job, in the order of the file. Null is none.
pub(super) fn reports(problems: &mut Problems, parent: &str, node: &Node) -> Vec<Report> {
    if node.is_null() {
        return Vec::new();
    }
    let at = below(parent, "reports");
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{at} config"), "a hash");
        return Vec::new();
    };
    let fields = Fields::read(problems, &at, entries, &REPORTS);
    let mut reports = Vec::new();
    for entry in entries {
        let kind = entry.key.as_str();
        let Some(value) = fields.get(kind) else { continue };
        let report = if kind == "coverage_report" {
            coverage(problems, &at, value)
        } else {
            paths(problems, &of(&at, kind), value).map(|paths| Report {
                kind: kind.to_owned(),
                paths,
            })
        };
        reports.extend(report.filter(|r| !r.paths.is_empty()));
    }
    reports
}

/// A path or a list of paths.
fn paths(problems: &mut Problems, subject: &str, node: &Node) -> Option<Vec<String>> {
    match node.as_str() {
        Some(path) => Some(vec![path.to_owned()]),
        None if node.as_sequence().is_some() => strings(problems, node, subject),
        None if node.is_null() => None,
        None => {
            wrong_type(problems, node, subject, &format!("{STRINGS} or a string"));
            None
        }
    }
}

/// A coverage report is uploaded as a report of its format.
fn coverage(problems: &mut Problems, parent: &str, node: &Node) -> Option<Report> {
    if node.is_null() {
        return None;
    }
    let at = below(parent, "coverage_report");
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{at} config"), "a hash");
        return None;
    };
    let fields = Fields::read(problems, &at, entries, &COVERAGE_REPORT);
    let format = fields.get("coverage_format");
    let kind = format.and_then(|f| word(f, &["cobertura", "jacoco"]));
    if kind.is_none() && !format.is_some_and(Node::is_reported) {
        let place = format.unwrap_or(node);
        problems.error(
            place.span,
            format!("{at} coverage format must be one of: cobertura, jacoco"),
        );
    }
    let path = fields.get("path").and_then(|p| string(problems, p, &of(&at, "path")));
    if path.is_none() && fields.get("path").is_none_or(Node::is_null) {
        problems.error(node.span, format!("{at} path can't be blank"));
    }
    Some(Report {
        kind: kind?.to_owned(),
        paths: vec![path?],
    })
}
