//! `pipglr ci explain`.

use super::columns::columns;
use super::local::CONFIGURATION;
use super::subject::Subject;
use super::values::shortened;
use super::{Made, Outcome, made, mistakes};
use crate::cli::JobArgs;
use crate::error::CliError;
use crate::output::{self, Style};
use pipglr_coordinator::ci::explain::{
    ClauseAccount, Explanation, KeywordOrigin, Place, Presence, RuleAccount, Via, explain,
};
use std::fmt::Write as _;

/// Characters of a value that are shown.
const WIDTH: usize = 60;

pub(super) async fn run(args: &JobArgs) -> Outcome {
    let subject = Subject::open(&args.common.context, None).await?;
    let (path, job) = (subject.path(), args.job.clone());
    let told = subject
        .ask(move |request| {
            let explanation = explain(request, &job);
            let rendered = match explanation.presence {
                Presence::Invalid(_) => rendered(request),
                _ => String::new(),
            };
            (explanation, rendered)
        })
        .await?;
    let (explanation, rendered) = told;
    if args.common.json {
        output::line(format_args!("{:#}", serde_json::to_value(&explanation)?))?;
        return Ok(match &explanation.presence {
            Presence::Present | Presence::Absent(_) => 0,
            Presence::Unknown(_) => 2,
            Presence::Invalid(_) => CONFIGURATION,
        });
    }
    match &explanation.presence {
        Presence::Present | Presence::Absent(_) => output::raw(&told_of(&explanation, Style::of_stdout()))?,
        Presence::Unknown(names) => return Err(unknown_job(&explanation.job, names)),
        Presence::Invalid(_) => return Err(mistakes(&path, &rendered)),
    }
    Ok(0)
}

/// The mistakes with their excerpts, if there are any.
fn rendered(request: &pipglr_coordinator::ci::Request<'_>) -> String {
    match made(request) {
        Made::Mistakes(rendered) => rendered,
        Made::Pipeline(_) | Made::Nothing(_) => String::new(),
    }
}

/// There is no job of this name; which there are.
pub(super) fn unknown_job(job: &str, names: &[String]) -> CliError {
    let error = CliError::usage(format_args!("there is no job {job}"));
    let close = names.iter().find(|name| name.to_lowercase() == job.to_lowercase());
    let hint = match close {
        Some(close) => format!("did you mean {close}?"),
        None => format!("there are {}", shortened(&names.join(", "), 400)),
    };
    CliError {
        hints: vec![hint],
        ..error
    }
}

fn told_of(explanation: &Explanation, style: Style) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(explanation, style, &mut text);
    text
}

fn write(explanation: &Explanation, style: Style, text: &mut String) -> std::fmt::Result {
    match &explanation.presence {
        Presence::Absent(why) => writeln!(text, "{} is not in the pipeline: {why}", explanation.job)?,
        _ => writeln!(text, "{} is in the pipeline.", explanation.job)?,
    }
    for (title, rules) in [("workflow:rules", &explanation.workflow), ("rules", &explanation.rules)] {
        if rules.is_empty() {
            continue;
        }
        writeln!(text, "\n{}", style.paint("1", title))?;
        for rule in rules {
            write_rule(rule, style, text)?;
        }
    }
    writeln!(text)?;
    let rows: Vec<[String; 4]> = explanation.keywords.iter().map(row).collect();
    for (number, line) in columns(["KEYWORD", "VALUE", "PLACE", "BY WAY OF"], &rows)
        .iter()
        .enumerate()
    {
        let line = if number == 0 {
            style.paint("1", line)
        } else {
            line.clone()
        };
        writeln!(text, "{line}")?;
    }
    Ok(())
}

fn write_rule(rule: &RuleAccount, style: Style, text: &mut String) -> std::fmt::Result {
    let place = rule
        .place
        .as_ref()
        .map(|place| format!(" ({})", at(place)))
        .unwrap_or_default();
    let outcome = if rule.matched {
        style.paint("32", "matches")
    } else {
        "does not match".to_owned()
    };
    writeln!(text, "  {}. {outcome}{place}", rule.number)?;
    if rule.clauses.is_empty() {
        writeln!(text, "     it has no condition")?;
    }
    for clause in &rule.clauses {
        write_clause(clause, text)?;
    }
    Ok(())
}

fn write_clause(clause: &ClauseAccount, text: &mut String) -> std::fmt::Result {
    write!(text, "     {}: {}  is {}", clause.keyword, clause.text, clause.result)?;
    if let Some(reason) = &clause.reason {
        write!(text, ": {reason}")?;
    }
    writeln!(text)?;
    for seen in &clause.saw {
        match &seen.value {
            Some(value) => writeln!(text, "       ${} is {value:?}", seen.name)?,
            None => writeln!(text, "       ${} is not set", seen.name)?,
        }
    }
    Ok(())
}

fn row(origin: &KeywordOrigin) -> [String; 4] {
    let via = match &origin.via {
        Via::Own => "the job itself".to_owned(),
        Via::Extends(key) => key.clone(),
        Via::Default => "default".to_owned(),
        Via::Global => "the top level".to_owned(),
        Via::WorkflowRule(number) => format!("rule {number} of workflow"),
        Via::Rule(number) => format!("rule {number}"),
    };
    let included = if origin.included { ", included" } else { "" };
    [
        origin.keyword.clone(),
        shortened(&origin.value.to_string(), WIDTH),
        at(&origin.place),
        format!("{via}{included}"),
    ]
}

/// `path:line`.
pub(super) fn at(place: &Place) -> String {
    format!("{}:{}", place.path, place.line)
}
