//! `gitlab-runner --version`, in the form scripts know.
//!
//! Compat: gitlab-runner common/version.go.

use super::Outcome;
use crate::output;
use pipglr_runner::{BRANCH, BUILT, REVISION, VERSION, go_architecture};

pub(super) fn run() -> Outcome {
    output::line(text())?;
    Ok(0)
}

fn text() -> String {
    let architecture = go_architecture();
    [
        format!("Version:      {VERSION}"),
        format!("Git revision: {REVISION}"),
        format!("Git branch:   {BRANCH}"),
        "GO version:   none, this is pipglr".to_owned(),
        format!("Built:        {BUILT}"),
        format!("OS/Arch:      linux/{architecture}"),
    ]
    .join("\n")
}
