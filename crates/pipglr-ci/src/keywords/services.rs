//! `services`: images that run beside a job.

use super::image::named;
use super::variables::variables;
use super::{ARRAY, Keywords, below, of, string, strings, wrong_type};
use crate::diagnostics::Problems;
use crate::model::Service;
use crate::yaml::Node;

const SERVICE: Keywords = Keywords {
    supported: &[
        "name",
        "alias",
        "entrypoint",
        "command",
        "variables",
        "pull_policy",
        "docker",
        "kubernetes",
        "ports",
    ],
};

/// A list of names and mappings. Null is an empty one.
pub(crate) fn services(problems: &mut Problems, parent: &str, node: &Node) -> Vec<Service> {
    if node.is_null() {
        return Vec::new();
    }
    let at = below(parent, "services");
    let Some(items) = node.as_sequence() else {
        wrong_type(problems, node, &format!("{at} config"), ARRAY);
        return Vec::new();
    };
    // Compat: `Gitlab::Ci::Config::Entry::Services` calls each of its entries `service`.
    let at = below(&at, "service");
    items.iter().filter_map(|item| service(problems, &at, item)).collect()
}

fn service(problems: &mut Problems, at: &str, node: &Node) -> Option<Service> {
    let (image, fields) = named(problems, at, node, &SERVICE)?;
    let mut service = Service {
        image,
        ..Service::default()
    };
    if let Some(alias) = fields.get("alias") {
        service.alias = string(problems, alias, &of(at, "alias"));
    }
    if let Some(command) = fields.get("command") {
        service.command = strings(problems, command, &of(at, "command")).unwrap_or_default();
    }
    if let Some(node) = fields.get("variables") {
        service.variables = variables(problems, at, node);
    }
    Some(service)
}
