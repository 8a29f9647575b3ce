//! Where a secret is kept.

use crate::diagnostics::Problems;
use crate::keywords::{Fields, Keywords, below, filled, of, string, wrong_type};
use crate::yaml::Node;

const VAULT: Keywords = Keywords {
    supported: &["engine", "path", "field"],
};
const ENGINE: Keywords = Keywords {
    supported: &["name", "path"],
};
const NAMED: Keywords = Keywords {
    supported: &["name", "version"],
};
const AWS: Keywords = Keywords {
    supported: &[
        "secret_id",
        "version_id",
        "version_stage",
        "region",
        "role_arn",
        "role_session_name",
        "field",
    ],
};

#[derive(Debug, Clone)]
pub(super) enum Provider {
    Vault {
        engine_name: String,
        engine_path: String,
        path: String,
        field: String,
    },
    Gcp {
        name: String,
        version: Option<String>,
    },
    Azure {
        name: String,
        version: Option<String>,
    },
    Aws(Vec<(&'static str, String)>),
}

/// `None` when it was reported.
pub(super) fn read(problems: &mut Problems, at: &str, kind: &str, node: &Node) -> Option<Provider> {
    match kind {
        "vault" => vault(problems, at, node),
        "gcp_secret_manager" => named(problems, at, node).map(|(name, version)| Provider::Gcp { name, version }),
        "azure_key_vault" => named(problems, at, node).map(|(name, version)| Provider::Azure { name, version }),
        _ => aws(problems, at, node),
    }
}

/// Compat: EE `Gitlab::Ci::Config::Entry::Vault::Secret`: `PATH/FIELD@ENGINE`, or a mapping.
fn vault(problems: &mut Problems, at: &str, node: &Node) -> Option<Provider> {
    if let Some(text) = node.as_str() {
        return vault_text(problems, at, node, text);
    }
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{at} config"), "a hash or a string");
        return None;
    };
    let fields = Fields::read(problems, at, entries, &VAULT);
    let path = required(problems, at, node, &fields, "path");
    let field = required(problems, at, node, &fields, "field");
    let engine = fields.get("engine").filter(|engine| !engine.is_null());
    let Some(engine) = engine else {
        problems.error(node.span, format!("{at} config missing required keys: engine"));
        return None;
    };
    let at = below(at, "engine");
    let Some(entries) = engine.as_mapping() else {
        wrong_type(problems, engine, &format!("{at} config"), "a hash");
        return None;
    };
    let fields = Fields::read(problems, &at, entries, &ENGINE);
    let engine_name = required(problems, &at, engine, &fields, "name");
    let engine_path = required(problems, &at, engine, &fields, "path");
    Some(Provider::Vault {
        engine_name: engine_name?,
        engine_path: engine_path?,
        path: path?,
        field: field?,
    })
}

fn vault_text(problems: &mut Problems, at: &str, node: &Node, text: &str) -> Option<Provider> {
    let (secret, engine) = text.split_once('@').unwrap_or((text, "kv-v2"));
    match secret.rsplit_once('/') {
        Some((path, field)) if !path.is_empty() && !field.is_empty() && !engine.is_empty() => Some(Provider::Vault {
            engine_name: "kv-v2".to_owned(),
            engine_path: engine.to_owned(),
            path: path.to_owned(),
            field: field.to_owned(),
        }),
        _ => {
            let message = format!("{at} config should be a path with a field: `PATH/FIELD@ENGINE`");
            problems.error_with_hint(node.span, message, "write it as in `production/db/password@ops`");
            None
        }
    }
}

/// A name and perhaps a version, of Google's and Microsoft's vaults.
fn named(problems: &mut Problems, at: &str, node: &Node) -> Option<(String, Option<String>)> {
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{at} config"), "a hash");
        return None;
    };
    let fields = Fields::read(problems, at, entries, &NAMED);
    let name = required(problems, at, node, &fields, "name")?;
    // Versions are numbers in one of the vaults.
    let version = fields.get("version").filter(|version| !version.is_null());
    let text = version.and_then(Node::resolve).map(|version| version.to_text());
    if let (Some(version), None) = (version, &text) {
        wrong_type(problems, version, &of(at, "version"), "a string");
    }
    Some((name, text))
}

/// Compat: EE `Gitlab::Ci::Config::Entry::AwsSecretsManager`: `SECRET_ID#FIELD`, or a mapping.
fn aws(problems: &mut Problems, at: &str, node: &Node) -> Option<Provider> {
    if let Some(text) = node.as_str() {
        let (id, field) = text
            .split_once('#')
            .map_or((text, None), |(id, field)| (id, Some(field)));
        if id.trim().is_empty() {
            problems.error(node.span, format!("{at} config can't be blank"));
            return None;
        }
        let mut values = vec![("secret_id", id.to_owned())];
        values.extend(field.map(|field| ("field", field.to_owned())));
        return Some(Provider::Aws(values));
    }
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{at} config"), "a hash or a string");
        return None;
    };
    let fields = Fields::read(problems, at, entries, &AWS);
    required(problems, at, node, &fields, "secret_id")?;
    if let (Some(_), Some(stage)) = (fields.get("version_id"), fields.entry("version_stage")) {
        let message = format!("{at} config these keys cannot be used together: version_id, version_stage");
        problems.error(stage.key_span, message);
    }
    let mut values = Vec::new();
    for key in AWS.supported {
        if let Some(node) = fields.get(key)
            && let Some(text) = string(problems, node, &of(at, key))
        {
            values.push((*key, text));
        }
    }
    Some(Provider::Aws(values))
}

/// A text that has to be there.
fn required(problems: &mut Problems, at: &str, node: &Node, fields: &Fields<'_>, key: &str) -> Option<String> {
    let Some(value) = fields.get(key).filter(|value| !value.is_null()) else {
        problems.error(node.span, format!("{at} config missing required keys: {key}"));
        return None;
    };
    filled(problems, value, &of(at, key))
}
