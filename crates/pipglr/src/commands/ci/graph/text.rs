//! The graph for people: stages from top to bottom, with each job what it waits for.

use super::{Edge, Graph, Node, on_one_line, remark};
use unicode_width::UnicodeWidthStr as _;

pub(super) fn draw(graph: &Graph<'_>) -> String {
    let mut before: Option<&str> = None;
    let mut several = false;
    let mut stages = Vec::new();
    for stage in &graph.stages {
        let width = stage.nodes.iter().map(|node| title(node).width()).max().unwrap_or(0);
        let mut text = format!("{}\n", on_one_line(stage.name));
        for node in &stage.nodes {
            let title = title(node);
            let gap = " ".repeat(width - title.width() + 2);
            let line = format!("  {title}{gap}{}", waits_for(node, before, several));
            text.push_str(line.trim_end());
            text.push('\n');
        }
        stages.push(text);
        several = before.is_some();
        before = Some(stage.name);
    }
    stages.join("\n")
}

fn title(node: &Node<'_>) -> String {
    match remark(node.job) {
        Some(remark) => format!("{} ({remark})", on_one_line(&node.job.name)),
        None => on_one_line(&node.job.name),
    }
}

fn waits_for(node: &Node<'_>, before: Option<&str>, several: bool) -> String {
    match (&node.needs, before) {
        (None, None) => String::new(),
        (None, Some(stage)) if several => format!("← all of {} and before", on_one_line(stage)),
        (None, Some(stage)) => format!("← all of {}", on_one_line(stage)),
        (Some(needs), _) if needs.is_empty() => "starts at once".to_owned(),
        (Some(needs), _) => {
            let names: Vec<String> = needs.iter().map(needed).collect();
            format!("← {}", names.join(", "))
        }
    }
}

fn needed(edge: &Edge<'_>) -> String {
    let name = on_one_line(edge.name);
    match (edge.pipeline, edge.optional) {
        (Some(pipeline), _) => format!("{name} of pipeline {pipeline}"),
        (None, true) => format!("{name} (optional)"),
        (None, false) => name,
    }
}
