//! `artifacts`.

use super::reports::reports;
use super::{
    DURATION, Fields, Keywords, below, boolean, did_you_mean, duration, of, string, strings, word, wrong_type,
};
use crate::diagnostics::Problems;
use crate::model::{Artifacts, ArtifactsAccess, ArtifactsWhen};
use crate::yaml::Node;

const ARTIFACTS: Keywords = Keywords {
    supported: &[
        "name",
        "paths",
        "exclude",
        "untracked",
        "when",
        "expire_in",
        "access",
        "public",
        "expose_as",
        "reports",
    ],
};

/// Files to keep. Null is none.
pub(crate) fn artifacts(problems: &mut Problems, parent: &str, node: &Node) -> Option<Artifacts> {
    if node.is_null() {
        return None;
    }
    let at = below(parent, "artifacts");
    let Some(entries) = node.as_mapping() else {
        if node.as_sequence().is_some() || node.as_str().is_some() {
            let message = format!("{at} config should be a hash");
            problems.error_with_hint(node.span, message, "put the paths below `paths:`");
        } else {
            wrong_type(problems, node, &format!("{at} config"), "a hash");
        }
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
    if let Some(node) = fields.get("reports") {
        artifacts.reports = reports(problems, &at, node);
    }
    artifacts.access = access(problems, &at, &fields);
    if let Some(node) = fields.get("expose_as") {
        artifacts.expose_as = expose_as(problems, &at, node, &artifacts.paths);
    }
    Some(artifacts)
}

/// `access`, or `public`, which says the same in other words.
fn access(problems: &mut Problems, at: &str, fields: &Fields<'_>) -> ArtifactsAccess {
    let public = fields
        .get("public")
        .and_then(|node| boolean(problems, node, &of(at, "public")));
    let Some(node) = fields.get("access").filter(|node| !node.is_null()) else {
        return if public == Some(false) {
            ArtifactsAccess::Developer
        } else {
            ArtifactsAccess::All
        };
    };
    if public.is_some() {
        problems.error(
            node.span,
            format!("{at} config these keys cannot be used together: access, public"),
        );
    }
    match word(node, &["none", "developer", "maintainer", "all"]) {
        Some("none") => ArtifactsAccess::None,
        Some("developer") => ArtifactsAccess::Developer,
        Some("maintainer") => ArtifactsAccess::Maintainer,
        Some(_) => ArtifactsAccess::All,
        None => {
            if !node.is_reported() {
                problems.error(
                    node.span,
                    format!("{at} access should be one of: none, developer, maintainer, all"),
                );
            }
            ArtifactsAccess::All
        }
    }
}

/// A name under which merge requests show the artifacts.
///
/// Compat: `Gitlab::Ci::Config::Entry::Artifacts::EXPOSE_AS_ERROR_MESSAGE`.
fn expose_as(problems: &mut Problems, at: &str, node: &Node, paths: &[String]) -> Option<String> {
    let name = string(problems, node, &of(at, "expose_as"))?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' ');
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let (complaint, hint) = if name.chars().count() > 100 {
        ("expose as is too long (maximum is 100 characters)", "")
    } else if !starts_well || !name.chars().all(allowed) {
        let message = "expose as can contain only letters, digits, '-', '_' and spaces";
        (message, "it starts with a letter, a digit or `_`")
    } else if paths.is_empty() {
        ("paths can't be blank", "`expose_as` shows what is in `paths`")
    } else if paths.iter().any(|p| p.contains('*')) {
        let message = "paths can't contain '*' when used with 'expose_as'";
        (message, "name the files, or a directory with a slash at its end")
    } else {
        return Some(name);
    };
    if hint.is_empty() {
        problems.error(node.span, format!("{at} {complaint}"));
    } else {
        problems.error_with_hint(node.span, format!("{at} {complaint}"), hint);
    }
    None
}

/// `when` of artifacts and of caches.
pub(super) fn upload_when(problems: &mut Problems, at: &str, node: &Node) -> ArtifactsWhen {
    match word(node, &["on_success", "on_failure", "always"]) {
        Some("on_failure") => ArtifactsWhen::OnFailure,
        Some("always") => ArtifactsWhen::Always,
        Some(_) => ArtifactsWhen::OnSuccess,
        None => {
            if !node.is_null() && !node.is_reported() {
                let message = format!("{at} when should be one of: on_success, on_failure, always");
                let meant = match node.as_str().unwrap_or_default() {
                    text if text.contains("fail") => Some("on_failure"),
                    text if text.contains("succe") => Some("on_success"),
                    _ => None,
                };
                match meant {
                    Some(meant) => problems.error_with_hint(node.span, message, did_you_mean(meant)),
                    None => problems.error(node.span, message),
                }
            }
            ArtifactsWhen::OnSuccess
        }
    }
}

/// The text as written: the coordinator counts from when the job ends.
pub(super) fn expiry(problems: &mut Problems, at: &str, node: &Node) -> Option<String> {
    let text = node.as_str();
    if text.is_some_and(|text| text == "never" || duration::parse_seconds(text).is_some()) {
        return text.map(str::to_owned);
    }
    if !node.is_null() {
        wrong_type(problems, node, &of(at, "expire_in"), DURATION);
    }
    None
}
