//! The world of a case: its folder is the project, `world.json` says what else there is.

use pipglr_ci::model::Variable;
use pipglr_ci::{Component, Context, ContextVariables, FetchError, Fetched, Origin, RefKind, Setting, World};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// `world.json`. Everything may be left out; a push to the branch `main` is what is left.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Description {
    /// `CI_PIPELINE_SOURCE`.
    source: Option<String>,
    branch: Option<String>,
    tag: Option<String>,
    merge_request: Option<String>,
    predefined: BTreeMap<String, String>,
    settings: Vec<SettingDescription>,
    pipeline: BTreeMap<String, String>,
    pub(crate) inputs: serde_json::Map<String, serde_json::Value>,
    /// What `changes` looks at; absent: there is nothing to compare to.
    changed: Option<Vec<String>>,
    /// The same for each `compare_to`; a ref that is not here does not exist.
    changed_since: BTreeMap<String, Vec<String>>,
    /// URL to a file of the folder, or to a status or `"timeout"`.
    remotes: BTreeMap<String, serde_json::Value>,
    /// Project to its refs, of which each is a directory of the folder; the key `HEAD` is the default branch.
    projects: BTreeMap<String, BTreeMap<String, String>>,
    /// Name to a file of the folder.
    templates: BTreeMap<String, String>,
    /// Address to a file of the folder; its name and project are taken from the address.
    components: BTreeMap<String, String>,
    /// Paths that are tracked beside the files of the folder; they have no content.
    tracked: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SettingDescription {
    key: String,
    value: String,
    raw: bool,
    file: bool,
    masked: bool,
    scope: Option<String>,
}

#[derive(Debug)]
pub(crate) struct CaseWorld {
    folder: PathBuf,
    pub(crate) description: Description,
}

impl CaseWorld {
    pub(crate) fn open(folder: &Path) -> Self {
        let description = match fs::read_to_string(folder.join("world.json")) {
            Ok(text) => serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", folder.display())),
            Err(_) => Description::default(),
        };
        Self {
            folder: folder.to_owned(),
            description,
        }
    }

    pub(crate) fn context(&self) -> Context {
        let d = &self.description;
        let (ref_kind, ref_name) = match (&d.tag, &d.merge_request, &d.branch) {
            (Some(tag), ..) => (RefKind::Tag, tag.clone()),
            (_, Some(source), _) => (RefKind::MergeRequest, source.clone()),
            (.., branch) => (RefKind::Branch, branch.clone().unwrap_or_else(|| "main".to_owned())),
        };
        let merge_request = ref_kind == RefKind::MergeRequest;
        let usual = if merge_request { "merge_request_event" } else { "push" };
        let source = d.source.clone().unwrap_or_else(|| usual.to_owned());
        let mut predefined = vec![
            variable("CI", "true"),
            variable("CI_PIPELINE_SOURCE", &source),
            variable("CI_DEFAULT_BRANCH", "main"),
            variable("CI_PROJECT_PATH", "group/project"),
            variable("CI_COMMIT_REF_NAME", &ref_name),
            variable("CI_COMMIT_REF_SLUG", &ref_name.replace('/', "-")),
        ];
        match ref_kind {
            RefKind::Branch => predefined.push(variable("CI_COMMIT_BRANCH", &ref_name)),
            RefKind::Tag => predefined.push(variable("CI_COMMIT_TAG", &ref_name)),
            RefKind::MergeRequest => predefined.push(variable("CI_MERGE_REQUEST_IID", "1")),
        }
        predefined.extend(d.predefined.iter().map(|(k, v)| variable(k, v)));
        Context {
            source,
            ref_name,
            ref_kind,
            variables: ContextVariables {
                predefined,
                settings: d.settings.iter().map(setting).collect(),
                pipeline: d.pipeline.iter().map(|(k, v)| variable(k, v)).collect(),
            },
        }
    }

    fn directory(&self, origin: &Origin) -> Result<PathBuf, FetchError> {
        match origin {
            Origin::Project => Ok(self.folder.clone()),
            Origin::Other { project, sha } => {
                let refs = self.description.projects.get(project).ok_or(FetchError::NoProject)?;
                let directory = refs.values().find(|directory| *directory == sha);
                directory.map(|d| self.folder.join(d)).ok_or(FetchError::NoReference)
            }
            Origin::Nowhere => Err(FetchError::Missing),
        }
    }

    fn file(&self, name: &str) -> Result<String, FetchError> {
        fs::read_to_string(self.folder.join(name)).map_err(|_| FetchError::Missing)
    }
}

fn variable(key: &str, value: &str) -> Variable {
    Variable {
        key: key.to_owned(),
        value: value.to_owned(),
        expand: true,
    }
}

fn setting(s: &SettingDescription) -> Setting {
    Setting {
        variable: Variable {
            expand: !s.raw,
            ..variable(&s.key, &s.value)
        },
        file: s.file,
        masked: s.masked,
        environment_scope: s.scope.clone().unwrap_or_else(|| "*".to_owned()),
    }
}

impl World for CaseWorld {
    fn local(&self, origin: &Origin, path: &str) -> Result<String, FetchError> {
        fs::read_to_string(self.directory(origin)?.join(path)).map_err(|_| FetchError::Missing)
    }

    fn paths(&self, origin: &Origin) -> Result<Rc<[String]>, FetchError> {
        let directory = self.directory(origin)?;
        let mut paths = Vec::new();
        collect(&directory, &directory, &mut paths);
        if *origin == Origin::Project {
            paths.extend(self.description.tracked.iter().cloned());
        }
        paths.sort();
        Ok(paths.into())
    }

    fn project(&self, project: &str, reference: Option<&str>) -> Result<Origin, FetchError> {
        let refs = self.description.projects.get(project).ok_or(FetchError::NoProject)?;
        let directory = refs.get(reference.unwrap_or("HEAD")).ok_or(FetchError::NoReference)?;
        Ok(Origin::Other {
            project: project.to_owned(),
            sha: directory.clone(),
        })
    }

    fn remote(&self, url: &str) -> Result<String, FetchError> {
        match self.description.remotes.get(url) {
            Some(serde_json::Value::String(word)) if word == "timeout" => Err(FetchError::TimedOut),
            Some(serde_json::Value::String(file)) => self.file(file),
            Some(status) => Err(FetchError::Status(status.as_u64().unwrap() as u16)),
            None => Err(FetchError::Unavailable("there is no such host".to_owned())),
        }
    }

    fn template(&self, name: &str) -> Result<String, FetchError> {
        self.file(self.description.templates.get(name).ok_or(FetchError::Missing)?)
    }

    fn component(&self, address: &str) -> Result<Component, FetchError> {
        let file = self.description.components.get(address).ok_or(FetchError::Missing)?;
        let (path, version) = address.split_once('@').ok_or(FetchError::Missing)?;
        let (project, name) = path.rsplit_once('/').ok_or(FetchError::Missing)?;
        Ok(Component {
            file: Fetched {
                text: self.file(file)?,
                origin: Origin::Nowhere,
            },
            name: name.to_owned(),
            sha: format!("sha of {project}"),
            version: version.to_owned(),
            reference: version.to_owned(),
        })
    }

    fn changed_paths(&self, compare_to: Option<&str>) -> Result<Option<Rc<[String]>>, FetchError> {
        let d = &self.description;
        match compare_to {
            None => Ok(d.changed.as_ref().map(|paths| Rc::from(paths.as_slice()))),
            Some(reference) => {
                let paths = d.changed_since.get(reference).ok_or(FetchError::NoReference)?;
                Ok(Some(Rc::from(paths.as_slice())))
            }
        }
    }
}

/// All files below, without those that describe the case.
fn collect(root: &Path, directory: &Path, paths: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            collect(root, &path, paths);
        } else if !["world.json", "expected.json", "diagnostics.txt", "source.txt"].contains(&name.as_str()) {
            paths.push(name);
        }
    }
}
