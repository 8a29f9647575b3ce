//! `pipglr ci graph`.

mod dot;
mod mermaid;
mod text;

use super::subject::Subject;
use super::{Outcome, pipeline};
use crate::cli::{GraphArgs, GraphFormat};
use crate::output;
use pipglr_coordinator::ci::model::{Job, Pipeline, When};
use serde_json::{Value, json};
use std::collections::HashMap;

pub(super) async fn run(args: &GraphArgs) -> Outcome {
    let made = pipeline(Subject::open(&args.common.context, None).await?).await?;
    let graph = Graph::of(&made);
    let format = if args.common.json {
        GraphFormat::Json
    } else {
        args.format
    };
    match format {
        GraphFormat::Text => output::raw(&text::draw(&graph))?,
        GraphFormat::Dot => output::raw(&dot::draw(&graph))?,
        GraphFormat::Mermaid => output::raw(&mermaid::draw(&graph))?,
        GraphFormat::Json => output::line(format_args!("{:#}", as_json(&graph)))?,
    }
    Ok(0)
}

/// Jobs in their stages, and which waits for which.
struct Graph<'p> {
    /// Those that have jobs, in the order of execution.
    stages: Vec<Stage<'p>>,
}

struct Stage<'p> {
    name: &'p str,
    nodes: Vec<Node<'p>>,
}

struct Node<'p> {
    job: &'p Job,
    /// Place in the file, which names the node.
    number: usize,
    /// `None`: waits for all jobs of the stages before.
    needs: Option<Vec<Edge<'p>>>,
}

struct Edge<'p> {
    /// `None` for a job of another pipeline.
    from: Option<usize>,
    name: &'p str,
    pipeline: Option<&'p str>,
    artifacts: bool,
    optional: bool,
}

impl<'p> Graph<'p> {
    fn of(pipeline: &'p Pipeline) -> Self {
        let numbers: HashMap<&str, usize> = pipeline
            .jobs
            .iter()
            .enumerate()
            .map(|(number, job)| (job.name.as_str(), number))
            .collect();
        let node = |(number, job): (usize, &'p Job)| Node {
            job,
            number,
            needs: job.needs.as_ref().map(|needs| {
                needs
                    .iter()
                    .map(|need| Edge {
                        from: numbers
                            .get(need.job.as_str())
                            .copied()
                            .filter(|_| need.pipeline.is_none()),
                        name: &need.job,
                        pipeline: need.pipeline.as_deref(),
                        artifacts: need.artifacts,
                        optional: need.optional,
                    })
                    .collect()
            }),
        };
        let stages = pipeline.stages.iter().map(|name| Stage {
            name,
            nodes: pipeline
                .jobs
                .iter()
                .enumerate()
                .filter(|(_, job)| job.stage == *name)
                .map(node)
                .collect(),
        });
        Self {
            stages: stages.filter(|stage| !stage.nodes.is_empty()).collect(),
        }
    }

    /// Places of stages whose end something waits for.
    fn awaited(&self) -> Vec<bool> {
        let last = self
            .stages
            .iter()
            .rposition(|stage| stage.nodes.iter().any(|node| node.needs.is_none()));
        (0..self.stages.len())
            .map(|place| last.is_some_and(|last| place < last))
            .collect()
    }
}

/// What is said with a job's name.
fn remark(job: &Job) -> Option<&'static str> {
    match job.when {
        When::Manual => Some("manual"),
        When::Delayed => Some("delayed"),
        When::OnFailure => Some("on_failure"),
        When::Always => Some("always"),
        When::OnSuccess | When::Never => None,
    }
}

/// A name without what controls a terminal or ends a line.
fn on_one_line(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn as_json(graph: &Graph<'_>) -> Value {
    let nodes = graph.stages.iter().flat_map(|stage| &stage.nodes);
    let edges = nodes.clone().flat_map(|node| {
        node.needs.iter().flatten().map(|edge| {
            json!({
                "from": edge.name,
                "to": node.job.name,
                "pipeline": edge.pipeline,
                "artifacts": edge.artifacts,
                "optional": edge.optional,
            })
        })
    });
    let edges: Vec<Value> = edges.collect();
    let nodes = nodes.map(|node| {
        json!({
            "name": node.job.name,
            "stage": node.job.stage,
            "when": node.job.when,
            "waits_for": if node.needs.is_some() { "needs" } else { "stages" },
        })
    });
    json!({
        "stages": graph.stages.iter().map(|stage| stage.name).collect::<Vec<_>>(),
        "nodes": nodes.collect::<Vec<_>>(),
        "edges": edges,
    })
}

#[cfg(test)]
mod tests {
    use super::{Graph, dot, mermaid, text};
    use pipglr_coordinator::ci::{SourceFile, evaluate_alone};

    const FILE: &str = "\
stages: [build, test, deploy]
compile: { stage: build, script: [x] }
'say \"hi\" [x] <b>; \\ #1': { stage: build, script: [x] }
unit: { stage: test, script: [x], needs: [compile] }
lint: { stage: test, script: [x], needs: [] }
all: { stage: test, script: [x] }
ship: { stage: deploy, script: [x], when: manual, needs: [unit, { job: all, optional: true }] }
";

    fn drawn(draw: fn(&Graph<'_>) -> String) -> String {
        let evaluation = evaluate_alone(&SourceFile {
            path: "x.yml".to_owned(),
            text: FILE.to_owned(),
        });
        draw(&Graph::of(&evaluation.pipeline.unwrap()))
    }

    #[test]
    fn a_graph_is_read_by_people() {
        assert_eq!(
            drawn(text::draw),
            "\
build
  compile
  say \"hi\" [x] <b>; \\ #1

test
  unit  ← compile
  lint  starts at once
  all   ← all of build

deploy
  ship (manual)  ← unit, all (optional)
"
        );
    }

    #[test]
    fn a_graph_is_drawn_by_graphviz() {
        assert_eq!(
            drawn(dot::draw),
            r#"digraph pipeline {
  rankdir=LR;
  compound=true;
  node [shape=box, style=rounded];
  subgraph cluster_0 {
    label="build";
    job0 [label="compile"];
    job1 [label="say \"hi\" [x] <b>; \\ #1"];
  }
  subgraph cluster_1 {
    label="test";
    job2 [label="unit"];
    job3 [label="lint"];
    job4 [label="all"];
  }
  subgraph cluster_2 {
    label="deploy";
    job5 [label="ship\n(manual)"];
  }
  after0 [shape=point, label=""];
  job0 -> after0 [style=dashed, arrowhead=none];
  job1 -> after0 [style=dashed, arrowhead=none];
  job0 -> job2;
  after0 -> job4 [style=dashed];
  job2 -> job5;
  job4 -> job5;
}
"#
        );
    }

    #[test]
    fn a_graph_is_drawn_in_markdown() {
        assert_eq!(
            drawn(mermaid::draw),
            r#"flowchart LR
  subgraph stage0["build"]
    job0["compile"]
    job1["say #34;hi#34; #91;x#93; #60;b#62;#59; #92; #35;1"]
  end
  subgraph stage1["test"]
    job2["unit"]
    job3["lint"]
    job4["all"]
  end
  subgraph stage2["deploy"]
    job5["ship (manual)"]
  end
  after0(( ))
  job0 -.- after0
  job1 -.- after0
  job0 --> job2
  after0 -.-> job4
  job2 --> job5
  job4 --> job5
"#
        );
    }

    /// One job for each name, drawn; the lines of the nodes.
    fn labels(draw: fn(&Graph<'_>) -> String, names: &[&str]) -> Vec<String> {
        let jobs: Vec<String> = names
            .iter()
            .map(|name| format!("{}: {{ script: [x] }}\n", serde_json::Value::from(*name)))
            .collect();
        let evaluation = evaluate_alone(&SourceFile {
            path: "x.yml".to_owned(),
            text: jobs.concat(),
        });
        let drawn = draw(&Graph::of(&evaluation.pipeline.unwrap()));
        let nodes = drawn.lines().filter_map(|line| line.trim_start().strip_prefix("job"));
        nodes.map(str::to_owned).collect()
    }

    #[test]
    fn names_are_shown_as_they_are_by_graphviz() {
        for (name, label) in [
            ("end", "0 [label=\"end\"];"),
            ("a \"b\" \\", "0 [label=\"a \\\"b\\\" \\\\\"];"),
            (r"\N \l", r#"0 [label="\\N \\l"];"#),
            ("&lt; & <b>", "0 [label=\"&amp;lt; &amp; <b>\"];"),
            ("two\nlines\u{1b}[1m", "0 [label=\"two lines [1m\"];"),
            ("日本語 🚀", "0 [label=\"日本語 🚀\"];"),
        ] {
            assert_eq!(labels(dot::draw, &[name]), [label]);
        }
    }

    #[test]
    fn names_are_shown_as_they_are_by_mermaid() {
        for (name, label) in [
            ("end", "0[\"end\"]"),
            ("\"b\" (c) {d} |e|", "0[\"#34;b#34; (c) #123;d#125; #124;e#124;\"]"),
            ("&lt; #35;", "0[\"#38;lt#59; #35;35#59;\"]"),
            ("1. one - 2.", "0[\"1#46; one - 2.\"]"),
            ("- dash", "0[\"#45; dash\"]"),
            ("fa:fa-car $$x$$", "0[\"fa#58;fa-car #36;#36;x#36;#36;\"]"),
            ("two\nlines", "0[\"two lines\"]"),
            ("日本語 🚀", "0[\"日本語 🚀\"]"),
        ] {
            assert_eq!(labels(mermaid::draw, &[name]), [label]);
        }
    }
}
