//! `default:` and the global keywords that do the same: what a job takes when it does not say it itself.

use crate::diagnostics::Problems;
use crate::keywords::{Fields, Keywords, artifacts, cache, control, image, script, services, wrong_type};
use crate::model::{Artifacts, Cache, Image, Service};
use std::time::Duration;

const DEFAULT: Keywords = Keywords {
    family: "default",
    supported: &[
        "after_script",
        "artifacts",
        "before_script",
        "cache",
        "image",
        "services",
        "tags",
        "timeout",
    ],
    unsupported: &["hooks", "id_tokens", "identity", "interruptible", "retry"],
};

/// What jobs may take from `default:`; `None` is absent, which null is not.
pub(super) struct Inheritable {
    pub(super) image: Option<Option<Image>>,
    pub(super) services: Option<Vec<Service>>,
    pub(super) before_script: Option<Vec<String>>,
    pub(super) after_script: Option<Vec<String>>,
    pub(super) artifacts: Option<Option<Artifacts>>,
    pub(super) caches: Option<Vec<Cache>>,
    pub(super) timeout: Option<Option<Duration>>,
    pub(super) tags: Option<Vec<String>>,
}

impl Inheritable {
    pub(super) fn read(problems: &mut Problems, at: &str, fields: &Fields<'_>) -> Self {
        Inheritable {
            image: fields.get("image").map(|node| image::image(problems, at, node)),
            services: fields
                .get("services")
                .map(|node| services::services(problems, at, node)),
            before_script: fields
                .get("before_script")
                .map(|node| script::commands(problems, at, "before_script", node)),
            after_script: fields
                .get("after_script")
                .map(|node| script::commands(problems, at, "after_script", node)),
            artifacts: fields
                .get("artifacts")
                .map(|node| artifacts::artifacts(problems, at, node)),
            caches: fields.get("cache").map(|node| cache::caches(problems, at, node)),
            timeout: fields.get("timeout").map(|node| control::timeout(problems, at, node)),
            tags: fields.get("tags").map(|node| control::tags(problems, at, node)),
        }
    }

    /// Takes each keyword that is absent here from `other`, whole: nothing is merged.
    pub(super) fn or(self, other: &Inheritable) -> Self {
        Inheritable {
            image: self.image.or_else(|| other.image.clone()),
            services: self.services.or_else(|| other.services.clone()),
            before_script: self.before_script.or_else(|| other.before_script.clone()),
            after_script: self.after_script.or_else(|| other.after_script.clone()),
            artifacts: self.artifacts.or_else(|| other.artifacts.clone()),
            caches: self.caches.or_else(|| other.caches.clone()),
            timeout: self.timeout.or(other.timeout),
            tags: self.tags.or_else(|| other.tags.clone()),
        }
    }
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
    for keyword in ["image", "services", "before_script", "after_script", "cache"] {
        if let (Some(twice), Some(_)) = (root.entry(keyword), fields.entry(keyword)) {
            let message = format!("{keyword} is defined in top-level and `default:` entry");
            problems.error_with_hint(twice.key_span, message, "keep the one under `default:`");
        }
    }
    Inheritable::read(problems, "default", &fields).or(&global)
}
