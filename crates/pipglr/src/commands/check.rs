//! `pipglr config check` and `pipglr runner lint`: what becomes of each key of a config.toml.

use super::Outcome;
use super::config::Place;
use crate::cli::CheckArgs;
use crate::output;
use pipglr_runner::config::keys::State;
use pipglr_runner::config::{self, Checked, Finding, Severity};
use serde_json::json;
use std::path::Path;

pub(super) fn run(args: &CheckArgs) -> Outcome {
    let (name, text) = match &args.path {
        Some(path) => (path.clone(), config::read(path)?),
        None => {
            let place = Place::of(&args.place)?;
            (place.name(), place.read()?)
        }
    };
    let checked = config::check_config(&text);
    if args.json {
        output::line(format_args!("{:#}", json_report(&name, &checked)))?;
    } else {
        for line in report(&name, &checked) {
            output::line(line)?;
        }
    }
    Ok(u8::from(checked.config.is_none()))
}

/// As gitlab-runner's: unknown keys are errors, too.
///
/// Compat: gitlab-runner commands/lint.go.
pub(super) fn lint(file: &Path) -> Outcome {
    let checked = config::check_config(&config::read(file)?);
    let wrong: Vec<&Finding> = checked
        .findings
        .iter()
        .filter(|f| f.severity >= Severity::UnknownKey)
        .collect();
    if wrong.is_empty() {
        output::line("Configuration file is valid.")?;
        return Ok(0);
    }
    for finding in wrong {
        output::line(format_args!(
            "{}:{}: {}",
            file.display(),
            finding.place,
            finding.message
        ))?;
    }
    Ok(1)
}

/// Findings, keys that are treated otherwise than by gitlab-runner, and a summary.
pub(super) fn report(file: &Path, checked: &Checked) -> Vec<String> {
    let file = file.display();
    let mut lines: Vec<_> = checked.findings.iter().map(|f| (f.place, f.to_string())).collect();
    for used in checked.used.iter().filter(|u| u.key.state == State::Differs) {
        lines.push((
            used.place,
            format!("{}: note: `{}` differs: {}", used.place, used.key.path, used.key.note),
        ));
    }
    lines.sort_by_key(|(place, _)| *place);
    let mut lines: Vec<String> = lines.into_iter().map(|(_, text)| format!("{file}:{text}")).collect();
    let count = |state| checked.used.iter().filter(|u| u.key.state == state).count();
    let errors = checked
        .findings
        .iter()
        .filter(|f| f.severity == Severity::Error)
        .count();
    let verdict = match &checked.config {
        Some(config) => format!("usable, runners: {}", config.runners.len()),
        None => format!("not usable, errors: {errors}"),
    };
    lines.push(format!(
        "{file}: {verdict}; keys honoured: {}, differing: {}, without effect: {}",
        count(State::Honoured),
        count(State::Differs),
        count(State::Ignored)
    ));
    lines
}

fn json_report(file: &Path, checked: &Checked) -> serde_json::Value {
    let findings = checked.findings.iter().map(|f| {
        json!({"severity": f.severity.word(), "line": f.place.line, "column": f.place.column, "message": f.message})
    });
    let keys = checked.used.iter().map(|u| {
        json!({
            "key": u.key.path, "line": u.place.line, "column": u.place.column,
            "state": u.key.state.word(), "note": u.key.note,
        })
    });
    json!({
        "file": file.display().to_string(),
        "usable": checked.config.is_some(),
        "findings": findings.collect::<Vec<_>>(),
        "keys": keys.collect::<Vec<_>>(),
    })
}
