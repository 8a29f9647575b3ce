//! What the README tells a new user to do.

use anyhow::ensure;

/// The README's shell blocks for `reader`, one after another.
pub(crate) fn script(reader: &str) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(pipglr_e2e::repository().join("README.md"))?;
    let fence = format!("```sh {reader}\n");
    let blocks = text.split(&fence).skip(1).filter_map(|rest| rest.split("```").next());
    let script: String = blocks.collect();
    ensure!(!script.is_empty(), "the README has no commands for {reader}");
    Ok(script)
}
