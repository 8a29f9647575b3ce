//! The pipeline's cause, its ref and its commit. Compat: GitLab lib/gitlab/ci/variables/builder/pipeline.rb.

use super::Facts;
use super::list::List;
use crate::creation::{MergeRequest, PipelineKind};
use crate::payload::PROJECT_ID;
use crate::pipeline::Source;
use crate::project::RefKind;
use pipglr_ci::slugify;

/// GitLab cuts `CI_MERGE_REQUEST_DESCRIPTION` here, in characters.
const DESCRIPTION_LIMIT: usize = 2700;

/// The commit a push is compared to; zeros as long as the commit's own name if there is none.
pub(crate) fn before_sha(source: &Source) -> String {
    match (&source.base, &source.kind) {
        (Some(base), PipelineKind::Push) => base.clone(),
        _ => "0".repeat(source.commit.sha.len()),
    }
}

/// What rules may see of the pipeline; its number in the project is known before it exists.
pub(super) fn pipeline(facts: &Facts<'_>, iid: u64, list: &mut List) {
    let source = facts.source;
    list.add("CI_PIPELINE_IID", iid.to_string());
    list.add("CI_PIPELINE_SOURCE", source.kind.as_str());
    match &source.kind {
        PipelineKind::Schedule { description } => list.add_text("CI_PIPELINE_SCHEDULE_DESCRIPTION", description),
        PipelineKind::Trigger { .. } => list.add("CI_PIPELINE_TRIGGERED", "true"),
        _ => {}
    }
    if let Some(parent) = source.parent {
        list.add("CI_UPSTREAM_PIPELINE_ID", parent.pipeline.to_string());
        list.add("CI_UPSTREAM_JOB_ID", parent.job.to_string());
        list.add("CI_UPSTREAM_PROJECT_ID", PROJECT_ID.to_string());
    }
    list.add("CI_CONFIG_REF_URI", facts.config_ref_uri());
}

pub(super) fn commit(facts: &Facts<'_>, list: &mut List) {
    let source = facts.source;
    let (reference, commit) = (&source.reference, &source.commit);
    let (message, truncated) = commit.limited_message();
    list.add("CI_COMMIT_SHA", &commit.sha);
    list.add("CI_COMMIT_SHORT_SHA", commit.short_sha());
    list.add("CI_COMMIT_BEFORE_SHA", before_sha(source));
    list.add_text("CI_COMMIT_REF_NAME", &reference.name);
    list.add("CI_COMMIT_REF_SLUG", slugify(&reference.name));
    match reference.kind {
        RefKind::Branch => list.add_text("CI_COMMIT_BRANCH", &reference.name),
        RefKind::Tag => {
            list.add_text("CI_COMMIT_TAG", &reference.name);
            list.add_text("CI_COMMIT_TAG_MESSAGE", &reference.tag_message);
        }
        RefKind::MergeRequest | RefKind::Detached => {}
    }
    list.add_text("CI_COMMIT_MESSAGE", message);
    list.add("CI_COMMIT_MESSAGE_IS_TRUNCATED", truncated.to_string());
    list.add_text("CI_COMMIT_TITLE", commit.title());
    list.add_text("CI_COMMIT_DESCRIPTION", commit.description());
    list.add("CI_COMMIT_REF_PROTECTED", facts.options.protected_ref.to_string());
    list.add("CI_COMMIT_TIMESTAMP", &commit.timestamp);
    list.add_text("CI_COMMIT_AUTHOR", &commit.author);
    if let PipelineKind::MergeRequest(request) = &source.kind {
        merge_request(facts, request, list);
    }
}

/// Compat: GitLab app/models/merge_request.rb `predefined_variables`; a detached pipeline has no commits of branches.
fn merge_request(facts: &Facts<'_>, request: &MergeRequest, list: &mut List) {
    let (source, project) = (facts.source, facts.project);
    let url = format!("{}/{}", facts.server().base, project.path);
    let mut add = |name: &str, value: &str| list.add_text(&format!("CI_MERGE_REQUEST_{name}"), value);
    let number = request.iid.to_string();
    let cut: String = request.description.chars().take(DESCRIPTION_LIMIT).collect();
    let target = request.target.as_deref().unwrap_or(&project.default_branch);
    add("ID", &number);
    add("IID", &number);
    add("REF_PATH", &format!("refs/merge-requests/{number}/head"));
    add("EVENT_TYPE", "detached");
    add("TITLE", request.title.as_deref().unwrap_or(source.commit.title()));
    add("DESCRIPTION", &cut);
    add(
        "DESCRIPTION_IS_TRUNCATED",
        if cut.len() < request.description.len() {
            "true"
        } else {
            "false"
        },
    );
    add("DRAFT", if request.draft { "true" } else { "false" });
    if !request.labels.is_empty() {
        add("LABELS", &request.labels.join(","));
    }
    add("APPROVED", "false");
    add("SQUASH_ON_MERGE", "false");
    add("DIFF_BASE_SHA", source.base.as_deref().unwrap_or_default());
    add("SOURCE_BRANCH_NAME", &source.reference.name);
    add(
        "SOURCE_BRANCH_PROTECTED",
        if facts.options.protected_ref { "true" } else { "false" },
    );
    add("SOURCE_BRANCH_SHA", "");
    add("TARGET_BRANCH_NAME", target);
    add(
        "TARGET_BRANCH_PROTECTED",
        if target == project.default_branch {
            "true"
        } else {
            "false"
        },
    );
    add("TARGET_BRANCH_SHA", "");
    for (prefix, id, path) in [
        ("PROJECT", PROJECT_ID.to_string(), &project.path),
        ("SOURCE_PROJECT", PROJECT_ID.to_string(), &project.path),
    ] {
        add(&format!("{prefix}_ID"), &id);
        add(&format!("{prefix}_PATH"), path);
        add(&format!("{prefix}_URL"), &url);
    }
    list.add_text("CI_OPEN_MERGE_REQUESTS", &format!("{}!{number}", project.path));
}
