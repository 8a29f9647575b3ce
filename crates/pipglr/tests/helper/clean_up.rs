//! How `FF_ENABLE_JOB_CLEANUP` leaves the project directory.

use crate::support::{Workshop, names_in};
use pipglr_runner::container_side::helper::{CleanUpPlan, HelperPlan, Phase, SourcesPlan, Strategy};
use std::fs;

async fn clean_up(workshop: &Workshop, strategy: Strategy, submodules: bool) -> crate::support::Ran {
    let plan = CleanUpPlan {
        strategy,
        project_dir: workshop.project().display().to_string(),
        clean_flags: Some(vec!["-ffdx".to_owned()]),
        submodules,
        recursive: submodules,
    };
    workshop
        .run(HelperPlan {
            phases: vec![Phase::CleanUp(plan)],
            ..workshop.helper_plan()
        })
        .await
}

#[tokio::test]
async fn a_kept_work_tree_is_cleaned_with_its_submodules() {
    let (workshop, repository) = Workshop::with_project().await;
    let b = workshop.repository("other/b");
    b.commit("b", &[("b", "b 1\n")]);
    repository.add_submodule(&b, "b", "../../other/b.git");
    let plan = SourcesPlan {
        submodules: Some(Workshop::submodules(true)),
        ..workshop.plan(&repository)
    };
    workshop.get(&plan).await.assert_code(0);
    for name in ["left", "b/left"] {
        fs::write(workshop.project().join(name), "x").unwrap();
    }
    fs::write(workshop.project().join("file"), "changed\n").unwrap();
    let mark = workshop.directory.path().join("planted-ran");
    workshop.git(&["config", "core.fsmonitor", &format!("touch {}; false", mark.display())]);
    let _ = fs::remove_file(&mark);
    let ran = clean_up(&workshop, Strategy::Fetch, true).await;
    ran.assert_code(0).assert_has(&["Removing left\n", "HEAD is now at"]);
    assert_eq!(ran.text.matches("Removing left\n").count(), 2, "{}", ran.text);
    assert_eq!(fs::read_to_string(workshop.project().join("file")).unwrap(), "one\n");
    assert_eq!(names_in(&workshop.project()), [".git", ".gitmodules", "b", "file"]);
    assert!(!mark.exists(), "what the job configured was run");
}

#[tokio::test]
async fn a_repository_the_job_put_in_place_of_a_submodule_is_not_obeyed() {
    let (workshop, repository) = Workshop::with_project().await;
    let b = workshop.repository("other/b");
    b.commit("b", &[("b", "b 1\n")]);
    repository.add_submodule(&b, "b", "../../other/b.git");
    let plan = SourcesPlan {
        submodules: Some(Workshop::submodules(true)),
        ..workshop.plan(&repository)
    };
    workshop.get(&plan).await.assert_code(0);
    let mark = workshop.directory.path().join("planted-ran");
    crate::submodules::plant(&workshop.project().join("b"), &mark);
    clean_up(&workshop, Strategy::Fetch, true).await.assert_code(0);
    assert!(!mark.exists(), "what the job planted was run");
}

#[tokio::test]
async fn other_strategies_leave_nothing_or_everything() {
    let (workshop, _) = Workshop::with_project().await;
    for (strategy, left, text) in [
        (Strategy::None, true, "Skipping build directory cleanup step\n"),
        (Strategy::Clone, false, ""),
        (Strategy::Empty, false, ""),
    ] {
        fs::create_dir_all(workshop.project().join("x")).unwrap();
        let ran = clean_up(&workshop, strategy, false).await;
        assert_eq!(ran.assert_code(0).text, text);
        assert_eq!(workshop.project().exists(), left, "{strategy:?}");
    }
}
