//! `release`: what GitLab makes of a job that succeeded.

use super::json::object;
use super::{Fields, Keywords, below, filled, of, string, strings, word, wrong_type};
use crate::diagnostics::Problems;
use crate::model::Release;
use crate::yaml::Node;
use regex::Regex;
use std::sync::LazyLock;

const RELEASE: Keywords = Keywords {
    supported: &[
        "tag_name",
        "tag_message",
        "name",
        "description",
        "ref",
        "released_at",
        "milestones",
        "assets",
    ],
};
const ASSETS: Keywords = Keywords { supported: &["links"] };
const LINK: Keywords = Keywords {
    supported: &["name", "url", "filepath", "link_type"],
};

/// Null is none.
///
/// Compat: `Gitlab::Ci::Config::Entry::Release`.
pub(crate) fn release(problems: &mut Problems, parent: &str, node: &Node) -> Option<Release> {
    if node.is_null() {
        return None;
    }
    let at = below(parent, "release");
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{at} config"), "a hash");
        return None;
    };
    let fields = Fields::read(problems, &at, entries, &RELEASE);
    let tag_name = present(problems, &at, node, &fields, "tag_name");
    let description = present(problems, &at, node, &fields, "description");
    for key in ["tag_message", "name", "ref"] {
        if let Some(value) = fields.get(key) {
            string(problems, value, &of(&at, key));
        }
    }
    if let Some(node) = fields.get("released_at").filter(|node| !node.is_null()) {
        released_at(problems, &at, node);
    }
    if let Some(node) = fields.get("milestones").filter(|node| node.as_str().is_none()) {
        let subject = of(&at, "milestones");
        if node.as_sequence().is_some() {
            strings(problems, node, &subject);
        } else if !node.is_null() {
            wrong_type(problems, node, &subject, "an array of strings or a string");
        }
    }
    if let Some(node) = fields.get("assets").filter(|node| !node.is_null()) {
        assets(problems, &at, node);
    }
    let mut options = object(entries);
    options.retain(|key, value| !["tag_name", "description"].contains(&key.as_str()) && !value.is_null());
    Some(Release {
        tag_name: tag_name?,
        description: description?,
        options,
    })
}

/// A text that has to be there.
fn present(problems: &mut Problems, at: &str, node: &Node, fields: &Fields<'_>, key: &str) -> Option<String> {
    let value = fields.get(key).filter(|value| !value.is_null());
    let Some(value) = value else {
        problems.error(node.span, format!("{} can't be blank", of(at, key)));
        return None;
    };
    filled(problems, value, &of(at, key))
}

fn released_at(problems: &mut Problems, at: &str, node: &Node) {
    static ISO_8601: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let date = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])";
        let time = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?";
        Regex::new(&format!("^{date}([T ]{time})?$")).ok()
    });
    // Compat: a variable is put in by the job.
    let valid = node
        .as_str()
        .is_some_and(|text| text.contains('$') || ISO_8601.as_ref().is_some_and(|form| form.is_match(text)));
    if !valid && !node.is_reported() {
        let message = format!("{} must be a valid datetime", of(at, "released_at"));
        problems.error_with_hint(node.span, message, "write it as in '2026-03-15T08:00:00Z', in quotes");
    }
}

fn assets(problems: &mut Problems, parent: &str, node: &Node) {
    let at = below(parent, "assets");
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{at} config"), "a hash");
        return;
    };
    let fields = Fields::read(problems, &at, entries, &ASSETS);
    let Some(links) = fields.get("links").filter(|links| !links.is_null()) else {
        problems.error(node.span, format!("{at} links can't be blank"));
        return;
    };
    let at = below(&at, "links");
    let Some(items) = links.as_sequence() else {
        wrong_type(problems, links, &format!("{at} config"), "an array of hashes");
        return;
    };
    for item in items {
        link(problems, &at, item);
    }
}

fn link(problems: &mut Problems, links: &str, node: &Node) {
    let at = below(links, "link");
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{links} config"), "an array of hashes");
        return;
    };
    let fields = Fields::read(problems, &at, entries, &LINK);
    present(problems, &at, node, &fields, "name");
    present(problems, &at, node, &fields, "url");
    if let Some(path) = fields.get("filepath") {
        string(problems, path, &of(&at, "filepath"));
    }
    if let Some(kind) = fields
        .get("link_type")
        .filter(|kind| !kind.is_null() && !kind.is_reported())
    {
        let known = ["other", "runbook", "image", "package"];
        if word(kind, &known).is_none() {
            let message = format!("{at} link type should be one of: {}", known.join(", "));
            problems.error(kind.span, message);
        }
    }
}
