//! `secrets:` of a job: asked for where they are kept, before anything else is done, and added as masked variables.
//!
//! Compat: gitlab-runner common/secrets.go, common/build.go `wrapSecretResolvingError`.

mod vault;

use super::plan::{self, AcceptedJob};
use super::variables::Variables;
use super::{JobError, settings};
use crate::gitlab::{TlsFiles, http_client};
use crate::trace::Trace;
use pipglr_protocol::Secret;
use pipglr_protocol::payload::Variable;
use pipglr_protocol::update::FailureReason;
use serde::Deserialize;
use serde_json::Value;
use vault::VaultSecret;

/// Keepers of secrets this runner cannot ask.
const UNSUPPORTED: [&str; 5] = [
    "akeyless",
    "aws_secrets_manager",
    "azure_key_vault",
    "gcp_secret_manager",
    "gitlab_secrets_manager",
];

/// Why a secret could not be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// What the job says about it cannot work.
    #[error("{0}")]
    Configuration(String),
    /// Its keeper does not answer, or is not able to.
    #[error("{0}")]
    Unreachable(String),
    /// Its keeper does not have it.
    #[error("{0}")]
    Missing(String),
    /// Its keeper does not give it.
    #[error("{0}")]
    Refused(String),
}

/// One secret that is to be had.
struct Wanted {
    key: String,
    /// The variable holds the path of a file with the secret.
    file: bool,
    /// `None`: nobody is named who keeps it.
    vault: Option<VaultSecret>,
}

/// Fetches the job's secrets as variables, and masks them from here on.
pub(super) async fn resolve(job: &AcceptedJob, trace: &Trace) -> Result<Vec<Variable>, JobError> {
    let mut warnings = Vec::new();
    let variables = plan::variables_of(job);
    let attempts = settings::attempts(&variables, "SECRETS_RETRIEVAL_ATTEMPTS", &mut warnings);
    let wanted = lower(job, &variables).map_err(as_job_error)?;
    let tls = TlsFiles {
        ca_text: job.ca_certificates.clone(),
        ..TlsFiles::default()
    };
    let http = http_client(&tls).map_err(|error| JobError::Configuration(error.to_string()))?;
    for warning in &warnings {
        trace.warning(warning);
    }
    let may_be_missing = !plan::flag_of(job, "FF_SECRET_RESOLVING_FAILS_IF_MISSING");
    let pauses = plan::pauses_of(job);
    for attempt in 1.. {
        trace.section_start("resolve_secrets", "Resolving secrets");
        let end = try_all(&http, &wanted, may_be_missing, trace).await;
        trace.section_end("resolve_secrets");
        match end {
            Ok(secrets) => {
                trace.mask(secrets.iter().map(|secret| secret.value.expose()));
                return Ok(secrets);
            }
            Err(failure) if attempt >= attempts || matches!(failure, Failure::Configuration(_)) => {
                return Err(as_job_error(failure));
            }
            Err(failure) => {
                trace.warning(&failure.to_string());
                trace.warning("Retrying...");
                tokio::time::sleep(pauses.after(attempt)).await;
            }
        }
    }
    unreachable!("the loop above has no end of its own")
}

async fn try_all(
    http: &reqwest::Client,
    wanted: &[Wanted],
    may_be_missing: bool,
    trace: &Trace,
) -> Result<Vec<Variable>, Failure> {
    let mut secrets = Vec::new();
    for Wanted { key, file, vault } in wanted {
        trace.line(&format!("Resolving secret {key:?}..."));
        let Some(vault) = vault else {
            trace.warning(&format!("Not resolved: nobody is named who keeps secret {key:?}"));
            continue;
        };
        trace.line("Using \"vault\" secret resolver...");
        match vault::read(http, vault).await {
            Ok(value) => secrets.push(Variable {
                key: key.clone(),
                value,
                file: *file,
                masked: true,
                raw: true,
                public: false,
            }),
            Err(Failure::Missing(why)) if may_be_missing => {
                trace.warning(&format!("Not resolved: secret {key:?} is missing: {why}"));
            }
            Err(failure) => return Err(failure.of(key)),
        }
    }
    Ok(secrets)
}

impl Failure {
    fn of(self, key: &str) -> Self {
        let named = |text: String| format!("secret {key:?}: {text}");
        match self {
            Self::Configuration(text) => Self::Configuration(named(text)),
            Self::Unreachable(text) => Self::Unreachable(named(text)),
            Self::Missing(text) => Self::Missing(named(text)),
            Self::Refused(text) => Self::Refused(named(text)),
        }
    }
}

fn as_job_error(failure: Failure) -> JobError {
    let reason = match &failure {
        Failure::Configuration(_) => FailureReason::RunnerConfigurationError,
        Failure::Unreachable(_) => FailureReason::RunnerExternalDependencyFailure,
        Failure::Missing(_) | Failure::Refused(_) => FailureReason::RunnerSystemFailure,
    };
    JobError::Secrets {
        message: failure.to_string(),
        reason,
    }
}

/// What the payload says of the secrets, variables expanded. Pure.
fn lower(job: &AcceptedJob, variables: &Variables) -> Result<Vec<Wanted>, Failure> {
    #[derive(Deserialize)]
    struct Entry {
        vault: Option<VaultSecret>,
        file: Option<bool>,
    }
    let wanted = job.payload.secrets.iter().map(|(key, value)| {
        let unsupported = |name: &&&str| value.get(**name).is_some_and(|v| !v.is_null());
        if let (None | Some(Value::Null), Some(name)) = (value.get("vault"), UNSUPPORTED.iter().find(unsupported)) {
            return Err(Failure::Configuration(format!(
                "secret {key:?} is kept by {name}, which this runner cannot ask: only vault is supported"
            )));
        }
        // The parser's own words could quote what is secret.
        let entry: Entry = serde_json::from_value(expanded(value, variables))
            .map_err(|_| Failure::Configuration(format!("secret {key:?}: the payload cannot be read")))?;
        Ok(Wanted {
            key: key.clone(),
            file: entry.file.unwrap_or(true),
            vault: entry.vault,
        })
    });
    wanted.collect()
}

/// All texts of a value with their variables expanded.
fn expanded(value: &Value, variables: &Variables) -> Value {
    match value {
        Value::String(text) => Value::String(variables.expand(text)),
        Value::Array(items) => items.iter().map(|item| expanded(item, variables)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, field)| (key.clone(), expanded(field, variables)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// A secret's value as a variable holds it.
fn text_of(value: &Value) -> Secret {
    Secret::new(match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    })
}
