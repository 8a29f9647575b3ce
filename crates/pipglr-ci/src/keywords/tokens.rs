//! `id_tokens` and `identity`: who a job is to others.

use super::{Fields, Keywords, below, of, strings, word, wrong_type};
use crate::diagnostics::Problems;
use crate::model::IdToken;
use crate::yaml::Node;

const TOKEN: Keywords = Keywords { supported: &["aud"] };

/// Tokens by the names of their variables. Null is none.
///
/// Compat: `Gitlab::Ci::Config::Entry::IdToken`.
pub(crate) fn id_tokens(problems: &mut Problems, parent: &str, node: &Node) -> Vec<IdToken> {
    if node.is_null() {
        return Vec::new();
    }
    let at = below(parent, "id_tokens");
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, &format!("{at} config"), "a hash");
        return Vec::new();
    };
    let mut tokens = Vec::new();
    for entry in entries {
        let at = below(&at, &entry.key);
        let Some(options) = entry.value.as_mapping() else {
            if entry.value.is_null() {
                problems.error(entry.key_span, format!("{at} config missing required keys: aud"));
            } else {
                wrong_type(problems, &entry.value, &format!("{at} config"), "a hash");
            }
            continue;
        };
        let fields = Fields::read(problems, &at, options, &TOKEN);
        match fields.get("aud").filter(|aud| !aud.is_null()) {
            Some(aud) => tokens.extend(audience(problems, &at, aud).map(|audience| IdToken {
                name: entry.key.clone(),
                audience,
            })),
            None => problems.error_with_hint(
                entry.key_span,
                format!("{at} config missing required keys: aud"),
                "say whom the token is for: `aud: https://…`",
            ),
        }
    }
    tokens
}

fn audience(problems: &mut Problems, at: &str, node: &Node) -> Option<Vec<String>> {
    match node.as_str() {
        Some(one) => Some(vec![one.to_owned()]),
        None if node.as_sequence().is_some() => strings(problems, node, &of(at, "aud")),
        None => {
            wrong_type(problems, node, &of(at, "aud"), "an array of strings or a string");
            None
        }
    }
}

/// Warns that the job gets no credentials of a cloud: they come from an integration of GitLab.
pub(crate) fn identity(problems: &mut Problems, at: &str, node: &Node) {
    if node.is_null() || node.is_reported() {
        return;
    }
    if word(node, &["google_cloud"]).is_none() {
        problems.error(node.span, format!("{at} identity should be one of: google_cloud"));
        return;
    }
    problems.warning(
        node.span,
        "`identity: google_cloud` has no effect in pipglr: it takes an integration of GitLab",
        "the job runs without the credentials; give it an `id_tokens` entry to get its own",
    );
}
