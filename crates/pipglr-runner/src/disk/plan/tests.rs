use super::super::Space;
use super::super::facts::{CacheFact, ContainerFact, Facts, ImageFact, VolumeFact};
use super::{Scope, age, plan};
use crate::config::{Config, DiskConfig};

const DAY: i64 = 86400;
const NOW: i64 = 100 * DAY;
const MB: u64 = 1 << 20;

fn rules(keys: &str) -> DiskConfig {
    let text = format!("[disk]\n{keys}\n");
    let config: Config = crate::config::parse_config(&text, "config.toml").unwrap().config;
    config.disk
}

fn space(id: u64, used: u64) -> Space {
    Space {
        total: 1000 * MB,
        free: (1000 - used) * MB,
        inodes: 0,
        free_inodes: 0,
        id,
    }
}

fn image(name: &str, megabytes: u64, days: i64, in_use: bool) -> ImageFact {
    ImageFact {
        id: format!("id-{name}"),
        tags: vec![name.to_owned()],
        digests: Vec::new(),
        bytes: megabytes * MB,
        last_use: NOW - days * DAY,
        in_use,
    }
}

fn volume(name: &str, days: i64, in_use: bool) -> VolumeFact {
    VolumeFact {
        name: name.to_owned(),
        last_use: NOW - days * DAY,
        in_use,
    }
}

fn cache(project: &str, key: &str, megabytes: u64, days: i64, in_use: bool) -> CacheFact {
    CacheFact {
        project: project.to_owned(),
        path: format!("{project}/{key}"),
        bytes: megabytes * MB,
        last_use: NOW - days * DAY,
        in_use,
    }
}

fn container(name: &str, of_job: bool, ended: bool) -> ContainerFact {
    ContainerFact {
        id: name.to_owned(),
        name: name.to_owned(),
        of_job,
        ended,
    }
}

/// A disk on which there is some of everything.
fn facts(used: u64) -> Facts {
    let nameless = |id: &str, digests: &[&str], days| ImageFact {
        id: id.to_owned(),
        tags: Vec::new(),
        digests: digests.iter().map(|d| (*d).to_owned()).collect(),
        bytes: 10 * MB,
        last_use: NOW - days * DAY,
        in_use: false,
    };
    Facts {
        now: NOW,
        storage: space(1, used),
        cache: space(2, 100),
        containers: vec![
            container("foreign", false, true),
            container("foreign-running", false, false),
            container("job", true, true),
        ],
        images: vec![
            image("used", 100, 50, true),
            image("old", 100, 30, false),
            image("older", 200, 40, false),
            image("new", 100, 1, false),
            nameless("dangling", &[], 0),
            nameless("by-digest", &["a@sha256:1"], 0),
        ],
        volumes: vec![
            volume("v-used", 50, true),
            volume("v-old", 35, false),
            volume("v-new", 2, false),
        ],
        caches: vec![
            cache("r/p1", "a", 30, 9, false),
            cache("r/p1", "b", 30, 8, true),
            cache("r/p1", "c", 30, 7, false),
            cache("r/p2", "a", 30, 99, false),
        ],
    }
}

#[track_caller]
fn check(name: &str, facts: &Facts, keys: &str, scope: Scope, expected: &[&str]) {
    let removals = plan(facts, &rules(keys), scope);
    let told: Vec<String> = removals.iter().map(|r| format!("{}: {}", r.name, r.why)).collect();
    assert_eq!(told, expected, "{name}");
}

const STALE: [&str; 5] = [
    "foreign: ended, and of no job",
    "dangling: has no name any more",
    "v-old: not used for 35 days",
    "old: not used for 30 days",
    "older: not used for 40 days",
];

#[test]
fn rules_remove_what_is_stale_and_nothing_that_is_used() {
    check("no rules given", &facts(500), "", Scope::Rules, &STALE);
    check(
        "other ages",
        &facts(500),
        "images_unused_for = \"840h\"\nvolumes_unused_for = \"24h\"",
        Scope::Rules,
        &[
            "foreign: ended, and of no job",
            "dangling: has no name any more",
            "v-old: not used for 35 days",
            "v-new: not used for 2 days",
            "older: not used for 40 days",
        ],
    );
    let mut with_quota = STALE.to_vec();
    with_quota.insert(3, "r/p1/a: over the project's cache_limit");
    check(
        "a quota",
        &facts(500),
        "cache_limit = \"70MB\"",
        Scope::Rules,
        &with_quota,
    );
    check("nothing is there", &Facts::default(), "", Scope::All, &[]);
    check("only under pressure", &facts(500), "", Scope::Pressure, &[]);
}

#[test]
fn under_pressure_the_least_recently_used_goes_until_there_is_room() {
    let old = ["older: space is short; not used for 40 days"];
    // 75 % are left: 120 MB are to go.
    check("one is enough", &facts(870), "", Scope::Pressure, &old);
    let more = [
        "older: space is short; not used for 40 days",
        "v-old: space is short; not used for 35 days",
        "old: space is short; not used for 30 days",
    ];
    check("250 MB", &facts(1000), "", Scope::Pressure, &more);
    let marks = "high_water = 50\nlow_water = 40";
    check("other marks", &facts(600), marks, Scope::Pressure, &old);
    check("at the mark", &facts(850), "", Scope::Pressure, &[]);
    // What is stale counts for what is to be freed.
    check("stale, and enough", &facts(900), "", Scope::Rules, &STALE);
}

/// Nobody knows how many files a thing has: all that is unused is planned, and carrying it out ends when it is enough.
#[test]
fn files_that_run_out_are_a_reason_too() {
    let all = [
        "older: space is short; not used for 40 days",
        "v-old: space is short; not used for 35 days",
        "old: space is short; not used for 30 days",
        "v-new: space is short; not used for 2 days",
        "new: space is short; not used for 24 hours",
        "a@sha256:1: space is short; not used for 0 seconds",
        "dangling: space is short; not used for 0 seconds",
    ];
    let files = |used, free_inodes| {
        let mut facts = facts(used);
        (facts.storage.inodes, facts.storage.free_inodes) = (1000, free_inodes);
        facts
    };
    check("enough", &files(500, 150), "", Scope::Pressure, &[]);
    check("above the mark", &files(500, 149), "", Scope::Pressure, &all);
    check("none at all", &files(500, 0), "", Scope::Pressure, &all);
    check("and bytes are short", &files(870, 0), "", Scope::Pressure, &all);
    let keys = "high_water = 99";
    check("too few for jobs", &files(500, 49), keys, Scope::Pressure, &all);
    let mut caches = facts(100);
    (caches.cache.inodes, caches.cache.free_inodes) = (1000, 0);
    let unused = ["r/p2/a", "r/p1/a", "r/p1/c"].map(|path| path.to_owned());
    let planned = plan(&caches, &rules(""), Scope::Pressure);
    assert_eq!(planned.into_iter().map(|r| r.name).collect::<Vec<_>>(), unused);
}

#[test]
fn caches_go_where_they_are_what_fills_the_disk() {
    let mut full = facts(100);
    full.cache = space(2, 800);
    let oldest = ["r/p2/a: space is short; not used for 99 days"];
    let keys = "high_water = 79\nlow_water = 78";
    check("the disk of caches", &full, keys, Scope::Pressure, &oldest);
    let mut one_disk = facts(800);
    one_disk.cache = one_disk.storage;
    let both = [
        "r/p2/a: space is short; not used for 99 days",
        "older: space is short; not used for 40 days",
    ];
    check(
        "one disk",
        &one_disk,
        "high_water = 79\nlow_water = 70",
        Scope::Pressure,
        &both,
    );
}

#[test]
fn all_is_everything_nobody_uses() {
    check(
        "all",
        &facts(100),
        "",
        Scope::All,
        &[
            "foreign: ended, and of no job",
            "dangling: has no name any more",
            "v-old: not used at the moment",
            "v-new: not used at the moment",
            "r/p1/a: not used at the moment",
            "r/p1/c: not used at the moment",
            "r/p2/a: not used at the moment",
            "old: not used at the moment",
            "older: not used at the moment",
            "new: not used at the moment",
            "a@sha256:1: not used at the moment",
        ],
    );
}

/// Images that were pulled by their digest have a name, though no tag.
#[test]
fn a_digest_is_a_name() {
    let mut facts = Facts {
        now: NOW,
        images: vec![image("x", 1, 1, false)],
        ..Facts::default()
    };
    facts.images[0].tags.clear();
    facts.images[0].digests = vec!["docker.io/library/a@sha256:1".to_owned()];
    check("used a day ago", &facts, "", Scope::Rules, &[]);
    facts.now += 30 * DAY;
    check(
        "used long ago",
        &facts,
        "",
        Scope::Rules,
        &["docker.io/library/a@sha256:1: not used for 31 days"],
    );
}

#[test]
fn spans_of_time() {
    let spans = [-3, 5, 119, 120, 7199, 7200, 172_799, 172_800].map(age);
    assert_eq!(
        spans,
        [
            "0 seconds",
            "5 seconds",
            "119 seconds",
            "2 minutes",
            "119 minutes",
            "2 hours",
            "47 hours",
            "2 days"
        ]
    );
}
