//! What jobs say of each other: stages, needs and dependencies that exist and lead to an order.

use crate::diagnostics::Placed;
use crate::diagnostics::{Problems, Span};
use crate::keywords::{closest_of, did_you_mean};
use crate::lower::{Draft, Lowered};
use crate::model::{EnvironmentAction, Need};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

/// Compat: GitLab's instance setting `ci_needs_size_limit`.
const MAX_NEEDS: usize = 50;

/// Problems after which names are no longer guessed.
const MAX_GUESSES: usize = 20;

/// Reports everything that keeps the jobs from forming a pipeline.
pub(crate) fn check(problems: &mut Problems, lowered: &Lowered) {
    let graph = Graph::new(lowered);
    for draft in &lowered.jobs {
        check_stage(problems, &graph, draft);
        check_needs(problems, &graph, draft);
        check_dependencies(problems, &graph, draft);
        check_producers(problems, &graph, draft);
        check_on_stop(problems, &graph, draft);
    }
    report_cycles(problems, &graph);
}

struct Graph<'l> {
    lowered: &'l Lowered,
    jobs: HashMap<&'l str, usize>,
    stages: HashMap<&'l str, usize>,
    /// What was said of which place: instances of a job are written once, and so is what is wrong with them.
    said: RefCell<HashSet<(Span, String)>>,
}

impl<'l> Graph<'l> {
    fn new(lowered: &'l Lowered) -> Self {
        let jobs = lowered
            .jobs
            .iter()
            .enumerate()
            .map(|(place, draft)| (draft.job.name.as_str(), place))
            .collect();
        let stages = lowered
            .stages
            .iter()
            .flatten()
            .enumerate()
            .map(|(place, stage)| (stage.as_str(), place))
            .collect();
        Self {
            lowered,
            jobs,
            stages,
            said: RefCell::default(),
        }
    }

    /// Whether nothing was said yet about `subject` at a place.
    fn is_news(&self, span: Span, subject: &str) -> bool {
        self.said.borrow_mut().insert((span, subject.to_owned()))
    }

    fn draft(&self, name: &str) -> Option<&'l Draft> {
        self.jobs.get(name).map(|place| &self.lowered.jobs[*place])
    }

    /// `None` when the stage does not exist, which is reported where it is written.
    fn stage(&self, draft: &Draft) -> Option<usize> {
        self.stages.get(draft.stage.as_ref()?.value.as_str()).copied()
    }

    /// Whether the first runs in a later stage than the second.
    fn is_later(&self, first: &Draft, second: &Draft) -> bool {
        matches!((self.stage(first), self.stage(second)), (Some(first), Some(second)) if first > second)
    }

    fn did_you_mean(&self, name: &str) -> Option<String> {
        self.instances_hint(name).or_else(|| self.nearest(name))
    }

    /// What instances there are, for a name that looks like one of a matrix.
    fn instances_hint(&self, name: &str) -> Option<String> {
        let (job, _) = name.split_once(": [")?;
        let start = format!("{job}: [");
        let names = self.lowered.jobs.iter().map(|draft| draft.job.name.as_str());
        let mut instances = names.filter(|name| name.starts_with(&start));
        let first = instances.next()?;
        let more = if instances.next().is_some() { " and others" } else { "" };
        Some(format!(
            "there is `{first}`{more}: a selector has every key of the matrix, in its order"
        ))
    }

    /// Which stages two jobs are in, where their order is the problem.
    fn order_hint(&self, draft: &'l Draft, later: &'l Draft) -> String {
        let stage = |draft: &'l Draft| draft.stage.as_ref().map_or("", |stage| stage.value.as_str());
        format!(
            "`{}` is in stage `{}`, which comes after this job's `{}`",
            later.job.name,
            stage(later),
            stage(draft)
        )
    }

    fn nearest(&self, name: &str) -> Option<String> {
        closest_of(name, self.lowered.jobs.iter().map(|draft| draft.job.name.as_str())).map(did_you_mean)
    }
}

fn check_stage(problems: &mut Problems, graph: &Graph<'_>, draft: &Draft) {
    let (Some(stages), Some(stage)) = (&graph.lowered.stages, &draft.stage) else {
        return;
    };
    if graph.stages.contains_key(stage.value.as_str()) || !graph.is_news(stage.span, "stage") {
        return;
    }
    let message = format!(
        "{} job: chosen stage {} does not exist; available stages are {}",
        draft.job.name,
        stage.value,
        stages.join(", ")
    );
    let known = stages.iter().map(String::as_str);
    if stage.span == draft.name_span {
        problems.error_with_hint(stage.span, message, "a job that names no stage is in `test`");
    } else if let Some(known) = closest_of(&stage.value, known) {
        problems.error_with_hint(stage.span, message, did_you_mean(known));
    } else {
        let hint = format!("add `{}` to `stages`, at the place where it is to run", stage.value);
        problems.error_with_hint(stage.span, message, hint);
    }
}

fn check_needs(problems: &mut Problems, graph: &Graph<'_>, draft: &Draft) {
    let written = draft.needs.iter().chain(draft.rule_needs.iter().flatten());
    for needs in written {
        check_list(problems, graph, draft, needs);
    }
}

/// The needs of a job, or those of one of its rules.
fn check_list(problems: &mut Problems, graph: &Graph<'_>, draft: &Draft, needs: &[Placed<Need>]) {
    let name = &draft.job.name;
    if needs.len() > MAX_NEEDS && graph.is_news(draft.name_span, "number of needs") {
        let message = format!(
            "{name}: one job can only need {MAX_NEEDS} others, but you have listed {}. \
             See needs keyword documentation for more details",
            needs.len()
        );
        problems.error(draft.name_span, message);
    }
    let mut seen = HashSet::new();
    for need in needs.iter().filter(|need| need.value.pipeline.is_none()) {
        let needed = need.value.job.as_str();
        if !seen.insert(needed) {
            if graph.is_news(need.span, "duplicate") {
                let message = format!("{name} has the following needs duplicated: {needed}.");
                problems.error(need.span, message);
            }
            continue;
        }
        match graph.draft(needed) {
            None if need.value.optional => {}
            None => undefined(
                problems,
                graph,
                need.span,
                format!("{name} job: undefined need: {needed}"),
                needed,
            ),
            Some(other) if graph.is_later(other, draft) => {
                if graph.is_news(need.span, "later") {
                    let message = format!("{name} job: need {needed} is not defined in current or prior stages");
                    problems.error_with_hint(need.span, message, graph.order_hint(draft, other));
                }
            }
            Some(_) => {}
        }
    }
}

fn undefined(problems: &mut Problems, graph: &Graph<'_>, span: Span, message: String, name: &str) {
    if !graph.is_news(span, name) {
        return;
    }
    // Each guess compares the name with all jobs; past a screenful nobody reads them.
    match (problems.count() < MAX_GUESSES)
        .then(|| graph.did_you_mean(name))
        .flatten()
    {
        Some(hint) => problems.error_with_hint(span, message, hint),
        None => problems.error(span, message),
    }
}

fn check_dependencies<'l>(problems: &mut Problems, graph: &Graph<'l>, draft: &'l Draft) {
    let needs: HashSet<&str> = draft
        .needs
        .iter()
        .flatten()
        .filter(|need| need.value.pipeline.is_none())
        .map(|need| need.value.job.as_str())
        .collect();
    for wanted in draft.dependencies.iter().flatten() {
        if let Some(other) = dependency(problems, graph, draft, wanted) {
            let needed = needs.contains(wanted.value.as_str());
            warn_about_same_stage(problems, graph, draft, other, wanted.span, needed);
        }
    }
}

/// The job whose artifacts are wanted, if it is there and not later.
fn dependency<'l>(
    problems: &mut Problems,
    graph: &Graph<'l>,
    draft: &'l Draft,
    wanted: &Placed<String>,
) -> Option<&'l Draft> {
    let (name, span, wanted) = (&draft.job.name, wanted.span, wanted.value.as_str());
    let Some(other) = graph.draft(wanted) else {
        let message = format!("{name} job: undefined dependency: {wanted}");
        undefined(problems, graph, span, message, wanted);
        return None;
    };
    if !graph.is_later(other, draft) {
        return Some(other);
    }
    if graph.is_news(span, "later") {
        let message = format!("{name} job: dependency {wanted} is not defined in current or prior stages");
        problems.error_with_hint(span, message, graph.order_hint(draft, other));
    }
    None
}

/// Compat: GitLab's linter lets a dependency of the same stage pass, and hands out artifacts of earlier stages only.
fn warn_about_same_stage(
    problems: &mut Problems,
    graph: &Graph<'_>,
    draft: &Draft,
    other: &Draft,
    span: Span,
    needed: bool,
) {
    let same = graph.stage(other).is_some() && graph.stage(other) == graph.stage(draft);
    if same && !needed && graph.is_news(span, "same stage") {
        let message = format!(
            "{} job: dependency {} is in the same stage, so its artifacts are not there",
            draft.job.name, other.job.name
        );
        problems.warning(span, message, "put it in `needs` or in an earlier stage");
    }
}

/// Jobs whose artifacts are files of a child pipeline have to be there before it.
///
/// Compat: `Gitlab::Ci::YamlProcessor#validate_dynamic_child_pipeline_dependencies!`.
fn check_producers<'l>(problems: &mut Problems, graph: &Graph<'l>, draft: &'l Draft) {
    for producer in draft.producers.iter() {
        dependency(problems, graph, draft, producer);
    }
}

/// The job that stops an environment has to be there, and to do so.
///
/// Compat: `Gitlab::Ci::YamlProcessor#validate_on_stop_job!`.
fn check_on_stop(problems: &mut Problems, graph: &Graph<'_>, draft: &Draft) {
    let (Some(on_stop), Some(environment)) = (&draft.on_stop, &draft.job.environment) else {
        return;
    };
    let start = format!("{} job: on_stop job {}", draft.job.name, on_stop.value);
    let Some(stop) = graph.draft(&on_stop.value) else {
        if graph.is_news(on_stop.span, &on_stop.value) {
            let hint = graph.did_you_mean(&on_stop.value).unwrap_or_else(|| {
                format!(
                    "write a job `{}` with `environment: {{name: {}, action: stop}}`",
                    on_stop.value, environment.name
                )
            });
            problems.error_with_hint(on_stop.span, format!("{start} is not defined"), hint);
        }
        return;
    };
    let (message, hint) = match &stop.job.environment {
        None => (
            "does not have environment defined",
            format!("add `environment: {{name: {}, action: stop}}`", environment.name),
        ),
        Some(other) if other.name != environment.name => (
            "have different environment name",
            format!("it has `{}`, this job has `{}`", other.name, environment.name),
        ),
        Some(other) if other.action != EnvironmentAction::Stop => (
            "needs to have action stop defined",
            "add `action: stop` to its `environment`".to_owned(),
        ),
        Some(_) => return,
    };
    if graph.is_news(on_stop.span, message) {
        problems.error_with_hint(on_stop.span, format!("{start} {message}"), hint);
    }
}

/// Reports each circle of needs at the job that closes it.
fn report_cycles(problems: &mut Problems, graph: &Graph<'_>) {
    let needs: Vec<Vec<usize>> = graph
        .lowered
        .jobs
        .iter()
        .map(|draft| {
            draft
                .needs
                .iter()
                .flatten()
                .filter(|need| need.value.pipeline.is_none())
                .filter_map(|need| graph.jobs.get(need.value.job.as_str()).copied())
                .collect()
        })
        .collect();
    let stuck = stuck(&needs);
    let mut walked = vec![None; needs.len()];
    for start in 0..needs.len() {
        let mut path = Vec::new();
        let mut job = start;
        while stuck[job] && walked[job].is_none() {
            walked[job] = Some(start);
            path.push(job);
            match needs[job].iter().find(|need| stuck[**need]) {
                Some(next) => job = *next,
                None => break,
            }
        }
        let Some(entry) = path
            .iter()
            .position(|seen| *seen == job)
            .filter(|_| walked[job] == Some(start))
        else {
            continue;
        };
        let names: Vec<&str> = path[entry..]
            .iter()
            .map(|job| graph.lowered.jobs[*job].job.name.as_str())
            .collect();
        let circle = match names.as_slice() {
            [own] => format!("self-dependency: {own}"),
            names => names.join(", "),
        };
        let hint = match names.as_slice() {
            [_] => "a job cannot wait for itself".to_owned(),
            names => format!("each waits for the next: {} → {}", names.join(" → "), names[0]),
        };
        problems.error_with_hint(
            graph.lowered.jobs[job].name_span,
            format!("The pipeline has circular dependencies: {circle}"),
            hint,
        );
    }
}

/// What is in a circle or behind one: jobs by their needs, variables by their references.
pub(crate) fn stuck(needs: &[Vec<usize>]) -> Vec<bool> {
    let mut open: Vec<usize> = needs.iter().map(Vec::len).collect();
    let mut needed_by = vec![Vec::new(); needs.len()];
    for (job, needs) in needs.iter().enumerate() {
        for need in needs {
            needed_by[*need].push(job);
        }
    }
    let mut ready: Vec<usize> = (0..needs.len()).filter(|job| open[*job] == 0).collect();
    while let Some(done) = ready.pop() {
        for &job in &needed_by[done] {
            open[job] -= 1;
            if open[job] == 0 {
                ready.push(job);
            }
        }
    }
    open.into_iter().map(|count| count > 0).collect()
}
