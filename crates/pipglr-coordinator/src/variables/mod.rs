//! Variables of jobs and rules: what GitLab predefines, what is given from outside, and the order of all of them.
//!
//! Rules and payloads get the predefined ones from the same code.

mod commit;
mod expand;
mod job;
mod list;
mod project;
pub(crate) mod settings;
#[cfg(test)]
mod tests;

pub(crate) use commit::before_sha;
pub(crate) use expand::expand_text;
pub(crate) use job::job_variables;

use crate::Coordinator;
use crate::options::ServeOptions;
use crate::pipeline::Source;
use crate::project::{Project, RefKind};
use crate::url::ExternalUrl;
use list::List;
use pipglr_ci::{Context, ContextVariables, RefKind as RuleRef, Setting, model};
use pipglr_protocol::payload::Variable;

/// What is known before there is a pipeline.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    /// This coordinator.
    pub(crate) url: &'a ExternalUrl,
    pub(crate) project: &'a Project,
    pub(crate) options: &'a ServeOptions,
    pub(crate) source: &'a Source,
}

impl Facts<'_> {
    /// The instance jobs are told of.
    fn server(&self) -> &ExternalUrl {
        self.project.server.as_ref().unwrap_or(self.url)
    }

    /// Where the configuration is: `HOST/PROJECT//FILE@REF`.
    pub(crate) fn config_ref_uri(&self) -> String {
        let (host, project) = (&self.server().fqdn, self.project);
        let reference = self.source.reference.full_name();
        format!("{host}/{}//{}@{reference}", project.path, project.config_path)
    }
}

/// What is predefined before there is a pipeline or a job.
fn before_pipeline(facts: &Facts<'_>, iid: u64) -> Vec<Variable> {
    let mut list = List::default();
    project::server(facts, &mut list);
    project::project(facts, &mut list);
    commit::pipeline(facts, iid, &mut list);
    commit::commit(facts, &mut list);
    project::user(facts, &mut list);
    list.0
}

/// What rules see of the world.
pub(crate) fn rule_context(coordinator: &Coordinator, source: &Source, iid: u64) -> Context {
    let facts = Facts {
        url: coordinator.url(),
        project: coordinator.project(),
        options: coordinator.options(),
        source,
    };
    let predefined = before_pipeline(&facts, iid);
    let protected = coordinator.options().protected_ref;
    let settings = coordinator.settings();
    let settings = settings.iter().filter(|s| protected || !s.variable.protected);
    Context {
        source: source.kind.as_str().to_owned(),
        ref_name: source.reference.name.clone(),
        ref_kind: match source.reference.kind {
            RefKind::Branch | RefKind::Detached => RuleRef::Branch,
            RefKind::Tag => RuleRef::Tag,
            RefKind::MergeRequest => RuleRef::MergeRequest,
        },
        variables: ContextVariables {
            predefined: predefined
                .iter()
                .map(|v| plain(&v.key, v.value.expose(), v.raw))
                .collect(),
            settings: settings.map(|setting| rule_setting(&setting.variable)).collect(),
            pipeline: source
                .variables
                .iter()
                .map(|v| plain(&v.key, v.value.expose(), v.raw))
                .collect(),
        },
    }
}

fn plain(key: &str, value: &str, raw: bool) -> model::Variable {
    model::Variable {
        key: key.to_owned(),
        value: value.to_owned(),
        expand: !raw,
    }
}

fn rule_setting(given: &crate::Given) -> Setting {
    Setting {
        variable: plain(&given.key, given.value.expose(), given.raw),
        file: given.file,
        masked: given.masked,
        environment_scope: given.environment_scope.clone(),
    }
}
