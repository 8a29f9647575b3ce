//! From a caller's wish to a pipeline whose first jobs are pending.

use super::Coordinator;
use crate::cache_keys;
use crate::config::{self, Evaluated, Subject};
use crate::creation::{MergeRequest, PipelineKind, PipelineOptions};
use crate::pipeline::{PipelineId, Recipe, Source, select};
use crate::project::{RefKind, Reference, Revision, find_commit, load_file, load_source, merge_base};
use crate::{Error, creation::RefName};
use jiff::Timestamp;
use pipglr_ci::model::Pipeline;
use pipglr_ci::{Request, SourceFile};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

impl Coordinator {
    /// Evaluates the configuration and starts the pipeline it makes.
    ///
    /// # Errors
    /// An unknown revision, job or ref, a missing, invalid or empty configuration, or a failing git.
    pub async fn create(&self, options: &PipelineOptions) -> Result<PipelineId, Error> {
        self.reload_settings().await?;
        let source = self.source(options).await?;
        let evaluated = self.evaluate_source(&source, &options.inputs).await?;
        let mut recipe = evaluated.into_recipe(&self.project().config_path)?;
        let earlier = self.store().load_results()?;
        select(&mut recipe, &options.selection, &earlier)?;
        self.start(source, recipe).await
    }

    /// Evaluates the configuration and starts nothing.
    ///
    /// # Errors
    /// An unknown revision or ref, a missing configuration, or a failing git. Mistakes of the configuration are no
    /// error here.
    pub async fn evaluate(&self, options: &PipelineOptions) -> Result<Evaluated, Error> {
        self.reload_settings().await?;
        let source = self.source(options).await?;
        self.evaluate_source(&source, &options.inputs).await
    }

    /// Evaluates the configuration at `revision` and starts a pipeline for a push of it.
    ///
    /// # Errors
    /// As [`Coordinator::create`].
    pub async fn create_pipeline(&self, revision: &Revision) -> Result<PipelineId, Error> {
        self.create(&PipelineOptions {
            revision: revision.clone(),
            ..PipelineOptions::default()
        })
        .await
    }

    /// Starts a pipeline that was evaluated elsewhere, with the sources of `revision`.
    ///
    /// # Errors
    /// An unknown revision, a pipeline that is empty or refers to what it does not have, or a failing git.
    pub async fn start_pipeline(&self, revision: &Revision, pipeline: &Pipeline) -> Result<PipelineId, Error> {
        let options = PipelineOptions {
            revision: revision.clone(),
            ..PipelineOptions::default()
        };
        let source = self.source(&options).await?;
        let recipe = Recipe {
            pipeline: pipeline.clone(),
            ..Recipe::default()
        };
        self.start(source, recipe).await
    }

    /// Asks the evaluator something else about the configuration as a pipeline would see it, and starts nothing. `file`
    /// stands for the configuration of the revision, if given. The question may block.
    ///
    /// # Errors
    /// As [`Coordinator::evaluate`].
    pub async fn ask<T: Send + 'static>(
        &self,
        options: &PipelineOptions,
        file: Option<SourceFile>,
        question: impl FnOnce(&Request<'_>) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let source = self.source(options).await?;
        let file = match file {
            Some(file) => file,
            None => self.configuration(&source).await?,
        };
        config::ask(self, &source, subject(file, &options.inputs), question).await
    }

    async fn evaluate_source(&self, source: &Source, inputs: &Map<String, Value>) -> Result<Evaluated, Error> {
        let file = self.configuration(source).await?;
        config::evaluate(self, source, subject(file, inputs)).await
    }

    /// The configuration of the commit that jobs check out, not of the one the variables tell of.
    async fn configuration(&self, source: &Source) -> Result<SourceFile, Error> {
        let path = &self.project().config_path;
        let text = load_file(self.mirror().path(), &source.checkout, path).await?;
        let text = text.ok_or_else(|| Error::ConfigMissing {
            path: path.clone(),
            sha: source.checkout.clone(),
        })?;
        Ok(SourceFile {
            path: path.clone(),
            text,
        })
    }

    /// Finds commit, ref and everything the variables tell of.
    async fn source(&self, options: &PipelineOptions) -> Result<Source, Error> {
        let repo = &self.project().repo;
        let (reference, commit) = load_source(repo, &options.revision, &options.ref_name).await?;
        let checkout = match options.revision {
            Revision::WorkingTree => self.mirror().snapshot(&commit).await?,
            Revision::Head | Revision::Named(_) => commit.sha.clone(),
        };
        let (reference, kind, base) = match &options.kind {
            PipelineKind::MergeRequest(request) => {
                let (request, base) = self
                    .merge_request(request, &options.ref_name, &reference, &commit.sha)
                    .await?;
                let reference = Reference {
                    kind: RefKind::MergeRequest,
                    ..reference
                };
                (reference, PipelineKind::MergeRequest(request), base)
            }
            other => (reference, other.clone(), None),
        };
        let base = match &options.compare_to {
            Some(name) => Some(
                find_commit(repo, name)
                    .await?
                    .ok_or_else(|| Error::UnknownRevision { revision: name.clone() })?,
            ),
            None => base,
        };
        let changes_since = match kind {
            PipelineKind::Push if reference.kind != RefKind::Tag && base.is_none() => {
                merge_base(repo, "@{upstream}", &commit.sha).await?
            }
            PipelineKind::Push | PipelineKind::MergeRequest(_) => base.clone(),
            _ => options.compare_to.as_ref().and(base.clone()),
        };
        Ok(Source {
            changes_since,
            reference,
            commit,
            checkout,
            kind,
            base,
            parent: None,
            variables: options.variables.clone(),
            depth: 0,
        })
    }

    /// Completes what is known of a merge request: its target and where the branches part.
    async fn merge_request(
        &self,
        request: &MergeRequest,
        wished: &RefName,
        reference: &Reference,
        head: &str,
    ) -> Result<(MergeRequest, Option<String>), Error> {
        if let RefName::Tag(name) = wished {
            return Err(Error::InvalidOption {
                option: "ref name",
                problem: format!("a merge request is of a branch, and {name:?} is to be a tag"),
            });
        }
        if reference.kind == RefKind::Tag {
            return Err(Error::InvalidOption {
                option: "revision",
                problem: format!("a merge request is of a branch, and {:?} is a tag", reference.name),
            });
        }
        let project = self.project();
        let target = request.target.clone().unwrap_or_else(|| project.default_branch.clone());
        let completed = MergeRequest {
            target: Some(target.clone()),
            iid: request.iid.max(1),
            ..request.clone()
        };
        let base = merge_base(&project.repo, &target, head).await?;
        Ok((completed, base))
    }

    /// Starts what was evaluated and selected.
    pub(crate) async fn start(&self, source: Source, recipe: Recipe) -> Result<PipelineId, Error> {
        let id = self.lock().reserve_pipeline();
        self.mirror().publish(id, &source.reference, &source.checkout).await?;
        let pipeline = cache_keys::resolve(&recipe.pipeline, self.mirror().path(), &source.checkout).await?;
        let recipe = Recipe { pipeline, ..recipe };
        self.change(|state| {
            state.create_pipeline(id, source, &recipe, Timestamp::now())?;
            self.keep_numbers(state)
        })?;
        Ok(id)
    }
}

fn subject(file: SourceFile, inputs: &Map<String, Value>) -> Subject {
    Subject {
        file,
        inputs: inputs.clone(),
        overlay: BTreeMap::new(),
    }
}
