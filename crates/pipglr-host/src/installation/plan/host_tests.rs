//! What else of a host has a say: units of systemd, and other containers.

use super::tests::{TRIED, WAITED, bare, check, names, set_up, wish};
use super::{Boot, Facts, Step, plan};
use crate::render::quadlet;
use crate::sandbox::Sandbox;
use crate::service::content;
use crate::tenancy::Tenant;

/// As `pipglr service install` leaves it.
fn with_unit() -> Facts {
    let mut facts = set_up();
    let mut sandbox = Sandbox::new("pipglr", "image");
    sandbox.extra.push("--memory=4g".into());
    facts.unit_file = quadlet(&sandbox).files.first().map(|(_, unit)| content(unit));
    facts.container.as_mut().unwrap().unit = Some("pipglr.service".into());
    facts
}

const RESTARTED: &str =
    "restart pipglr.service (BECAUSE): it takes no more jobs and waits up to 7200 s for those that run";
const WRITTEN: [&str; 2] = [
    "write ~/.config/containers/systemd/pipglr.container",
    "let systemd read its units again",
];

#[test]
fn a_newer_image_of_the_same_name_is_put_in_service_through_the_unit() {
    let nothing: [&str; 0] = [];
    check(&with_unit(), &wish(), &nothing);
    let mut newer = with_unit();
    newer.image_id = Some("i2".into());
    let restarted = RESTARTED.replace("BECAUSE", "its image is another");
    check(&newer, &wish(), &[TRIED, &restarted, WAITED]);
    let removed = "remove the image i1, which has no name any more, unless it is in use";
    newer.nameless = vec!["i1".into()];
    check(&newer, &wish(), &[TRIED, &restarted, WAITED, removed]);
    let plan = plan(&newer, &wish()).unwrap();
    assert_eq!(plan.sandbox.extra, ["--memory=4g"], "the trial has what the unit has");
    assert!(plan.way_back_from(0).is_empty(), "nothing has changed yet");
    let ill =
        "restart pipglr.service (it is not healthy): it takes no more jobs and waits up to 60 s for those that run";
    let back = ["give the name image back to the image i1", ill, WAITED];
    assert_eq!(names(plan.way_back_from(1)), back);
    assert_eq!(names(plan.way_back_from(2)), back);
}

#[test]
fn another_image_is_written_to_the_unit_and_the_old_one_back_again() {
    let mut other = with_unit();
    (other.image, other.image_id) = ("other".into(), Some("i2".into()));
    let restarted = RESTARTED.replace("BECAUSE", "its image is another");
    let tried = TRIED.replace("out image", "out other");
    check(&other, &wish(), &[&tried, WRITTEN[0], WRITTEN[1], &restarted, WAITED]);
    let plan = plan(&other, &wish()).unwrap();
    let text = |steps: &[Step]| match steps.iter().find(|step| matches!(step, Step::WriteUnit { .. })) {
        Some(Step::WriteUnit { text, .. }) => text.clone(),
        _ => String::new(),
    };
    let old = other.unit_file.unwrap();
    assert_eq!(text(&plan.steps), old.replace("Image=image", "Image=other"));
    // A job that runs is not ended because a file could not be written.
    assert_eq!(text(plan.way_back_from(1)), old);
    assert_eq!(names(plan.way_back_from(2)), WRITTEN);
    assert_eq!(plan.way_back_from(3).len(), 4, "{:?}", plan.way_back);
}

#[test]
fn a_units_runner_is_configured_started_and_given_options_by_up() {
    let mut more = wish();
    more.concurrent = Some(4);
    let restarted = RESTARTED.replace("BECAUSE", "its configuration is another");
    let stored = "store the configuration as the secret config.toml";
    check(
        &with_unit(),
        &more,
        &["set concurrent from 1 to 4", stored, &restarted, WAITED],
    );
    let mut option = wish();
    option.run_options = vec!["--env=A=b".into()];
    let restarted = RESTARTED.replace("BECAUSE", "its unit is another");
    check(&with_unit(), &option, &[WRITTEN[0], WRITTEN[1], &restarted, WAITED]);
    let mut stopped = with_unit();
    stopped.container = None;
    check(&stopped, &wish(), &["start pipglr.service", WAITED]);
}

/// Somebody else's unit is not touched; the hint is what does it.
#[test]
fn a_unit_that_pipglr_did_not_write() {
    let mut foreign = with_unit();
    foreign.unit_file = Some("[Container]\nImage=image\n".into());
    foreign.container.as_mut().unwrap().command = vec!["podman".into(), "run".into(), "image".into()];
    let nothing: [&str; 0] = [];
    check(&foreign, &wish(), &nothing);
    let mut option = wish();
    option.run_options = vec!["--env=A=b".into()];
    foreign.image_id = Some("i2".into());
    for (wish, hint) in [
        (
            wish(),
            "systemctl --user restart pipglr.service makes the container anew",
        ),
        (
            option,
            "change the unit's file, then: systemctl --user daemon-reload; systemctl --user restart",
        ),
    ] {
        let obstacle = plan(&foreign, &wish).unwrap_err();
        assert!(obstacle.hint().starts_with(hint), "{}", obstacle.hint());
    }
}

#[test]
fn volumes_of_another_container_are_not_shared() {
    let mut taken = set_up();
    taken.tenant = Some(Tenant {
        volume: "pipglr-storage",
        container: "old".into(),
    });
    let obstacle = plan(&taken, &wish()).unwrap_err();
    assert_eq!(
        obstacle.to_string(),
        "the container old has the volume pipglr-storage: two runners cannot share it"
    );
    assert!(
        obstacle.hint().contains("`pipglr down --container old`"),
        "{}",
        obstacle.hint()
    );
}

#[test]
fn a_restart_of_the_machine_is_survived_where_systemd_is() {
    let enable = "enable podman-restart.service of the account: it starts the container with the machine";
    let mut facts = set_up();
    facts.boot = Boot::Disabled;
    check(&facts, &wish(), &[enable]);
    let mut from_nothing = bare();
    from_nothing.boot = Boot::Disabled;
    let last = plan(&from_nothing, &wish()).unwrap().steps.pop();
    assert_eq!(last.map(|step| step.to_string()).as_deref(), Some(enable));
    let nothing: [&str; 0] = [];
    facts.container.as_mut().unwrap().unit = Some("pipglr.service".into());
    check(&facts, &wish(), &nothing);
    facts.container.as_mut().unwrap().unit = None;
    facts.boot = Boot::Nothing;
    check(&facts, &wish(), &nothing);
}

#[test]
fn no_token_in_a_plan() {
    let plan = plan(&bare(), &wish()).unwrap();
    let shown = format!("{plan:?}{}{:?}", serde_json::to_string(&plan.steps).unwrap(), wish());
    assert!(!shown.contains("glrt-"), "{shown}");
}
