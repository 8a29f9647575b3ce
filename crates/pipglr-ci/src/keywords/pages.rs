//! `pages` and `publish`: a job whose artifacts are a site.

use super::artifacts::expiry;
use super::{Fields, Keywords, below, of, string, wrong_type};
use crate::diagnostics::Problems;
use crate::model::{Artifacts, Pages};
use crate::yaml::{Entry, Node};
use serde_json::{Map, Value};

const PAGES: Keywords = Keywords {
    supported: &["path_prefix", "expire_in", "publish"],
};

/// What a site is published from when nothing is said.
const PUBLIC: &str = "public";

/// The site of a job, if it is one: by `pages`, or by its name.
///
/// Compat: `Gitlab::Ci::Config::Entry::Job#pages_job?`.
pub(crate) fn pages(problems: &mut Problems, at: &str, job: &Entry, fields: &Fields<'_>) -> Option<Pages> {
    let keyword = fields.get("pages").filter(|node| !node.is_null());
    let read = match keyword {
        Some(node) => options(problems, at, node),
        None => (job.key == "pages").then(Pages::default),
    };
    let publish = fields.get("publish").filter(|node| !node.is_null());
    let Some(mut pages) = read else {
        if let Some(publish) = publish.filter(|_| keyword.is_none_or(|node| !node.is_reported())) {
            let message = format!("{at} publish can only be used within a `pages` job");
            problems.error_with_hint(publish.span, message, "add `pages: true`");
        }
        return None;
    };
    if let Some(node) = publish {
        let directory = string(problems, node, &format!("{at}:publish config"));
        if pages.publish.is_empty() {
            pages.publish = directory.unwrap_or_default();
        } else {
            let message = format!("{at} publish and pages:publish cannot be used together");
            problems.error_with_hint(node.span, message, "keep the one in `pages`");
        }
    }
    if pages.publish.is_empty() {
        PUBLIC.clone_into(&mut pages.publish);
    }
    problems.warning(
        job.key_span,
        format!(
            "job `{}` publishes a site on GitLab; pipglr runs it as any other job",
            job.key
        ),
        "what it would publish is in its artifacts",
    );
    Some(pages)
}

/// `None` when the job is no site.
fn options(problems: &mut Problems, parent: &str, node: &Node) -> Option<Pages> {
    let at = below(parent, "pages");
    if let Some(is_site) = node.as_bool() {
        return is_site.then(Pages::default);
    }
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{at} config"), "a hash or a boolean value");
        // The author meant a site.
        return Some(Pages::default());
    };
    let fields = Fields::read(problems, &at, entries, &PAGES);
    let mut pages = Pages::default();
    let mut options = Map::new();
    if let Some(node) = fields.get("publish") {
        pages.publish = string(problems, node, &of(&at, "publish")).unwrap_or_default();
    }
    if let Some(node) = fields.get("path_prefix")
        && let Some(prefix) = string(problems, node, &of(&at, "path_prefix"))
    {
        options.insert("path_prefix".to_owned(), Value::String(prefix));
    }
    let expiry = fields.get("expire_in").and_then(|node| expiry(problems, &at, node));
    options.extend(expiry.map(|text| ("expire_in".to_owned(), Value::String(text))));
    pages.options = options;
    Some(pages)
}

/// Adds what is published to what is kept.
///
/// Compat: GitLab 17.10, `artifacts:paths` of Pages jobs.
pub(crate) fn keep_site(pages: &Pages, artifacts: Option<Artifacts>) -> Artifacts {
    let mut artifacts = artifacts.unwrap_or_default();
    let kept = |path: &String| path.trim_end_matches('/') == pages.publish.trim_end_matches('/');
    if !artifacts.paths.iter().any(kept) {
        artifacts.paths.push(pages.publish.clone());
    }
    artifacts
}
