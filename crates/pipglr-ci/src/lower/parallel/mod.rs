//! Jobs that `parallel` makes many of: what the instances are called, and who means which of them.
//!
//! Compat: `Gitlab::Ci::Config::Normalizer`.

mod expression;

use crate::diagnostics::Placed;
use crate::diagnostics::Problems;
use crate::keywords::needs::WrittenNeed;
use crate::keywords::parallel::{Parallel, Row};
use crate::model::{Need, ParallelNode, Variable};
use std::cell::Cell;
use std::collections::HashMap;

/// One of the jobs that a job with `parallel` is.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) name: String,
    pub(crate) node: ParallelNode,
    /// The values of the matrix; none for a number.
    pub(crate) variables: Vec<Variable>,
}

/// Needs, dependencies and instances that one file may come to. Far more than GitLab would run, and few enough to
/// hold.
const BUDGET: usize = 1_000_000;

/// The instances of all jobs with `parallel`, by the job's name.
#[derive(Debug, Default)]
pub(crate) struct Expansions {
    jobs: HashMap<String, Vec<Instance>>,
    spent: Cell<usize>,
}

impl Expansions {
    /// Whether that many more instances or names may be made.
    pub(crate) fn affords(&self, count: usize) -> bool {
        let spent = self.spent.get().saturating_add(count);
        self.spent.set(spent);
        spent <= BUDGET
    }

    /// Whether something was left out because the file comes to too much.
    pub(crate) fn overspent(&self) -> bool {
        self.spent.get() > BUDGET
    }

    pub(crate) fn add(&mut self, job: &str, parallel: &Parallel) {
        self.jobs.insert(job.to_owned(), instances(job, parallel));
    }

    /// `None` for a job without `parallel`.
    pub(crate) fn instances(&self, job: &str) -> Option<&[Instance]> {
        self.jobs.get(job).map(Vec::as_slice)
    }

    /// The needs of a job, or of one of its instances, whose values `matrix` are. A need of a job with `parallel`
    /// becomes needs of its instances.
    pub(crate) fn needs(
        &self,
        problems: &mut Problems,
        job: &str,
        needs: &[WrittenNeed],
        matrix: &[Variable],
    ) -> Vec<Placed<Need>> {
        let mut expanded = Vec::with_capacity(needs.len());
        for written in needs {
            let span = written.span;
            let mut complete = true;
            let mut missing = |key: &str| {
                complete = false;
                let message = format!("{job} job: '{key}' does not exist in matrix configuration");
                let hint = if matrix.is_empty() {
                    "only a job with `parallel:matrix` has matrix values".to_owned()
                } else {
                    let keys: Vec<&str> = matrix.iter().map(|variable| variable.key.as_str()).collect();
                    format!("this job has: {}", keys.join(", "))
                };
                problems.error_with_hint(span, message, hint);
            };
            let name = expression::resolve(&written.need.job, matrix, &mut missing);
            let names = match (&written.selector, self.jobs.get(name.as_ref())) {
                _ if written.need.pipeline.is_some() => vec![name.into_owned()],
                (_, None) => vec![name.into_owned()],
                (None, Some(instances)) => instances.iter().map(|instance| instance.name.clone()).collect(),
                (Some(rows), Some(_)) => {
                    let rows: Vec<Row> = rows
                        .iter()
                        .map(|row| expression::row(row, matrix, &mut missing))
                        .collect();
                    let combinations = rows.iter().flat_map(combinations);
                    combinations.map(|values| matrix_name(&name, &values)).collect()
                }
            };
            if !complete || !self.affords(names.len()) {
                continue;
            }
            expanded.extend(names.into_iter().map(|name| Placed {
                value: Need {
                    job: name,
                    ..written.need.clone()
                },
                span,
            }));
        }
        expanded
    }

    /// Names of jobs, those with `parallel` replaced by their instances.
    pub(crate) fn names(&self, names: &[Placed<String>]) -> Vec<Placed<String>> {
        let mut expanded = Vec::with_capacity(names.len());
        for name in names {
            match self.jobs.get(&name.value) {
                Some(instances) if !self.affords(instances.len()) => {}
                Some(instances) => expanded.extend(instances.iter().map(|instance| Placed {
                    value: instance.name.clone(),
                    span: name.span,
                })),
                None => expanded.push(name.clone()),
            }
        }
        expanded
    }
}

fn instances(job: &str, parallel: &Parallel) -> Vec<Instance> {
    match parallel {
        Parallel::Number(total) => (1..=*total)
            .map(|index| Instance {
                name: format!("{job} {index}/{total}"),
                node: ParallelNode { index, total: *total },
                variables: Vec::new(),
            })
            .collect(),
        Parallel::Matrix(rows) => {
            let all: Vec<_> = rows.iter().flat_map(combinations).collect();
            let total = all.len();
            all.into_iter()
                .zip(1..)
                .map(|(values, index)| Instance {
                    name: matrix_name(job, &values),
                    node: ParallelNode { index, total },
                    variables: values.into_iter().map(|(key, value)| variable(key, value)).collect(),
                })
                .collect()
        }
    }
}

/// Every choice of one value per key; the first key changes most slowly.
fn combinations(row: &Row) -> Vec<Vec<(&str, &str)>> {
    let mut all = vec![Vec::with_capacity(row.values.len())];
    for (key, values) in &row.values {
        let mut longer = Vec::with_capacity(all.len() * values.len());
        for combination in &all {
            for value in values {
                let mut next: Vec<(&str, &str)> = combination.clone();
                next.push((key, value));
                longer.push(next);
            }
        }
        all = longer;
    }
    all
}

/// Values stand in the name as they are written: variables in them are not expanded.
fn matrix_name(job: &str, values: &[(&str, &str)]) -> String {
    let values: Vec<&str> = values.iter().map(|(_, value)| *value).collect();
    format!("{job}: [{}]", values.join(", "))
}

fn variable(key: &str, value: &str) -> Variable {
    Variable {
        key: key.to_owned(),
        value: value.to_owned(),
        expand: true,
    }
}
