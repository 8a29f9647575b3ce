//! What GitLab's own tests of its processing say, restated: `gitlab/*.txt`.
//!
//! Compat: GitLab spec/services/ci/pipeline_processing/test_cases; a case is named after the file there. The states of
//! stages, which are told there as well, are not kept here.
//!
//! A case is its name, its jobs as [`super::parse`] reads them, and lines of an action and the states after it as
//! [`super::check`] has them; ` + ` joins actions that happen at once. A case that cannot be told here says `left out`.

use super::{PipelineRun, act, create, states};

/// All files of GitLab's directory.
const CASES: usize = 61;

#[test]
fn pipelines_go_on_as_gitlab_says() {
    let texts = [include_str!("gitlab/needs.txt"), include_str!("gitlab/stages.txt")];
    let cases: Vec<&str> = texts
        .iter()
        .flat_map(|text| text.split("\ncase ").skip(1))
        .map(str::trim_end)
        .collect();
    assert_eq!(cases.len(), CASES);
    let wrong: Vec<String> = cases.into_iter().flat_map(differences).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where a case comes to other states than it says.
fn differences(case: &str) -> Vec<String> {
    let (name, lines) = case.split_once('\n').expect("a case has lines");
    let mut on_job_failure = false;
    let mut run: Option<PipelineRun> = None;
    let mut wrong = Vec::new();
    for line in lines.lines() {
        let (word, rest) = line.split_once(' ').expect("a line has words");
        match word {
            "left" => return Vec::new(),
            "on_job_failure" => on_job_failure = rest == "all",
            "jobs" => {
                let mut created = create(rest);
                created.auto_cancel.on_job_failure = on_job_failure;
                run = Some(created);
            }
            _ => {
                let run = run.as_mut().expect("jobs come first");
                let (actions, expected) = line.split_once('|').expect("states come after a bar");
                for action in actions.trim().split(" + ").filter(|action| *action != "at first") {
                    act(run, action);
                }
                let actual = states(run);
                if actual != expected.trim() {
                    wrong.push(format!("{name}: {}: {actual}, not {}", actions.trim(), expected.trim()));
                }
            }
        }
    }
    assert!(run.is_some(), "{name} has no jobs");
    wrong
}
