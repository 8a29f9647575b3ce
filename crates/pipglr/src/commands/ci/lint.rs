//! `pipglr ci lint`.

use super::columns::count;
use super::local::{CONFIGURATION, NOTHING_TO_RUN};
use super::subject::Subject;
use super::{Outcome, WHY_NO_PIPELINE};
use crate::cli::LintArgs;
use crate::output::{self, Style};
use pipglr_coordinator::ci::{Diagnostic, NoPipeline, Request, Severity, evaluate, render, render_coloured};
use serde_json::{Value, json};

pub(super) async fn run(args: &LintArgs) -> Outcome {
    let subject = Subject::open(&args.common.context, args.path.as_deref()).await?;
    let path = subject.path();
    let style = Style::of_stdout();
    let linted = subject.ask(move |request| Linted::of(request, style)).await?;
    if args.common.json {
        output::line(format_args!("{:#}", linted.json(&path, args.strict)))?;
    } else {
        output::raw(&linted.rendered)?;
        output::line(linted.verdict(&path, args.strict, style))?;
        if linted.no_pipeline.is_some() {
            output::line(format_args!("hint: {WHY_NO_PIPELINE}"))?;
        }
    }
    Ok(linted.code(args.strict))
}

/// What there is to say about a file.
struct Linted {
    diagnostics: Vec<Diagnostic>,
    rendered: String,
    no_pipeline: Option<NoPipeline>,
    jobs: usize,
    /// Those that have jobs.
    stages: usize,
    /// All files that were read, the linted one first.
    files: Vec<String>,
}

impl Linted {
    fn of(request: &Request<'_>, style: Style) -> Self {
        let evaluation = evaluate(request);
        let render = if style.colours { render_coloured } else { render };
        let jobs = evaluation.pipeline.as_ref().map_or(&[][..], |pipeline| &pipeline.jobs);
        let stages = evaluation.pipeline.iter().flat_map(|pipeline| &pipeline.stages);
        Self {
            rendered: render(&evaluation.diagnostics, &evaluation.sources),
            no_pipeline: evaluation.no_pipeline,
            jobs: jobs.len(),
            stages: stages
                .filter(|stage| jobs.iter().any(|job| job.stage == **stage))
                .count(),
            files: evaluation.sources.iter().map(|source| source.path.clone()).collect(),
            diagnostics: evaluation.diagnostics,
        }
    }

    fn counted(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|d| d.severity == severity).count()
    }

    fn is_valid(&self, strict: bool) -> bool {
        self.counted(Severity::Error) == 0 && !(strict && self.counted(Severity::Warning) > 0)
    }

    fn code(&self, strict: bool) -> u8 {
        match (self.is_valid(strict), self.no_pipeline) {
            (false, _) => CONFIGURATION,
            (true, Some(_)) => NOTHING_TO_RUN,
            (true, None) => 0,
        }
    }

    fn verdict(&self, path: &str, strict: bool, style: Style) -> String {
        let (errors, warnings) = (self.counted(Severity::Error), self.counted(Severity::Warning));
        let told = |number, one| (number > 0).then(|| count(number, one));
        let problems = [told(errors, "error"), told(warnings, "warning")];
        let problems = problems.into_iter().flatten().collect::<Vec<_>>().join(" and ");
        if !self.is_valid(strict) {
            let because = if errors == 0 { " (--strict)" } else { "" };
            return format!("{} {path}: {problems}{because}", style.paint("1;31", "not valid:"));
        }
        let with = if problems.is_empty() {
            String::new()
        } else {
            format!(", {problems}")
        };
        match self.no_pipeline {
            Some(reason) => format!(
                "{} {path}{with}, but no pipeline would be created: {reason}",
                style.paint("1;33", "valid:")
            ),
            None => format!(
                "{} {path}: {} in {}{with}",
                style.paint("1;32", "valid:"),
                count(self.jobs, "job"),
                count(self.stages, "stage")
            ),
        }
    }

    fn json(&self, path: &str, strict: bool) -> Value {
        let diagnostics = self.diagnostics.iter().map(|diagnostic| {
            json!({
                "severity": diagnostic.severity.to_string(),
                "message": diagnostic.message,
                "hint": diagnostic.hint,
                "path": diagnostic.path,
                "line": diagnostic.span.map(|span| span.line),
                "column": diagnostic.span.map(|span| span.column),
            })
        });
        json!({
            "file": path,
            "valid": self.is_valid(strict),
            "no_pipeline": self.no_pipeline.map(|reason| json!({ "reason": reason, "message": reason.to_string() })),
            "jobs": self.jobs,
            "stages": self.stages,
            "files": self.files,
            "diagnostics": diagnostics.collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Linted, Style};
    use pipglr_coordinator::ci::{Context, Nothing, Request, SourceFile};

    #[test]
    fn colours_are_only_where_they_are_wanted() {
        let file = SourceFile {
            path: "x.yml".to_owned(),
            text: "a: { scrip: [x] }\n".to_owned(),
        };
        let request = Request {
            file: &file,
            inputs: &serde_json::Map::new(),
            context: &Context::default(),
            world: &Nothing,
        };
        for colours in [true, false] {
            let style = Style { colours };
            let linted = Linted::of(&request, style);
            assert_eq!(linted.rendered.contains('\x1b'), colours, "{}", linted.rendered);
            assert_eq!(linted.verdict("x.yml", false, style).contains('\x1b'), colours);
        }
    }
}
