use super::{Boot, Config, Facts, Obstacle, Pull, Step, Wish, plan};
use crate::installation::{Configuration, Container, Registration, Token, VolumeFact};
use crate::sandbox::Sandbox;

const STORED: &str = "concurrent = 1\n[[runners]]\nname = \"r\"\nurl = \"https://g.example\"\ntoken = \"glrt-a\"\n";

pub(super) fn wish() -> Wish {
    Wish {
        container: "pipglr".into(),
        image: Some("image".into()),
        pull: Pull::Missing,
        registration: Some(Registration {
            url: "https://g.example".into(),
            token: Token::new("glrt-a"),
            name: "r".into(),
            options: Vec::new(),
        }),
        concurrent: None,
        run_options: Vec::new(),
        patience: None,
    }
}

/// Nothing is there.
pub(super) fn bare() -> Facts {
    let volume = |name: &str| VolumeFact {
        name: name.into(),
        owner: None,
    };
    Facts {
        image: "image".into(),
        image_id: None,
        superseded: None,
        nameless: Vec::new(),
        config: Config::Missing,
        volumes: ["pipglr-storage", "pipglr-cache", "pipglr-state"].map(volume).into(),
        tenant: None,
        container: None,
        aside: None,
        session_systemd: true,
        boot: Boot::Enabled,
        unit_file: None,
    }
}

/// All is as wished.
pub(super) fn set_up() -> Facts {
    let mut facts = bare();
    facts.image_id = Some("i1".into());
    facts.config = stored();
    for (volume, owner) in facts.volumes.iter_mut().zip([1000, 1000, 1001]) {
        volume.owner = Some(owner);
    }
    let command = [
        vec!["podman".to_owned()],
        Sandbox::new("pipglr", "image").run_arguments(),
    ]
    .concat();
    facts.container = Some(Container {
        image: "image".into(),
        image_id: "i1".into(),
        running: true,
        healthy: true,
        command,
        is_configured: true,
        unit: None,
        proxies: Vec::new(),
    });
    facts
}

fn stored() -> Config {
    Config::Stored {
        configuration: Box::new(Configuration::parse(STORED).unwrap()),
    }
}

const STOPPED: &str =
    "stop the container pipglr (BECAUSE): it takes no more jobs and waits up to 7200 s for those that run";
pub(super) const WAITED: &str = "wait up to 120 s for pipglr to be healthy";
pub(super) const TRIED: &str = "try out image beside it: the stored configuration, health, a container in it";
const TAKEN_OVER: [&str; 4] = [
    "rename the container pipglr to pipglr-before",
    "start the container pipglr of image",
    WAITED,
    "remove the container pipglr-before",
];

fn replaced(because: &str) -> Vec<String> {
    let mut steps = vec![STOPPED.replace("BECAUSE", because)];
    steps.extend(TAKEN_OVER.map(str::to_owned));
    steps
}

fn upgraded(because: &str) -> Vec<String> {
    [vec![TRIED.to_owned()], replaced(because)].concat()
}

#[track_caller]
pub(super) fn check(facts: &Facts, wish: &Wish, expected: &[impl AsRef<str>]) {
    let steps: Vec<String> = plan(facts, wish)
        .unwrap()
        .steps
        .iter()
        .map(ToString::to_string)
        .collect();
    let expected: Vec<&str> = expected.iter().map(AsRef::as_ref).collect();
    assert_eq!(steps, expected);
}

#[test]
fn from_nothing() {
    let mut wish = wish();
    wish.concurrent = Some(4);
    let expected = [
        "pull the image image",
        "prepare the volume pipglr-storage for the user podman",
        "prepare the volume pipglr-cache for the user podman",
        "prepare the volume pipglr-state for the user runner",
        "register the runner \"r\" at https://g.example",
        "set concurrent to 4",
        "store the configuration as the secret config.toml",
        "start the container pipglr of image",
        "wait up to 120 s for pipglr to be healthy",
    ];
    check(&bare(), &wish, &expected);
}

#[test]
fn nothing_to_do_where_all_is_there() {
    let nothing: [&str; 0] = [];
    check(&set_up(), &wish(), &nothing);
    let mut same = wish();
    same.concurrent = Some(1);
    check(&set_up(), &same, &nothing);
    same.registration = None;
    check(&set_up(), &same, &nothing);
}

#[test]
fn differences_make_the_container_anew() {
    let mut more = wish();
    more.concurrent = Some(4);
    let mut expected = vec![
        "set concurrent from 1 to 4".to_owned(),
        "store the configuration as the secret config.toml".to_owned(),
    ];
    expected.extend(replaced("its configuration is another"));
    check(&set_up(), &more, &expected);

    let mut newer = set_up();
    newer.image_id = Some("i2".into());
    check(&newer, &wish(), &upgraded("its image is another"));

    let mut interrupted = set_up();
    interrupted.container.as_mut().unwrap().is_configured = false;
    check(&interrupted, &wish(), &replaced("its configuration is another"));

    let mut option = wish();
    option.run_options = vec!["--env=LOG_LEVEL=debug".into()];
    check(&set_up(), &option, &replaced("it lacks --env=LOG_LEVEL=debug"));
}

pub(super) fn names(steps: &[Step]) -> Vec<String> {
    steps.iter().map(ToString::to_string).collect()
}

#[test]
fn an_upgrade_asks_for_the_image_first() {
    let mut upgrade = wish();
    upgrade.pull = Pull::Newer;
    let asked = [
        "pull the image image",
        "read the stored configuration, and plan the rest by it",
    ];
    check(&set_up(), &upgrade, &asked);
    // What was made here is in no registry.
    let mut local = set_up();
    local.image = "localhost/image".into();
    local.image_id = Some("i2".into());
    local.container.as_mut().unwrap().image = "localhost/image".into();
    upgrade.patience = Some(90);
    let steps = names(&plan(&local, &upgrade).unwrap().steps);
    assert_eq!(steps[0], TRIED.replace("out image", "out localhost/image"));
    assert!(steps[1].ends_with("waits up to 90 s for those that run"), "{steps:?}");
}

#[test]
fn the_way_back_begins_when_the_old_container_is_aside() {
    let mut newer = set_up();
    newer.image_id = Some("i2".into());
    let plan = plan(&newer, &wish()).unwrap();
    let back = [
        "stop the container pipglr (it is not healthy): it takes no more jobs and waits up to 60 s for those that run",
        "remove the container pipglr",
        "rename the container pipglr-before to pipglr",
        "start the container pipglr again",
        WAITED,
    ];
    let by_step: Vec<(&str, bool)> = vec![
        ("try out", false),
        ("stop the", false),
        ("rename", false),
        ("start the", true),
        ("wait up", true),
        ("remove", false),
    ];
    for (at, (begins, has_way_back)) in by_step.into_iter().enumerate() {
        assert!(plan.steps[at].to_string().starts_with(begins), "{}", plan.steps[at]);
        let expected: &[&str] = if has_way_back { &back } else { &[] };
        assert_eq!(names(plan.way_back_from(at)), expected, "{begins}");
    }
    assert_eq!(plan.steps.len(), 6);
}

#[test]
fn what_did_not_run_does_not_run_after_the_way_back() {
    let mut stopped = set_up();
    stopped.image_id = Some("i2".into());
    let container = stopped.container.as_mut().unwrap();
    (container.running, container.healthy) = (false, false);
    let plan = plan(&stopped, &wish()).unwrap();
    let expected: Vec<String> = [vec![TRIED.to_owned()], TAKEN_OVER.map(str::to_owned).into()].concat();
    assert_eq!(names(&plan.steps), expected);
    assert_eq!(
        names(&plan.way_back).last().map(String::as_str),
        Some("rename the container pipglr-before to pipglr")
    );
}

#[test]
fn a_first_container_has_no_way_back() {
    let plan = plan(&bare(), &wish()).unwrap();
    assert!(plan.way_back.is_empty(), "{:?}", plan.way_back);
}

/// An upgrade was killed between two steps.
#[test]
fn an_upgrade_that_was_broken_off_is_brought_to_its_end() {
    let remove = TAKEN_OVER[3];
    let aside = |mut facts: Facts| {
        facts.aside = facts.container.clone();
        let there = facts.aside.as_mut().unwrap();
        (there.image_id, there.running, there.healthy) = ("i0".into(), false, false);
        there.command.insert(2, "--env=A=b".into());
        facts
    };
    // The new one is healthy, not yet healthy, stopped.
    let mut there = aside(set_up());
    check(&there, &wish(), &[remove]);
    there.container.as_mut().unwrap().healthy = false;
    check(&there, &wish(), &[WAITED, remove]);
    assert!(!plan(&there, &wish()).unwrap().way_back_from(0).is_empty());
    there.container.as_mut().unwrap().running = false;
    check(&there, &wish(), &["start the container pipglr again", WAITED, remove]);
    // It is healthy, and a third image is wanted: the way back is to this one.
    let mut third = aside(set_up());
    third.image_id = Some("i2".into());
    let expected = [vec![remove.to_owned()], upgraded("its image is another")].concat();
    check(&third, &wish(), &expected);
    // It is ill: the one before it stays the way back.
    third.container.as_mut().unwrap().healthy = false;
    let expected = [
        TRIED.to_owned(),
        STOPPED.replace("BECAUSE", "its image is another"),
        "remove the container pipglr".to_owned(),
        TAKEN_OVER[1].to_owned(),
        WAITED.to_owned(),
        remove.to_owned(),
    ];
    check(&third, &wish(), &expected);
    // The new one was not made yet: what a person added is known from the old one.
    let mut none = aside(set_up());
    none.container = None;
    check(&none, &wish(), &[TAKEN_OVER[1], WAITED, remove]);
    assert_eq!(plan(&none, &wish()).unwrap().sandbox.extra, ["--env=A=b"]);
    none.aside.as_mut().unwrap().running = true;
    let stop = "stop the container pipglr-before (it was to be replaced): \
                it takes no more jobs and waits up to 60 s for those that run";
    check(&none, &wish(), &[stop, TAKEN_OVER[1], WAITED, remove]);
}

const REMOVED: [&str; 2] = [
    "remove the image i0, which has no name any more, unless it is in use",
    "remove the image i1, which has no name any more, unless it is in use",
];

/// Each one is as large as the image in service.
#[test]
fn the_image_of_a_replaced_container_goes_if_it_has_lost_its_name() {
    let mut newer = set_up();
    newer.image_id = Some("i2".into());
    let named = upgraded("its image is another");
    newer.nameless = vec!["another".into()];
    check(&newer, &wish(), &named);
    newer.nameless.push("i1".into());
    let all = [named, vec![REMOVED[1].to_owned()]].concat();
    check(&newer, &wish(), &all);
    assert!(plan(&newer, &wish()).unwrap().way_back_from(all.len() - 1).is_empty());
    // The container is made anew of the image that it has; or that was broken off, and the one before it had another.
    let mut again = set_up();
    again.nameless = vec!["i1".into(), "i0".into()];
    let mut option = wish();
    option.run_options = vec!["--env=LOG_LEVEL=debug".into()];
    check(&again, &option, &replaced("it lacks --env=LOG_LEVEL=debug"));
    again.aside = again.container.clone();
    again.aside.as_mut().unwrap().image_id = "i0".into();
    check(&again, &wish(), &[TAKEN_OVER[3], REMOVED[0]]);
}

/// It failed its trial, say, and a newer one was pulled by the same name.
#[test]
fn an_image_that_never_was_in_service_goes_before_the_next_one_is_tried() {
    let mut next = set_up();
    next.image_id = Some("i2".into());
    next.superseded = Some("i0".into());
    let steps = upgraded("its image is another");
    check(&next, &wish(), &steps);
    next.nameless = vec!["i0".into()];
    check(&next, &wish(), &[vec![REMOVED[0].to_owned()], steps].concat());
    // The one in service goes when it is not in service any more.
    (next.superseded, next.nameless) = (Some("i1".into()), vec!["i1".into()]);
    let last = [upgraded("its image is another"), vec![REMOVED[1].to_owned()]].concat();
    check(&next, &wish(), &last);
}

#[test]
fn what_a_person_added_is_kept() {
    let mut facts = set_up();
    facts.container.as_mut().unwrap().command.insert(2, "--env=A=b".into());
    let plan = plan(&facts, &wish()).unwrap();
    assert!(plan.steps.is_empty(), "{:?}", plan.steps);
    assert_eq!(plan.sandbox.extra, ["--env=A=b"]);
}

#[test]
fn a_stopped_container_is_started_an_ill_one_waited_for() {
    let mut facts = set_up();
    let container = facts.container.as_mut().unwrap();
    container.healthy = false;
    check(&facts, &wish(), &[WAITED]);
    facts.container.as_mut().unwrap().running = false;
    check(&facts, &wish(), &["start the container pipglr again", WAITED]);
}

#[test]
fn a_configuration_that_cannot_be_read_yet_is_read_first() {
    let mut facts = bare();
    facts.config = Config::Unread;
    check(
        &facts,
        &wish(),
        &[
            "pull the image image",
            "read the stored configuration, and plan the rest by it",
        ],
    );
}

#[test]
fn obstacles() {
    let mut nobody = wish();
    nobody.registration = None;
    assert_eq!(plan(&bare(), &nobody), Err(Obstacle::NoRunner));
    let mut unit = set_up();
    unit.container.as_mut().unwrap().unit = Some("pipglr.service".into());
    unit.image_id = Some("i2".into());
    assert!(matches!(plan(&unit, &wish()), Err(Obstacle::Unit { .. })));
}

/// podman pulls what a container is made of, if nobody looks first.
#[test]
fn an_image_that_may_not_be_pulled_has_to_be_there() {
    let mut offline = wish();
    offline.pull = Pull::Never;
    let mut gone = set_up();
    gone.image_id = None;
    let obstacle = plan(&gone, &offline).unwrap_err();
    assert_eq!(obstacle.to_string(), "the image image is not on this host");
    assert!(obstacle.hint().contains("podman pull image "), "{}", obstacle.hint());
    assert_eq!(names(&plan(&gone, &wish()).unwrap().steps)[0], "pull the image image");
    // What was made here is in no registry.
    gone.image = "localhost/image".into();
    for pull in [Pull::Newer, Pull::Missing, Pull::Never] {
        offline.pull = pull;
        let obstacle = plan(&gone, &offline).unwrap_err();
        assert!(
            obstacle.hint().starts_with("names under localhost/"),
            "{}",
            obstacle.hint()
        );
    }
    let nothing: [&str; 0] = [];
    offline.pull = Pull::Never;
    check(&set_up(), &offline, &nothing);
}
