//! `pipglr ci variables`.

use super::columns::columns;
use super::explain::{at, unknown_job};
use super::subject::Subject;
use super::values::shortened;
use super::{Made, Outcome, made, mistakes};
use crate::cli::JobArgs;
use crate::output::{self, Style};
use pipglr_coordinator::ci::Request;
use pipglr_coordinator::ci::explain::{Presence, VariableOrigin, VariableSource, explain, variables};
use serde_json::json;

/// Characters of a value that are shown.
const WIDTH: usize = 60;

pub(super) async fn run(args: &JobArgs) -> Outcome {
    let subject = Subject::open(&args.common.context, None).await?;
    let (path, job) = (subject.path(), args.job.clone());
    let found = match subject.ask(move |request| find(request, &job)).await? {
        Found::Variables(found) => found,
        Found::NoJob(names) => return Err(unknown_job(&args.job, &names)),
        Found::Mistakes(rendered) => return Err(mistakes(&path, &rendered)),
    };
    if args.common.json {
        output::line(format_args!("{:#}", json!({ "job": args.job, "variables": found })))?;
        return Ok(0);
    }
    let style = Style::of_stdout();
    // What people set comes before what is always there.
    let mut shown: Vec<&VariableOrigin> = found.iter().filter(|origin| !origin.overridden).collect();
    shown.sort_by_key(|origin| (origin.source == VariableSource::Predefined, &origin.key));
    let rows: Vec<[String; 4]> = shown.into_iter().map(row).collect();
    for (number, line) in columns(["VARIABLE", "VALUE", "SET BY", "PLACE"], &rows)
        .iter()
        .enumerate()
    {
        output::line(if number == 0 {
            style.paint("1", line)
        } else {
            line.clone()
        })?;
    }
    Ok(0)
}

enum Found {
    /// Weakest first.
    Variables(Vec<VariableOrigin>),
    /// There is no such job; which there are.
    NoJob(Vec<String>),
    Mistakes(String),
}

fn find(request: &Request<'_>, job: &str) -> Found {
    if let Some(found) = variables(request, job) {
        return Found::Variables(found);
    }
    if let Made::Mistakes(rendered) = made(request) {
        return Found::Mistakes(rendered);
    }
    match explain(request, job).presence {
        Presence::Unknown(names) => Found::NoJob(names),
        Presence::Present | Presence::Absent(_) | Presence::Invalid(_) => Found::NoJob(Vec::new()),
    }
}

fn row(origin: &VariableOrigin) -> [String; 4] {
    let source = match origin.source {
        VariableSource::Predefined => "GitLab".to_owned(),
        VariableSource::Root => "variables of the top level".to_owned(),
        VariableSource::WorkflowRule(number) => format!("rule {number} of workflow"),
        VariableSource::Job => "the job".to_owned(),
        VariableSource::Matrix => "parallel:matrix".to_owned(),
        VariableSource::Rule(number) => format!("rule {number}"),
        VariableSource::Setting => "a setting of project, group or instance".to_owned(),
        VariableSource::Pipeline => "this run".to_owned(),
    };
    let value = match &origin.value {
        Some(value) => shortened(value, WIDTH),
        None => "[MASKED]".to_owned(),
    };
    [
        origin.key.clone(),
        value,
        if origin.file {
            format!("{source}, as a file")
        } else {
            source
        },
        origin.place.as_ref().map(at).unwrap_or_default(),
    ]
}
