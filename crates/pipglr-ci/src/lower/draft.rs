//! A job that was read and is not yet decided on.

use super::name;
use super::parallel::Instance;
use crate::diagnostics::Placed;
use crate::diagnostics::Span;
use crate::keywords::environment::guess_tier;
use crate::keywords::inherit::Selection;
use crate::keywords::only::Decision;
use crate::keywords::secrets::Secret;
use crate::model::{Job, Need, Variable};
use std::rc::Rc;

/// A job with what can only be judged together with the others.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) name_span: Span,
    /// `None` when it was reported.
    pub(crate) stage: Option<Placed<String>>,
    pub(crate) needs: Option<Vec<Placed<Need>>>,
    pub(crate) dependencies: Option<Vec<Placed<String>>>,
    /// The job that stops the environment.
    pub(crate) on_stop: Option<Placed<String>>,
    /// Jobs whose artifacts are files of the child pipeline.
    pub(crate) producers: Rc<[Placed<String>]>,
    /// Values of this instance of a matrix. Rules see them, and they beat the job's variables.
    pub(crate) matrix: Vec<Variable>,
    /// Which variables of the top level the job takes.
    pub(crate) inherit_variables: Selection,
    /// Which keywords of `default` it takes, for who asks.
    pub(crate) inherit_default: Selection,
    /// What decides whether the job is in the pipeline.
    pub(crate) decision: Rc<Decision>,
    /// The `needs` of each of its rules.
    pub(crate) rule_needs: Vec<Option<Vec<Placed<Need>>>>,
    pub(crate) secrets: Rc<[Secret]>,
    /// Its variables are its own; those of the top level come with seeding.
    pub(crate) job: Job,
}

impl Draft {
    pub(super) fn into_job(self) -> Job {
        let mut environment = self.job.environment;
        if let Some(environment) = environment.as_mut().filter(|e| e.tier.is_empty()) {
            guess_tier(&environment.name).clone_into(&mut environment.tier);
        }
        Job {
            group: name::group(&self.job.name),
            stage: self.stage.map(|stage| stage.value).unwrap_or_default(),
            needs: self
                .needs
                .map(|needs| needs.into_iter().map(|need| need.value).collect()),
            dependencies: self
                .dependencies
                .map(|names| names.into_iter().map(|name| name.value).collect()),
            environment,
            ..self.job
        }
    }

    /// One of the jobs that this one is, by `parallel`.
    pub(super) fn instance(&self, instance: &Instance) -> Draft {
        let mut draft = self.clone();
        draft.job.name.clone_from(&instance.name);
        draft.job.node = Some(instance.node);
        draft.matrix.clone_from(&instance.variables);
        draft
    }
}
