//! `artifacts`.

use super::{DURATION, Fields, Keywords, below, boolean, duration, of, string, strings, word, wrong_type};
use crate::diagnostics::Problems;
use crate::model::{Artifacts, ArtifactsWhen};
use crate::yaml::Node;

const ARTIFACTS: Keywords = Keywords {
    family: "artifacts",
    supported: &["name", "paths", "exclude", "untracked", "when", "expire_in"],
    unsupported: &["access", "expose_as", "public", "reports"],
};

/// Files to keep. Null is none.
pub(crate) fn artifacts(problems: &mut Problems<'_>, parent: &str, node: &Node) -> Option<Artifacts> {
    if node.is_null() {
        return None;
    }
    let at = below(parent, "artifacts");
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{at} config"), "a hash");
        return None;
    };
    let fields = Fields::read(problems, &at, entries, &ARTIFACTS);
    let mut artifacts = Artifacts::default();
    if let Some(name) = fields.get("name") {
        artifacts.name = string(problems, name, &of(&at, "name"));
    }
    if let Some(paths) = fields.get("paths") {
        artifacts.paths = strings(problems, paths, &of(&at, "paths")).unwrap_or_default();
    }
    if let Some(exclude) = fields.get("exclude") {
        artifacts.exclude = strings(problems, exclude, &of(&at, "exclude")).unwrap_or_default();
    }
    if let Some(untracked) = fields.get("untracked") {
        artifacts.untracked = boolean(problems, untracked, &of(&at, "untracked")).unwrap_or(false);
    }
    if let Some(when) = fields.get("when") {
        artifacts.when = upload_when(problems, &at, when);
    }
    if let Some(expire_in) = fields.get("expire_in") {
        artifacts.expire_in = expiry(problems, &at, expire_in);
    }
    Some(artifacts)
}

/// `when` of artifacts and of caches.
pub(super) fn upload_when(problems: &mut Problems<'_>, at: &str, node: &Node) -> ArtifactsWhen {
    match word(node, &["on_success", "on_failure", "always"]) {
        Some("on_failure") => ArtifactsWhen::OnFailure,
        Some("always") => ArtifactsWhen::Always,
        Some(_) => ArtifactsWhen::OnSuccess,
        None => {
            if !node.is_null() && !node.is_reported() {
                problems.error(
                    node.span,
                    format!("{at} when should be one of: on_success, on_failure, always"),
                );
            }
            ArtifactsWhen::OnSuccess
        }
    }
}

/// The text as written: the coordinator counts from when the job ends.
fn expiry(problems: &mut Problems<'_>, at: &str, node: &Node) -> Option<String> {
    let text = node.as_str();
    if text.is_some_and(|text| text == "never" || duration::parse_seconds(text).is_some()) {
        return text.map(str::to_owned);
    }
    if !node.is_null() {
        wrong_type(problems, node, &of(at, "expire_in"), DURATION);
    }
    None
}
