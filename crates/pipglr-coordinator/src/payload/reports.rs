//! How reports are sent: the format runners are told, and the name of the file.
//!
//! Compat: GitLab app/models/concerns/enums/ci/job_artifact.rb.

/// Reports that are not named after their kind: the kind and its file.
const NAMES: [(&str, &str); 26] = [
    ("accessibility", "gl-accessibility.json"),
    ("annotations", "gl-annotations.json"),
    ("api_fuzzing", "gl-api-fuzzing-report.json"),
    ("browser_performance", "browser-performance.json"),
    ("cluster_image_scanning", "gl-cluster-image-scanning-report.json"),
    ("cobertura", "cobertura-coverage.xml"),
    ("codequality", "gl-code-quality-report.json"),
    ("container_scanning", "gl-container-scanning-report.json"),
    ("coverage_fuzzing", "gl-coverage-fuzzing.json"),
    ("cyclonedx", "gl-sbom.cdx.json"),
    ("dast", "gl-dast-report.json"),
    ("dependency_scanning", "gl-dependency-scanning-report.json"),
    ("dotenv", ".env"),
    ("jacoco", "jacoco-coverage.xml"),
    ("junit", "junit.xml"),
    ("license_management", "gl-license-management-report.json"),
    ("license_scanning", "gl-license-scanning-report.json"),
    ("load_performance", "load-performance.json"),
    ("lsif", "lsif.json"),
    ("metrics", "metrics.txt"),
    ("performance", "performance.json"),
    ("repository_xray", "gl-repository-xray.json"),
    ("sast", "gl-sast-report.json"),
    ("scip", "index.scip"),
    ("secret_detection", "gl-secret-detection-report.json"),
    ("terraform", "tfplan.json"),
];

/// Name of the file a report is uploaded as.
pub(crate) fn file_name(kind: &str) -> String {
    let known = NAMES.iter().find(|(k, _)| *k == kind);
    known.map_or_else(|| format!("{kind}.json"), |(_, name)| (*name).to_owned())
}

/// `gzip` if several files may be one report, `zip` for indexes of code, `raw` for everything else.
pub(crate) fn format(kind: &str) -> &'static str {
    match kind {
        "junit" | "metrics" | "dotenv" | "cobertura" | "jacoco" | "cyclonedx" | "annotations" | "repository_xray" => {
            "gzip"
        }
        "lsif" | "scip" => "zip",
        _ => "raw",
    }
}

#[cfg(test)]
mod tests {
    use super::{file_name, format};

    #[test]
    fn reports_have_the_names_and_formats_of_gitlab() {
        for (kind, name, expected) in [
            ("junit", "junit.xml", "gzip"),
            ("dotenv", ".env", "gzip"),
            ("cobertura", "cobertura-coverage.xml", "gzip"),
            ("codequality", "gl-code-quality-report.json", "raw"),
            ("sast", "gl-sast-report.json", "raw"),
            ("terraform", "tfplan.json", "raw"),
            ("lsif", "lsif.json", "zip"),
            ("requirements", "requirements.json", "raw"),
        ] {
            assert_eq!((file_name(kind).as_str(), format(kind)), (name, expected), "{kind}");
        }
    }
}
