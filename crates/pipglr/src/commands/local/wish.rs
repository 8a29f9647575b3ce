//! What the command line wishes, in the coordinator's words. Reads the environment for `-e NAME`.

use super::places::Places;
use crate::cli::{ContextArgs, LocalArgs};
use crate::error::CliError;
use pipglr_coordinator::{
    Given, Identity, MergeRequest, PipelineKind, PipelineOptions, RefName, Revision, Selection, ServeOptions, Sources,
    VariableFile, VariableFormat,
};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// What a scheduled pipeline is said to be.
const SCHEDULE: &str = "pipglr local --schedule";
/// Whose address jobs are shown.
const REMOTE: &str = "origin";

/// How the coordinator serves the project.
pub(in crate::commands) fn serving(args: &ContextArgs, places: &Places, url: &str) -> Result<ServeOptions, CliError> {
    Ok(ServeOptions {
        config_path: args.config.clone(),
        identity: Identity::Remote(REMOTE.to_owned()),
        sources: Sources {
            offline: args.offline,
            variable_files: variable_files(&args.variables_file, &places.repo)?,
            ..Sources::default()
        },
        ..ServeOptions::new(&places.repo, places.slot.join("coordinator"), url)
    })
}

/// Which pipeline is wanted, and which of its jobs.
pub(super) fn pipeline(args: &LocalArgs) -> Result<PipelineOptions, CliError> {
    Ok(PipelineOptions {
        selection: Selection {
            jobs: args.jobs.clone(),
            stages: args.stage.clone(),
            from: args.from.clone(),
            only_failed: args.only_failed,
            needs: args.needs,
            play: args.manual.clone(),
        },
        ..whole_pipeline(&args.context)?
    })
}

/// Which pipeline is wanted, with all of its jobs.
pub(in crate::commands) fn whole_pipeline(args: &ContextArgs) -> Result<PipelineOptions, CliError> {
    let ref_name = match (&args.branch, &args.tag) {
        (Some(name), _) => RefName::Branch(name.clone()),
        (_, Some(name)) => RefName::Tag(name.clone()),
        (None, None) => RefName::OfRevision,
    };
    let kind = match &args.mr {
        Some(target) => PipelineKind::MergeRequest(MergeRequest {
            target: Some(target.clone()).filter(|target| !target.is_empty()),
            ..MergeRequest::default()
        }),
        None if args.schedule => PipelineKind::Schedule {
            description: SCHEDULE.to_owned(),
        },
        None => PipelineKind::Push,
    };
    Ok(PipelineOptions {
        revision: Revision::WorkingTree,
        ref_name,
        kind,
        variables: args
            .variables
            .iter()
            .map(|text| variable(text))
            .collect::<Result<_, _>>()?,
        inputs: inputs(&args.input)?,
        ..PipelineOptions::default()
    })
}

/// `NAME=VALUE`, or `NAME` of our environment.
fn variable(text: &str) -> Result<Given, CliError> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, value.to_owned()),
        None => {
            let value = std::env::var(text).map_err(|_| {
                CliError::usage(format_args!("-e {text}: there is no such variable in the environment"))
            })?;
            (text, value)
        }
    };
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        return Err(CliError::usage(format_args!(
            "-e {text}: {name:?} is no name of a variable: letters, digits and _"
        )));
    }
    Ok(Given::new(name, value))
}

/// What reads as JSON is that, everything else a text.
fn inputs(given: &[String]) -> Result<Map<String, Value>, CliError> {
    given
        .iter()
        .map(|text| {
            let (name, value) = text
                .split_once('=')
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| CliError::usage(format_args!("--input {text}: write NAME=VALUE")))?;
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
            Ok((name.to_owned(), value))
        })
        .collect()
}

/// Those that are read if they are there, then those that were named.
fn variable_files(named: &[PathBuf], repo: &Path) -> Result<Vec<VariableFile>, CliError> {
    let file = |path: PathBuf, format| VariableFile { path, format };
    let mut files = Vec::new();
    if let Some(home) = std::env::home_dir() {
        files.push(file(
            home.join(".gitlab-ci-local/variables.yml"),
            VariableFormat::LocalHome,
        ));
    }
    files.push(file(repo.join(PROJECT_FILE), VariableFormat::LocalProject));
    files.push(file(repo.join(".pipglr/variables.yml"), VariableFormat::Pipglr));
    for path in named {
        if !path.is_file() {
            return Err(CliError::usage(format_args!(
                "--variables-file {}: there is no such file",
                path.display()
            )));
        }
        let format = match path.file_name() {
            Some(name) if name == PROJECT_FILE => VariableFormat::LocalProject,
            _ => VariableFormat::Pipglr,
        };
        files.push(file(path.clone(), format));
    }
    Ok(files)
}

const PROJECT_FILE: &str = ".gitlab-ci-local-variables.yml";

#[cfg(test)]
mod tests {
    use super::{inputs, variable};
    use serde_json::json;

    #[test]
    fn variables_have_a_name() {
        for (text, expected) in [
            ("A=1", Some(("A", "1"))),
            ("A=", Some(("A", ""))),
            ("A=b=c", Some(("A", "b=c"))),
            ("=1", None),
            ("A B=1", None),
            ("NOT_IN_ANY_ENVIRONMENT_AT_ALL", None),
        ] {
            let given = variable(text).ok();
            let found = given.as_ref().map(|given| (given.key.as_str(), given.value.expose()));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn inputs_are_what_they_read_as() {
        let given = ["a=1", "b=true", "c=text", "d=[1, \"x\"]", "e=\"1\"", "f="].map(str::to_owned);
        let expected = json!({ "a": 1, "b": true, "c": "text", "d": [1, "x"], "e": "1", "f": "" });
        assert_eq!(json!(inputs(&given).unwrap()), expected);
        assert!(inputs(&["=1".to_owned()]).is_err() && inputs(&["a".to_owned()]).is_err());
    }
}
