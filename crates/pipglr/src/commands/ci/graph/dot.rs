//! The graph for Graphviz. Who waits for a stage is tied to a point that stands for its end, so that there are no more
//! lines than jobs.

use super::{Graph, on_one_line, remark};
use std::fmt::Write as _;

pub(super) fn draw(graph: &Graph<'_>) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(graph, &mut text);
    text
}

fn write(graph: &Graph<'_>, text: &mut String) -> std::fmt::Result {
    text.push_str("digraph pipeline {\n  rankdir=LR;\n  compound=true;\n  node [shape=box, style=rounded];\n");
    for (place, stage) in graph.stages.iter().enumerate() {
        writeln!(
            text,
            "  subgraph cluster_{place} {{\n    label={};",
            quoted(stage.name, None)
        )?;
        for node in &stage.nodes {
            let label = quoted(&node.job.name, remark(node.job));
            writeln!(text, "    job{} [label={label}];", node.number)?;
        }
        text.push_str("  }\n");
    }
    let awaited = graph.awaited();
    for (place, stage) in graph.stages.iter().enumerate().filter(|(place, _)| awaited[*place]) {
        writeln!(text, "  after{place} [shape=point, label=\"\"];")?;
        if place > 0 {
            writeln!(
                text,
                "  after{} -> after{place} [style=dashed, arrowhead=none];",
                place - 1
            )?;
        }
        for node in &stage.nodes {
            writeln!(
                text,
                "  job{} -> after{place} [style=dashed, arrowhead=none];",
                node.number
            )?;
        }
    }
    for (place, stage) in graph.stages.iter().enumerate() {
        for node in &stage.nodes {
            match &node.needs {
                None if place > 0 => writeln!(text, "  after{} -> job{} [style=dashed];", place - 1, node.number)?,
                None => {}
                Some(needs) => {
                    for from in needs.iter().filter_map(|edge| edge.from) {
                        writeln!(text, "  job{from} -> job{};", node.number)?;
                    }
                }
            }
        }
    }
    text.push_str("}\n");
    Ok(())
}

/// A string of the language, with a second line for what is said of it. Graphviz reads entities of HTML in it.
fn quoted(name: &str, remark: Option<&str>) -> String {
    let name = on_one_line(name)
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('&', "&amp;");
    match remark {
        Some(remark) => format!("\"{name}\\n({remark})\""),
        None => format!("\"{name}\""),
    }
}
