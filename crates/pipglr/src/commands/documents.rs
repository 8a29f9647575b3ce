//! `pipglr completion` and `pipglr man`.

use super::Outcome;
use crate::{cli, output};
use anyhow::Context as _;
use clap_complete::Shell;
use std::path::Path;

pub(super) fn completion(shell: Shell) -> Outcome {
    output::raw(&cli::completion(shell))?;
    Ok(0)
}

pub(super) fn man(directory: &Path) -> Outcome {
    cli::manual_pages(directory).with_context(|| format!("write manual pages to {}", directory.display()))?;
    Ok(0)
}
