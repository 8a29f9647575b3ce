//! What is evaluated: the configuration of the working tree we are in, or a file alone.

use super::local::places::{Places, top_level};
use super::local::{CONFIGURATION, explain, wish};
use crate::cli::ContextArgs;
use crate::error::{CliError, Kind};
use crate::output;
use anyhow::Context as _;
use pipglr_coordinator::ci::model::Variable;
use pipglr_coordinator::ci::{Context, ContextVariables, Nothing, RefKind, Request, SourceFile};
use pipglr_coordinator::{Coordinator, PipelineKind, PipelineOptions, RefName};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The branch that is assumed where there is no repository to ask.
const BRANCH: &str = "main";
/// Of a coordinator that listens nowhere. Jobs of a project with a remote are told the remote's.
const URL: &str = "http://127.0.0.1";

/// A file with the world it is evaluated in.
pub(super) struct Subject {
    options: PipelineOptions,
    world: World,
}

enum World {
    /// A working tree: the file is another one than the configuration, if given.
    Repository {
        coordinator: Box<Coordinator>,
        config: String,
        file: Option<SourceFile>,
        /// Keeps others off the directory the coordinator works in.
        _places: Places,
    },
    /// No repository, or one without a commit.
    Alone(SourceFile),
}

impl Subject {
    /// The configuration of the working tree we are in, or the file at `path`; `-` is standard input.
    pub(super) async fn open(args: &ContextArgs, path: Option<&Path>) -> Result<Self, CliError> {
        let options = wish::whole_pipeline(args)?;
        let repo = match top_level() {
            Ok(repo) => Some(repo),
            Err(error) if is_elsewhere(&error) => None,
            Err(error) => return Err(error),
        };
        let file = path.map(|path| read(path, repo.as_deref())).transpose()?;
        let (repo, why) = match repo {
            Some(repo) if has_commit(&repo) => (repo, None),
            Some(repo) => (repo, Some("the repository has no commit yet")),
            None => (PathBuf::new(), Some("this is no git working tree")),
        };
        if let Some(why) = why {
            let file = match file {
                Some(file) => file,
                None => read(&repo.join(&args.config), Some(&repo))?,
            };
            return Ok(Self::alone(options, file, why));
        }
        let places = Places::take(repo)?;
        let serving = wish::serving(args, &places, URL)?;
        let coordinator = Coordinator::open(serving).await.map_err(explain)?;
        Ok(Self {
            options,
            world: World::Repository {
                coordinator: Box::new(coordinator),
                config: args.config.clone(),
                file,
                _places: places,
            },
        })
    }

    fn alone(options: PipelineOptions, file: SourceFile, why: &str) -> Self {
        output::aside(format_args!(
            "note: {why}: {} is read alone, without the files it includes, as for a push to {BRANCH} unless said otherwise",
            file.path
        ));
        Self {
            options,
            world: World::Alone(file),
        }
    }

    /// What the file is called in messages.
    pub(super) fn path(&self) -> String {
        match &self.world {
            World::Repository { file: None, config, .. } => config.clone(),
            World::Repository { file: Some(file), .. } | World::Alone(file) => file.path.clone(),
        }
    }

    /// Asks the evaluator a question about it.
    pub(super) async fn ask<T: Send + 'static>(
        self,
        question: impl FnOnce(&Request<'_>) -> T + Send + 'static,
    ) -> Result<T, CliError> {
        match self.world {
            World::Repository { coordinator, file, .. } => {
                coordinator.ask(&self.options, file, question).await.map_err(explain)
            }
            World::Alone(file) => Ok(question(&Request {
                file: &file,
                inputs: &self.options.inputs,
                context: &context(&self.options),
                world: &Nothing,
            })),
        }
    }
}

/// Whether git says that there is no repository, and not that it cannot use it.
fn is_elsewhere(error: &CliError) -> bool {
    error.source.to_string().contains("not a git repository")
}

/// Whether there is something that variables could tell of.
fn has_commit(repo: &Path) -> bool {
    let arguments = ["rev-parse", "--verify", "--quiet", "HEAD"];
    let output = Command::new("git").args(arguments).current_dir(repo).output();
    output.is_ok_and(|output| output.status.success())
}

/// Reads a file; within a repository it is called as from the top.
fn read(path: &Path, repo: Option<&Path>) -> Result<SourceFile, CliError> {
    if path == Path::new("-") {
        let mut text = Vec::new();
        std::io::stdin().read_to_end(&mut text).context("read standard input")?;
        return source("<stdin>".to_owned(), text);
    }
    let text = std::fs::read(path).map_err(|error| CliError {
        kind: Kind::Code(CONFIGURATION),
        source: anyhow::Error::new(error).context(format!("read {}", path.display())),
        hints: vec!["name the file, or change to a project with a .gitlab-ci.yml".to_owned()],
    })?;
    let from_top = repo.and_then(|repo| {
        let path = path.canonicalize().ok()?;
        Some(path.strip_prefix(repo.canonicalize().ok()?).ok()?.to_owned())
    });
    source(
        from_top.unwrap_or_else(|| PathBuf::from(path)).display().to_string(),
        text,
    )
}

fn source(path: String, text: Vec<u8>) -> Result<SourceFile, CliError> {
    let text = String::from_utf8(text).map_err(|error| CliError {
        kind: Kind::Code(CONFIGURATION),
        source: anyhow::anyhow!("{path} is not UTF-8: byte {}", error.utf8_error().valid_up_to() + 1),
        hints: vec!["save the file as UTF-8".to_owned()],
    })?;
    Ok(SourceFile { path, text })
}

/// What can be said of a pipeline without a repository.
fn context(options: &PipelineOptions) -> Context {
    let (name, tag) = match &options.ref_name {
        RefName::OfRevision => (BRANCH, false),
        RefName::Branch(name) => (name.as_str(), false),
        RefName::Tag(name) => (name.as_str(), true),
    };
    let merge_request = matches!(options.kind, PipelineKind::MergeRequest(_));
    let ref_kind = match (tag, merge_request) {
        (true, _) => RefKind::Tag,
        (false, true) => RefKind::MergeRequest,
        (false, false) => RefKind::Branch,
    };
    let of_kind = match ref_kind {
        RefKind::Tag => "CI_COMMIT_TAG",
        RefKind::MergeRequest => "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME",
        RefKind::Branch => "CI_COMMIT_BRANCH",
    };
    let source = options.kind.as_str();
    let predefined = [
        ("CI", "true"),
        ("GITLAB_CI", "true"),
        ("CI_PIPELINE_SOURCE", source),
        ("CI_DEFAULT_BRANCH", BRANCH),
        ("CI_COMMIT_REF_NAME", name),
        (of_kind, name),
    ];
    let target = match &options.kind {
        PipelineKind::MergeRequest(request) => Some(request.target.as_deref().unwrap_or(BRANCH)),
        _ => None,
    };
    let target = target.map(|target| ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", target));
    let variable = |(key, value): (&str, &str), expand| Variable {
        key: key.to_owned(),
        value: value.to_owned(),
        expand,
    };
    Context {
        source: source.to_owned(),
        ref_name: name.to_owned(),
        ref_kind,
        variables: ContextVariables {
            predefined: predefined
                .into_iter()
                .chain(target)
                .map(|pair| variable(pair, false))
                .collect(),
            settings: Vec::new(),
            pipeline: options
                .variables
                .iter()
                .map(|given| variable((given.key.as_str(), given.value.expose()), !given.raw))
                .collect(),
        },
    }
}
