//! `image`.

use super::{Fields, Keywords, below, closest, did_you_mean, of, string, strings, wrong_type};
use crate::diagnostics::Problems;
use crate::model::Image;
use crate::yaml::{Entry, Node, Resolved};

const IMAGE: Keywords = Keywords {
    supported: &["name", "entrypoint", "pull_policy", "docker", "kubernetes", "ports"],
};
/// Of images and services alike.
const DOCKER: Keywords = Keywords {
    supported: &["platform", "user"],
};
const KUBERNETES: Keywords = Keywords { supported: &["user"] };
const PULL_POLICIES: [&str; 3] = ["always", "if-not-present", "never"];

/// A name, or a mapping with a name. Null is no image.
pub(crate) fn image(problems: &mut Problems, parent: &str, node: &Node) -> Option<Image> {
    if node.is_null() {
        return None;
    }
    named(problems, &below(parent, "image"), node, &IMAGE).map(|(image, _)| image)
}

/// What images and services have in common, and the keys of the mapping for the rest. `None` when it is neither a name
/// nor a mapping.
///
/// Compat: `Gitlab::Ci::Config::Entry::Imageable`.
pub(super) fn named<'n>(
    problems: &mut Problems,
    at: &str,
    node: &'n Node,
    keywords: &Keywords,
) -> Option<(Image, Fields<'n>)> {
    if let Some(name) = node.as_str() {
        if name.trim().is_empty() {
            problems.error(node.span, format!("{at} name can't be blank"));
        }
        let image = Image {
            name: name.to_owned(),
            ..Image::default()
        };
        return Some((image, Fields::default()));
    }
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{at} config"), "a hash or a string");
        return None;
    };
    let fields = Fields::read(problems, at, entries, keywords);
    let name = match fields.get("name") {
        Some(name) if !name.is_null() => string(problems, name, &of(at, "name")),
        _ => Some(String::new()),
    };
    if name.as_ref().is_some_and(|name| name.trim().is_empty()) {
        let span = fields.get("name").unwrap_or(node).span;
        let message = format!("{at} name can't be blank");
        problems.error_with_hint(span, message, "say which: `name: debian:stable-slim`");
    }
    let mut image = Image {
        name: name.unwrap_or_default(),
        ..Image::default()
    };
    if let Some(entrypoint) = fields.get("entrypoint") {
        image.entrypoint = strings(problems, entrypoint, &of(at, "entrypoint")).unwrap_or_default();
    }
    if let Some(policy) = fields.get("pull_policy") {
        image.pull_policy = pull_policy(problems, at, policy);
    }
    if let Some(docker) = fields.get("docker") {
        (image.platform, image.user) = docker_options(problems, at, docker);
    }
    if let Some(kubernetes) = fields.entry("kubernetes") {
        check_kubernetes(problems, at, kubernetes);
    }
    if let Some(ports) = fields.entry("ports") {
        // Compat: only the web terminal's own file may have it.
        let message = format!("{at} config contains disallowed keys: ports");
        problems.error_with_hint(ports.key_span, message, "remove it: services are reached without it");
    }
    Some((image, fields))
}

/// One policy, or a list of different ones to try in order.
fn pull_policy(problems: &mut Problems, at: &str, node: &Node) -> Vec<String> {
    let subject = format!("{at}:pull_policy config");
    let items: Vec<&Node> = match node.as_sequence() {
        Some(items) => items.iter().map(|item| &**item).collect(),
        None if node.is_null() => Vec::new(),
        None => vec![node],
    };
    if items.is_empty() {
        problems.error(node.span, format!("{subject} can't be blank"));
    }
    let mut policies: Vec<String> = Vec::new();
    for item in items {
        match item.as_str() {
            Some(policy) if policies.iter().any(|seen| seen == policy) => {
                problems.error(item.span, format!("{subject} has duplicate values: {policy}"));
            }
            Some(policy) if PULL_POLICIES.contains(&policy) => policies.push(policy.to_owned()),
            Some(policy) => {
                let message = format!("{subject} unknown values: {policy}");
                let hint = closest(policy, PULL_POLICIES.iter())
                    .map_or_else(|| format!("one of: {}", PULL_POLICIES.join(", ")), did_you_mean);
                problems.error_with_hint(item.span, message, hint);
            }
            None => wrong_type(problems, item, &subject, "an array of strings or a string"),
        }
    }
    policies
}

/// Platform and user.
fn docker_options(problems: &mut Problems, image: &str, node: &Node) -> (Option<String>, Option<String>) {
    let at = below(image, "docker");
    let Some(entries) = node.as_mapping() else {
        if !node.is_null() {
            wrong_type(problems, node, &format!("{at} config"), "a hash");
        }
        return (None, None);
    };
    let fields = Fields::read(problems, &at, entries, &DOCKER);
    let mut option = |name: &str| {
        fields
            .get(name)
            .and_then(|value| string(problems, value, &of(&at, name)))
    };
    (option("platform"), option("user"))
}

/// A user, by name or number, that only a runner on Kubernetes asks for.
fn check_kubernetes(problems: &mut Problems, image: &str, entry: &Entry) {
    let node = &*entry.value;
    if node.is_null() {
        return;
    }
    let at = below(image, "kubernetes");
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{at} config"), "a hash");
        return;
    };
    let fields = Fields::read(problems, &at, entries, &KUBERNETES);
    if let Some(user) = fields.get("user").filter(|user| !user.is_null())
        && !matches!(user.resolve(), Some(Resolved::String(_) | Resolved::Integer(_)))
    {
        wrong_type(problems, user, &of(&at, "user"), "a string or an integer");
    }
    problems.warning(
        entry.key_span,
        "`kubernetes` has no effect in pipglr: jobs run in podman",
        "name the user under `docker`",
    );
}
