//! The command line of the command in the sandbox, from the one that was typed.

use super::plan::{ARCHIVES, REPORT};
use crate::cli::{ContextArgs, LocalArgs};
use std::path::Path;

/// `local` and its arguments. Whoever adds one to the command has to say here what it means for the sandbox.
pub(super) fn inside(args: &LocalArgs, logs: &Path) -> Vec<String> {
    let LocalArgs {
        jobs,
        needs,
        stage,
        from,
        only_failed,
        manual,
        context,
        watch,
        concurrent,
        pull,
        default_image,
        timeout,
        shell_on_failure,
        artifacts,
        // The same on both sides, if it was named or not.
        log_dir: _,
        json,
        timings,
        // Ends before there is a sandbox.
        clean: _,
        nested: _,
        artifact_archives: _,
        report,
        // The image has its own.
        program: _,
    } = args;
    let mut all = vec!["local".to_owned()];
    each(&mut all, "stage", stage);
    each(&mut all, "from", from);
    each(&mut all, "manual", manual);
    of_context(&mut all, context);
    each(&mut all, "concurrent", concurrent);
    if !context.offline {
        each(&mut all, "pull", [pull.as_str()]);
    }
    each(&mut all, "default-image", [default_image]);
    each(&mut all, "timeout", timeout.map(|time| format!("{}s", time.as_secs())));
    each(&mut all, "log-dir", [logs.display()]);
    each(&mut all, "artifact-archives", artifacts.as_ref().map(|_| ARCHIVES));
    each(&mut all, "report", report.as_ref().map(|_| REPORT));
    for (switch, on) in [
        ("--needs", *needs),
        ("--only-failed", *only_failed),
        ("--watch", *watch),
        ("--shell-on-failure", *shell_on_failure),
        ("--json", *json),
        ("--timings", *timings),
    ] {
        all.extend(on.then(|| switch.to_owned()));
    }
    if !jobs.is_empty() {
        all.push("--".to_owned());
        all.extend(jobs.iter().cloned());
    }
    all
}

fn of_context(all: &mut Vec<String>, context: &ContextArgs) {
    let ContextArgs {
        branch,
        tag,
        mr,
        schedule,
        variables,
        variables_file,
        input,
        config,
        offline,
    } = context;
    each(all, "branch", branch);
    each(all, "tag", tag);
    each(all, "mr", mr);
    each(all, "env", variables);
    each(all, "variables-file", variables_file.iter().map(|file| file.display()));
    each(all, "input", input);
    each(all, "file", [config]);
    for (switch, on) in [("--schedule", *schedule), ("--offline", *offline)] {
        all.extend(on.then(|| switch.to_owned()));
    }
}

fn each<T: ToString>(all: &mut Vec<String>, name: &str, values: impl IntoIterator<Item = T>) {
    all.extend(
        values
            .into_iter()
            .map(|value| format!("--{name}={}", value.to_string())),
    );
}
