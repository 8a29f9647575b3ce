//! `secrets`: what the runner fetches from a vault for a job.

mod payload;
mod providers;

pub(crate) use payload::payloads;

use super::{Fields, Keywords, below, boolean, of, string, wrong_type};
use crate::diagnostics::Problems;
use crate::yaml::{Entry, Node};
use providers::Provider;

const SECRET: Keywords = Keywords {
    supported: &[
        "vault",
        "gcp_secret_manager",
        "azure_key_vault",
        "aws_secrets_manager",
        "gitlab_secrets_manager",
        "file",
        "token",
    ],
};

const PROVIDERS: [&str; 5] = [
    "vault",
    "gcp_secret_manager",
    "azure_key_vault",
    "aws_secrets_manager",
    "gitlab_secrets_manager",
];

/// One secret, checked.
#[derive(Debug, Clone)]
pub(crate) struct Secret {
    /// The variable that gets it.
    pub(crate) name: String,
    provider: Provider,
    /// The variable is the path of a file with the secret in it. `None` is the runner's default, which is yes.
    file: Option<bool>,
    /// The variable with the ID token to log in with, as written.
    token: Option<String>,
}

impl Secret {
    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }
}

/// Secrets in the order of the file. Null is none.
pub(crate) fn secrets(problems: &mut Problems, parent: &str, node: &Node) -> Vec<Secret> {
    if node.is_null() {
        return Vec::new();
    }
    let at = below(parent, "secrets");
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{at} config"), "a hash");
        return Vec::new();
    };
    entries
        .iter()
        .filter_map(|entry| secret(problems, &at, entry))
        .collect()
}

fn secret(problems: &mut Problems, secrets: &str, entry: &Entry) -> Option<Secret> {
    let at = below(secrets, &entry.key);
    let Some(entries) = entry.value.as_mapping() else {
        wrong_type(problems, &entry.value, &format!("{at} config"), "a hash");
        return None;
    };
    let fields = Fields::read(problems, &at, entries, &SECRET);
    let given: Vec<&str> = PROVIDERS.into_iter().filter(|key| fields.get(key).is_some()).collect();
    let [kind] = given.as_slice() else {
        let message = format!(
            "{at} config must use exactly one of these keys: {}",
            PROVIDERS.join(", ")
        );
        problems.error(entry.key_span, message);
        return None;
    };
    let file = fields
        .get("file")
        .and_then(|node| boolean(problems, node, &of(&at, "file")));
    let token = fields
        .get("token")
        .and_then(|node| string(problems, node, &of(&at, "token")));
    let node = fields.get(kind)?;
    if *kind == "gitlab_secrets_manager" {
        let message = format!("{at} `gitlab_secrets_manager` is a part of GitLab and cannot be had in pipglr");
        problems.error_with_hint(node.span, message, "use another provider, or a variable");
        return None;
    }
    let provider = providers::read(problems, &below(&at, kind), kind, node)?;
    if matches!(provider, Provider::Gcp { .. }) && token.is_none() {
        let message = format!("{at} token is required with gcp secrets manager");
        problems.error_with_hint(entry.key_span, message, "add `token: $NAME` of an `id_tokens` entry");
    }
    Some(Secret {
        name: entry.key.clone(),
        provider,
        file,
        token,
    })
}
