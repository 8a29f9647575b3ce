use super::{Config, Container, Facts, Obstacle, Wish, plan};
use crate::installation::{Configuration, Device, Registration, Token, VolumeFact};
use crate::sandbox::Sandbox;

const STORED: &str = "concurrent = 1\n[[runners]]\nname = \"r\"\nurl = \"https://g.example\"\ntoken = \"glrt-a\"\n";

fn wish() -> Wish {
    Wish {
        container: "pipglr".into(),
        image: Some("image".into()),
        registration: Some(Registration {
            url: "https://g.example".into(),
            token: Token::new("glrt-a"),
            name: "r".into(),
            options: Vec::new(),
        }),
        concurrent: None,
        run_options: Vec::new(),
    }
}

/// Nothing is there.
fn bare() -> Facts {
    let device = |path| Device { path, usable: true };
    let volume = |name: &str| VolumeFact {
        name: name.into(),
        owner: None,
    };
    Facts {
        devices: vec![device("/dev/fuse"), device("/dev/net/tun")],
        image: "image".into(),
        image_id: None,
        config: Config::Missing,
        volumes: ["pipglr-storage", "pipglr-cache", "pipglr-state"].map(volume).into(),
        container: None,
        session_systemd: true,
    }
}

/// All is as wished.
fn set_up() -> Facts {
    let mut facts = bare();
    facts.image_id = Some("i1".into());
    facts.config = stored("s1");
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
        config_id: Some("s1".into()),
        unit: None,
    });
    facts
}

fn stored(id: &str) -> Config {
    Config::Stored {
        secret_id: id.into(),
        configuration: Box::new(Configuration::parse(STORED).unwrap()),
    }
}

const REPLACED: [&str; 4] = [
    "stop the container pipglr (BECAUSE): it takes no more jobs and waits up to 7200 s for those that run",
    "remove the container pipglr",
    "start the container pipglr of image",
    "wait up to 120 s for pipglr to be healthy",
];

fn replaced(because: &str) -> Vec<String> {
    REPLACED.iter().map(|line| line.replace("BECAUSE", because)).collect()
}

#[track_caller]
fn check(facts: &Facts, wish: &Wish, expected: &[impl AsRef<str>]) {
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
    check(&newer, &wish(), &replaced("its image is another"));

    let mut interrupted = set_up();
    interrupted.config = stored("s2");
    check(&interrupted, &wish(), &replaced("its configuration is another"));

    let mut option = wish();
    option.run_options = vec!["--env=LOG_LEVEL=debug".into()];
    check(&set_up(), &option, &replaced("it lacks --env=LOG_LEVEL=debug"));
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
    check(&facts, &wish(), &[REPLACED[3]]);
    facts.container.as_mut().unwrap().running = false;
    check(&facts, &wish(), &["start the container pipglr again", REPLACED[3]]);
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
    let mut closed = bare();
    closed.devices[1].usable = false;
    assert_eq!(plan(&closed, &wish()), Err(Obstacle::Device("/dev/net/tun")));
    let mut nobody = wish();
    nobody.registration = None;
    assert_eq!(plan(&bare(), &nobody), Err(Obstacle::NoRunner));
    let mut unit = set_up();
    unit.container.as_mut().unwrap().unit = Some("pipglr.service".into());
    unit.image_id = Some("i2".into());
    assert!(matches!(plan(&unit, &wish()), Err(Obstacle::Unit { .. })));
}

#[test]
fn no_token_in_a_plan() {
    let plan = plan(&bare(), &wish()).unwrap();
    let shown = format!("{plan:?}{}{:?}", serde_json::to_string(&plan.steps).unwrap(), wish());
    assert!(!shown.contains("glrt-"), "{shown}");
}
