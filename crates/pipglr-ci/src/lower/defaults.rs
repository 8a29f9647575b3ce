//! `default:` and the global keywords that do the same: what a job takes when it does not say it itself.

use crate::diagnostics::Problems;
use crate::keywords::inherit::Selection;
use crate::keywords::{
    Fields, Keywords, artifacts, cache, control, image, retry, script, services, tokens, wrong_type,
};
use crate::model::{Artifacts, Cache, IdToken, Image, Retry, Service};
use std::time::Duration;

/// Compat: `Gitlab::Ci::Config::Entry::Default::ALLOWED_KEYS`.
pub(crate) const INHERITABLE: [&str; 13] = [
    "after_script",
    "artifacts",
    "before_script",
    "cache",
    "hooks",
    "id_tokens",
    "identity",
    "image",
    "interruptible",
    "retry",
    "services",
    "tags",
    "timeout",
];

const DEFAULT: Keywords = Keywords {
    supported: &INHERITABLE,
};

/// The deprecated keywords of the top level.
const GLOBAL: [&str; 5] = ["image", "services", "before_script", "after_script", "cache"];

/// Makes [`Inheritable`]: a field for each keyword, absent or read, which null is too.
macro_rules! inheritable {
    ($($keyword:ident: $value:ty = $read:path,)*) => {
        /// What jobs may take from `default:`; `None` is absent, which null is not.
        #[derive(Default)]
        pub(super) struct Inheritable {
            $(pub(super) $keyword: Option<$value>,)*
        }

        impl Inheritable {
            pub(super) fn read(problems: &mut Problems, at: &str, fields: &Fields<'_>) -> Self {
                Inheritable {
                    $($keyword: fields.get(stringify!($keyword)).map(|node| $read(problems, at, node)),)*
                }
            }

            /// Takes each keyword that is absent here and selected from `other`, whole: nothing is merged.
            pub(super) fn or(self, other: &Inheritable, selection: &Selection) -> Self {
                Inheritable {
                    $($keyword: self.$keyword.or_else(|| {
                        let wanted = selection.takes(stringify!($keyword));
                        other.$keyword.as_ref().filter(|_| wanted).cloned()
                    }),)*
                }
            }
        }
    };
}

inheritable! {
    image: Option<Image> = image::image,
    services: Vec<Service> = services::services,
    before_script: Vec<String> = before_script,
    after_script: Vec<String> = after_script,
    hooks: Vec<String> = script::hooks,
    artifacts: Option<Artifacts> = artifacts::artifacts,
    cache: Vec<Cache> = cache::caches,
    timeout: Option<Duration> = control::timeout,
    tags: Vec<String> = control::tags,
    retry: Retry = retry::retry,
    interruptible: bool = control::interruptible,
    id_tokens: Vec<IdToken> = tokens::id_tokens,
    identity: () = tokens::identity,
}

fn before_script(problems: &mut Problems, at: &str, node: &crate::yaml::Node) -> Vec<String> {
    script::commands(problems, at, "before_script", node)
}

fn after_script(problems: &mut Problems, at: &str, node: &crate::yaml::Node) -> Vec<String> {
    script::commands(problems, at, "after_script", node)
}

/// `default:` together with the deprecated global keywords.
pub(super) fn read(problems: &mut Problems, root: &Fields<'_>) -> Inheritable {
    let global = Inheritable::read(problems, "", root);
    let Some(node) = root.get("default").filter(|node| !node.is_null()) else {
        return global;
    };
    let Some(entries) = node.as_mapping() else {
        wrong_type(problems, node, "default config", "a hash");
        return global;
    };
    let fields = Fields::read(problems, "default", entries, &DEFAULT);
    for keyword in GLOBAL {
        if let (Some(twice), Some(_)) = (root.entry(keyword), fields.entry(keyword)) {
            let message = format!("{keyword} is defined in top-level and `default:` entry");
            problems.error_with_hint(twice.key_span, message, "keep the one under `default:`");
        }
    }
    Inheritable::read(problems, "default", &fields).or(&global, &Selection::All)
}
