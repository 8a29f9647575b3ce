//! `pipglr ci list`.

use super::columns::columns;
use super::local::CONFIGURATION;
use super::subject::Subject;
use super::values::{duration, word};
use super::{Outcome, pipeline};
use crate::cli::ListArgs;
use crate::output::{self, Style};
use pipglr_coordinator::ci::explain::{Presence, explain};
use pipglr_coordinator::ci::model::{AllowFailure, Job, Pipeline, TriggerTarget, When};
use serde_json::{Value, json};

pub(super) async fn run(args: &ListArgs) -> Outcome {
    let made = pipeline(Subject::open(&args.common.context, None).await?).await?;
    if args.common.json {
        output::line(format_args!("{:#}", as_json(&made)))?;
        return Ok(0);
    }
    let heading = ["STAGE", "JOB", "WHEN", "NEEDS", "ALLOW_FAILURE", ""];
    let style = Style::of_stdout();
    for (number, line) in columns(heading, &rows(&made)).iter().enumerate() {
        let sgr = if number == 0 { "1" } else { "" };
        output::line(if sgr.is_empty() {
            line.clone()
        } else {
            style.paint(sgr, line)
        })?;
    }
    Ok(0)
}

/// The names of all jobs, one a line; nothing for a file with mistakes.
pub(super) async fn names(args: &ListArgs) -> Outcome {
    let subject = Subject::open(&args.common.context, None).await?;
    // No job is called nothing, and then it is told which there are.
    let told = subject.ask(|request| explain(request, "").presence).await?;
    let Presence::Unknown(names) = told else {
        return Ok(CONFIGURATION);
    };
    for name in names {
        output::line(name)?;
    }
    Ok(0)
}

/// By stages, in each in the order of the file.
fn rows(pipeline: &Pipeline) -> Vec<[String; 6]> {
    let mut before = false;
    let mut rows = Vec::new();
    for stage in &pipeline.stages {
        let jobs: Vec<&Job> = pipeline.jobs.iter().filter(|job| job.stage == *stage).collect();
        for job in &jobs {
            rows.push([
                stage.clone(),
                job.name.clone(),
                when(job),
                needs(job, before),
                allow_failure(&job.allow_failure),
                remarks(job),
            ]);
        }
        before |= !jobs.is_empty();
    }
    rows
}

fn when(job: &Job) -> String {
    match job.start_in.filter(|_| job.when == When::Delayed) {
        Some(time) => format!("delayed {}", duration(time)),
        None => word(job.when).to_owned(),
    }
}

/// What it waits for: nothing, named jobs, or, if there are any, all of the stages before.
fn needs(job: &Job, before: bool) -> String {
    match &job.needs {
        None if before => "stages before".to_owned(),
        None => "-".to_owned(),
        Some(needs) if needs.is_empty() => "-".to_owned(),
        Some(needs) => {
            let names = needs.iter().map(|need| {
                let name = match &need.pipeline {
                    Some(pipeline) => format!("{} of pipeline {pipeline}", need.job),
                    None => need.job.clone(),
                };
                if need.optional { format!("{name}?") } else { name }
            });
            names.collect::<Vec<_>>().join(", ")
        }
    }
}

fn allow_failure(allowed: &AllowFailure) -> String {
    match allowed {
        AllowFailure::No => "no".to_owned(),
        AllowFailure::Yes => "yes".to_owned(),
        AllowFailure::ExitCodes(codes) => {
            let codes: Vec<String> = codes.iter().map(i32::to_string).collect();
            format!("exit code {}", codes.join(", "))
        }
    }
}

/// What else a person wants to know before the job runs.
fn remarks(job: &Job) -> String {
    let mut remarks = Vec::new();
    if let Some(environment) = &job.environment {
        remarks.push(format!("environment {}", environment.name));
    }
    match job.trigger.as_ref().map(|trigger| &trigger.target) {
        Some(TriggerTarget::Child(_)) => remarks.push("starts a child pipeline".to_owned()),
        Some(TriggerTarget::Project { path, .. }) => remarks.push(format!("starts a pipeline of {path}")),
        None => {}
    }
    if let Some(question) = &job.manual_confirmation {
        remarks.push(format!("asks: {question}"));
    }
    if let Some(group) = &job.resource_group {
        remarks.push(format!("one at a time in {group}"));
    }
    remarks.join("; ")
}

fn as_json(pipeline: &Pipeline) -> Value {
    let job = |job: &Job| {
        json!({
            "name": job.name,
            "group": job.group,
            "stage": job.stage,
            "when": job.when,
            "start_in": job.start_in.map(|time| time.as_secs()),
            "manual_confirmation": job.manual_confirmation,
            "needs": job.needs,
            "allow_failure": job.allow_failure,
            "environment": job.environment.as_ref().map(|environment| &environment.name),
            "resource_group": job.resource_group,
            "trigger": job.trigger.is_some(),
            "tags": job.tags,
        })
    };
    json!({
        "name": pipeline.name,
        "stages": pipeline.stages,
        "jobs": pipeline.jobs.iter().map(job).collect::<Vec<_>>(),
    })
}
