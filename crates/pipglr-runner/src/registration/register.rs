//! Adding a runner: token exchange with GitLab, then one `[[runners]]` more in config.toml.
//!
//! Compat: gitlab-runner commands/register.go.

use super::entry::OptionError;
use super::template::Template;
use super::{entry, is_created_token, whole_second_now};
use crate::config::file::{ConfigFile, FileError, datetime};
use crate::gitlab::{Connection, Error, GitLab, TlsFiles, Verified};
use crate::manager::runner_info;
use pipglr_protocol::Secret;
use pipglr_protocol::registration::{RegisterRequest, RegisterResponse};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml_edit::{Table, value};

/// What was asked for.
#[derive(Debug, Clone, Default)]
pub struct RegisterRequestFields {
    pub url: String,
    /// An authentication token (`--token`).
    pub token: Secret,
    /// A registration token, or an authentication token given in its place.
    pub registration_token: Secret,
    pub name: String,
    /// What only GitLab keeps; not allowed with a `glrt-` token.
    pub server_side: RegisterRequest,
    /// Options of `OPTIONS` that were given: flag to texts.
    pub options: BTreeMap<String, Vec<String>>,
    /// Fills in what is not given.
    pub template: Option<Template>,
}

/// A registered runner.
#[derive(Debug, Clone)]
pub struct Registered {
    pub id: u64,
    pub token: Secret,
    /// Sentences for the user.
    pub warnings: Vec<String>,
}

/// Why registering failed, in words that say what to do.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Option(#[from] OptionError),
    #[error("cannot register")]
    Unreachable { source: Error, hint: String },
    #[error("GitLab at {url} does not accept the token")]
    WrongToken { url: String },
    #[error("{url} answers, but not like GitLab")]
    NotGitLab { url: String },
    #[error("GitLab at {url} no longer takes registration tokens")]
    RegistrationTokensDisabled { url: String },
    #[error("the registration cannot be stored")]
    File { source: FileError, path: PathBuf },
}

impl RegisterError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Usage(_) | Self::Option(_) => None,
            Self::Unreachable { hint, .. } => Some(hint.clone()),
            Self::WrongToken { .. } => Some(
                "copy the token again from the page of the runner in GitLab (CI/CD settings, Runners) and renew the \
                 secret REGISTRATION_TOKEN"
                    .to_owned(),
            ),
            Self::RegistrationTokensDisabled { .. } => {
                Some("create a runner in GitLab and use its `glrt-` authentication token".to_owned())
            }
            Self::NotGitLab { .. } => {
                Some("check CI_SERVER_URL: it is the address of the GitLab instance itself".to_owned())
            }
            Self::File {
                source: FileError::Syntax { .. },
                path,
            } => Some(format!("correct {} first", path.display())),
            Self::File { path, .. } => Some(format!(
                "make sure that {} exists and is writable, for example: touch config.toml",
                path.display()
            )),
        }
    }
}

/// Registers a runner and appends it to the file at `path`.
///
/// # Errors
/// [`RegisterError`]. If the file cannot be written after GitLab made a runner, that runner is removed again.
pub async fn register(
    fields: &RegisterRequestFields,
    path: &Path,
    system_id: &str,
) -> Result<Registered, RegisterError> {
    let file_error = |source| RegisterError::File {
        source,
        path: path.to_owned(),
    };
    let mut warnings = check_reserved(fields)?;
    let mut file = ConfigFile::open(path).map_err(file_error)?;
    // Found out before GitLab is asked: a runner nobody can use must not be left there.
    file.save().map_err(file_error)?;
    warnings.extend(surprises(fields, &file));
    let gitlab = connect(fields)?;
    let (response, created_now) = exchange(fields, &gitlab, system_id, &mut warnings).await?;
    file.append_runner(runner_table(fields, &response)?);
    if let Err(error) = file.save() {
        if created_now && let Err(undo) = gitlab.unregister(&response.token, None).await {
            tracing::warn!(error = %undo, "the runner made for nothing could not be removed from GitLab");
        }
        return Err(file_error(error));
    }
    Ok(Registered {
        id: response.id,
        token: response.token,
        warnings,
    })
}

/// What is no mistake, but hardly wanted.
fn surprises(fields: &RegisterRequestFields, file: &ConfigFile) -> Vec<String> {
    let mut found = Vec::new();
    let tokens = [&fields.token, &fields.registration_token];
    if file.has_token(|written| tokens.iter().any(|t| !t.is_empty() && *t == written)) {
        found.push("a runner with this token is in the file already; it gets a second entry".to_owned());
    }
    let concurrent = file.concurrent();
    for flag in ["limit", "request-concurrency"] {
        let given = fields.options.get(flag).and_then(|v| v.last()?.parse::<i64>().ok());
        if let Some(given) = given.filter(|&given| given > concurrent) {
            found.push(format!(
                "--{flag} {given} is more than `concurrent = {concurrent}` of the file, which bounds all runners together"
            ));
        }
    }
    found
}

/// Options GitLab keeps for created runners cannot be given here.
fn check_reserved(fields: &RegisterRequestFields) -> Result<Vec<String>, RegisterError> {
    let asked = &fields.server_side;
    let mut given: Vec<&str> = Vec::new();
    let mut note = |on: bool, name| {
        if on {
            given.push(name);
        }
    };
    note(!asked.locked, "--locked");
    note(!asked.access_level.is_empty(), "--access-level");
    note(asked.run_untagged, "--run-untagged");
    note(asked.maximum_timeout.is_some(), "--maximum-timeout");
    note(asked.paused, "--paused");
    note(!asked.tag_list.is_empty(), "--tag-list");
    note(!asked.maintenance_note.is_empty(), "--maintenance-note");
    if given.is_empty() {
        return Ok(Vec::new());
    }
    let what = format!(
        "{} cannot be given with an authentication token (`glrt-`): they are set where the runner was created in GitLab",
        given.join(", ")
    );
    if is_created_token(fields.token.expose()) {
        return Err(RegisterError::Usage(what));
    }
    let legacy = is_created_token(fields.registration_token.expose());
    Ok(if legacy {
        vec![format!("ignored: {what}")]
    } else {
        Vec::new()
    })
}

fn connect(fields: &RegisterRequestFields) -> Result<GitLab, RegisterError> {
    let path = |flag: &str| {
        let given = fields.options.get(flag).and_then(|v| v.last()).cloned();
        let template = || fields.template.as_ref().and_then(|t| t.text(flag));
        given.or_else(template).map(PathBuf::from)
    };
    let tls = TlsFiles {
        ca: path("tls-ca-file"),
        cert: path("tls-cert-file"),
        key: path("tls-key-file"),
        ca_text: None,
        identity_text: None,
    };
    GitLab::connect(&Connection {
        url: fields.url.clone(),
        tls,
    })
    .map_err(|e| RegisterError::Usage(e.to_string()))
}

/// Gets a usable token; true if GitLab made a new runner for it.
async fn exchange(
    fields: &RegisterRequestFields,
    gitlab: &GitLab,
    system_id: &str,
    warnings: &mut Vec<String>,
) -> Result<(RegisterResponse, bool), RegisterError> {
    let given = if fields.token.is_empty() {
        &fields.registration_token
    } else {
        &fields.token
    };
    if given.is_empty() {
        return Err(RegisterError::Usage(
            "no token: create the secret with `echo TOKEN | podman secret create REGISTRATION_TOKEN -`, or give --token".to_owned(),
        ));
    }
    if !fields.token.is_empty() || is_created_token(given.expose()) {
        return verify_token(fields, gitlab, given, system_id)
            .await
            .map(|response| (response, false));
    }
    let request = RegisterRequest {
        description: fields.name.clone(),
        token: given.clone(),
        info: runner_info(None),
        run_untagged: fields.server_side.run_untagged || fields.server_side.tag_list.is_empty(),
        ..fields.server_side.clone()
    };
    warnings.push(
        "registration tokens are deprecated by GitLab: prefer a runner created in GitLab and its `glrt-` token"
            .to_owned(),
    );
    match gitlab.register(&request).await {
        Ok(response) => Ok((response, true)),
        Err(error) => Err(match error.status() {
            Some(403) => RegisterError::WrongToken {
                url: fields.url.clone(),
            },
            Some(410) => RegisterError::RegistrationTokensDisabled {
                url: fields.url.clone(),
            },
            _ => unreachable_gitlab(fields, error),
        }),
    }
}

async fn verify_token(
    fields: &RegisterRequestFields,
    gitlab: &GitLab,
    token: &Secret,
    system_id: &str,
) -> Result<RegisterResponse, RegisterError> {
    match gitlab.verify(token, system_id, &runner_info(None)).await {
        Ok(Verified::Alive(response)) => {
            let mut response = response.unwrap_or_default();
            if is_created_token(token.expose()) && response.id == 0 {
                return Err(RegisterError::NotGitLab {
                    url: fields.url.clone(),
                });
            }
            response.token = token.clone();
            Ok(response)
        }
        Ok(Verified::Invalid) => Err(RegisterError::WrongToken {
            url: fields.url.clone(),
        }),
        Err(error) => Err(unreachable_gitlab(fields, error)),
    }
}

fn unreachable_gitlab(fields: &RegisterRequestFields, source: Error) -> RegisterError {
    let hint = format!(
        "check that CI_SERVER_URL ({}) is right and that this host can reach it",
        fields.url
    );
    RegisterError::Unreachable { source, hint }
}

/// The new `[[runners]]` table.
fn runner_table(fields: &RegisterRequestFields, response: &RegisterResponse) -> Result<Table, RegisterError> {
    let mut table = Table::new();
    table.insert("name", value(fields.name.as_str()));
    table.insert("url", value(fields.url.as_str()));
    table.insert("id", value(i64::try_from(response.id).unwrap_or_default()));
    table.insert("token", value(response.token.expose()));
    table.insert("token_obtained_at", datetime(&whole_second_now().to_string()));
    table.insert(
        "token_expires_at",
        datetime(response.token_expires_at.as_deref().unwrap_or_default()),
    );
    entry::insert_options(&mut table, &fields.options)?;
    if let Some(template) = &fields.template {
        template.fill(&mut table);
    }
    Ok(table)
}
