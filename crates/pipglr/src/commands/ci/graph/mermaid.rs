//! The graph for Markdown. Stages are waited for as in `dot`.

use super::{Graph, on_one_line, remark};
use std::fmt::Write as _;

pub(super) fn draw(graph: &Graph<'_>) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(graph, &mut text);
    text
}

fn write(graph: &Graph<'_>, text: &mut String) -> std::fmt::Result {
    text.push_str("flowchart LR\n");
    for (place, stage) in graph.stages.iter().enumerate() {
        writeln!(text, "  subgraph stage{place}[\"{}\"]", escaped(stage.name))?;
        for node in &stage.nodes {
            let remark = remark(node.job)
                .map(|remark| format!(" ({remark})"))
                .unwrap_or_default();
            writeln!(text, "    job{}[\"{}{remark}\"]", node.number, escaped(&node.job.name))?;
        }
        text.push_str("  end\n");
    }
    let awaited = graph.awaited();
    for (place, stage) in graph.stages.iter().enumerate().filter(|(place, _)| awaited[*place]) {
        writeln!(text, "  after{place}(( ))")?;
        if place > 0 {
            writeln!(text, "  after{} -.- after{place}", place - 1)?;
        }
        for node in &stage.nodes {
            writeln!(text, "  job{} -.- after{place}", node.number)?;
        }
    }
    for (place, stage) in graph.stages.iter().enumerate() {
        for node in &stage.nodes {
            match &node.needs {
                None if place > 0 => writeln!(text, "  after{} -.-> job{}", place - 1, node.number)?,
                None => {}
                Some(needs) => {
                    for from in needs.iter().filter_map(|edge| edge.from) {
                        writeln!(text, "  job{from} --> job{}", node.number)?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// Characters that mean something to Mermaid, to the Markdown it looks for at the start, or to the HTML and the formulas
/// it makes, by their code.
fn escaped(name: &str) -> String {
    let mut text = String::new();
    let mut is_start = true;
    for c in on_one_line(name).chars() {
        let is_plain = !c.is_ascii() || c.is_ascii_alphanumeric() || " /,='".contains(c);
        let is_safe = is_plain || !is_start && ".-()+".contains(c);
        if is_safe {
            text.push(c);
        } else {
            text.push_str(&format!("#{};", u32::from(c)));
        }
        // A number and a point begin a list, and so does a stroke.
        is_start &= c.is_ascii_digit();
    }
    text
}
