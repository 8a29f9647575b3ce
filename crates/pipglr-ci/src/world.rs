//! What an evaluation has to know of the world outside the file. Callers do the I/O.

use crate::model::Variable;
use std::fmt;
use std::rc::Rc;

/// What decides, beside the files, what a pipeline is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// `CI_PIPELINE_SOURCE`: `push`, `web`, `schedule`, `merge_request_event`, `parent_pipeline`, …
    pub source: String,
    /// Name of the branch or tag.
    pub ref_name: String,
    pub ref_kind: RefKind,
    pub variables: ContextVariables,
}

/// What the pipeline is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RefKind {
    #[default]
    Branch,
    Tag,
    MergeRequest,
}

/// Variables from outside the files. Of a key that is there twice, in one list or in two, the last counts; those of
/// `settings` and `pipeline` beat what the files say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContextVariables {
    /// `CI_…`, `GITLAB_…`: what rules may see of them. Compat: ci-yaml.md 26, those that exist before the pipeline does.
    pub predefined: Vec<Variable>,
    /// Of the instance, the groups and the project, weakest first; those of one of them with closer scopes later.
    pub settings: Vec<Setting>,
    /// Of the command line, the trigger, the schedule or the parent pipeline.
    pub pipeline: Vec<Variable>,
}

/// A variable that is set in GitLab and not in a file. Its value may be secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Setting {
    pub variable: Variable,
    /// The value is the content of a file whose path the job gets.
    pub file: bool,
    /// Nobody may see the value: messages show `[MASKED]`.
    pub masked: bool,
    /// Environments it is for: `*`, a name, or a name with `*` in it.
    pub environment_scope: String,
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setting")
            .field("key", &self.variable.key)
            .field("file", &self.file)
            .field("masked", &self.masked)
            .field("environment_scope", &self.environment_scope)
            .finish_non_exhaustive()
    }
}

/// Where a file is, and where the files are that it includes by `local`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The project that is evaluated, at the pipeline's commit.
    #[default]
    Project,
    /// Another project at a commit.
    Other { project: String, sha: String },
    /// A file of no project: a URL or a template. It cannot include by `local`.
    Nowhere,
}

/// A file of another project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    pub text: String,
    pub origin: Origin,
}

/// A component's template with what `$[[ component.… ]]` may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    pub file: Fetched,
    pub name: String,
    pub sha: String,
    /// The tag or branch that was found.
    pub version: String,
    /// What stands behind the `@`.
    pub reference: String,
}

/// Why a file is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchError {
    /// There is no such file.
    Missing,
    /// There is no such project.
    NoProject,
    /// The project is not there or is not for us; a sentence about how that was found out, without a period.
    Refused(String),
    /// The project has no such branch, tag or commit.
    NoReference,
    /// The server answered with this status.
    Status(u16),
    TimedOut,
    /// It cannot be had here; a sentence about why, without a period.
    Unavailable(String),
}

/// The files, paths and changes of the world outside. An evaluation asks for the same thing at most once or twice, so
/// implementations keep what is dear.
pub trait World: fmt::Debug {
    /// A tracked file; `path` has no leading slash.
    ///
    /// # Errors
    /// It is not there.
    fn local(&self, origin: &Origin, path: &str) -> Result<String, FetchError>;

    /// The paths of all tracked files, sorted. For `include` with wildcards and for `exists`.
    ///
    /// # Errors
    /// The project is not there.
    fn paths(&self, origin: &Origin) -> Result<Rc<[String]>, FetchError>;

    /// Another project at a branch, a tag, a commit, or its default branch.
    ///
    /// # Errors
    /// There is no such project or ref.
    fn project(&self, project: &str, reference: Option<&str>) -> Result<Origin, FetchError>;

    /// # Errors
    /// The URL gives no file.
    fn remote(&self, url: &str) -> Result<String, FetchError>;

    /// A template that comes with GitLab, by its name with `.gitlab-ci.yml`.
    ///
    /// # Errors
    /// There is none of this name.
    fn template(&self, name: &str) -> Result<String, FetchError>;

    /// A component by its address, `HOST/PROJECT/NAME@VERSION`.
    ///
    /// # Errors
    /// It is not there.
    fn component(&self, address: &str) -> Result<Component, FetchError>;

    /// The paths that `changes` looks at, compared to a ref or to what the pipeline's source compares to. `None` when
    /// there is nothing to compare to, which makes every `changes` true.
    ///
    /// # Errors
    /// `compare_to` is no ref.
    fn changed_paths(&self, compare_to: Option<&str>) -> Result<Option<Rc<[String]>>, FetchError>;
}

/// A world without files: one file alone is evaluated.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

impl World for Nothing {
    fn local(&self, _: &Origin, _: &str) -> Result<String, FetchError> {
        Err(FetchError::Missing)
    }

    fn paths(&self, _: &Origin) -> Result<Rc<[String]>, FetchError> {
        Ok(Rc::from([]))
    }

    fn project(&self, _: &str, _: Option<&str>) -> Result<Origin, FetchError> {
        Err(FetchError::NoProject)
    }

    fn remote(&self, _: &str) -> Result<String, FetchError> {
        Err(no_network())
    }

    fn template(&self, _: &str) -> Result<String, FetchError> {
        Err(FetchError::Missing)
    }

    fn component(&self, _: &str) -> Result<Component, FetchError> {
        Err(no_network())
    }

    fn changed_paths(&self, _: Option<&str>) -> Result<Option<Rc<[String]>>, FetchError> {
        Ok(None)
    }
}

fn no_network() -> FetchError {
    FetchError::Unavailable("nothing is fetched here".to_owned())
}
