use super::{Document, Path, Wanted};

const TEXT: &str = "# mine\nconcurrent = 2 # at most\n\n[[runners]]\n  name = \"first\"\n  limit = 1\n  environment = [\"A=1\", \"B=2\"]\n\n\
                    # the other one\n[[runners]]\n  name = \"b.c\"\n  [runners.docker]\n    image = 'alpine' # small\n  \
                    [runners.cache.s3]\n    BucketName = \"x\"\n";

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

#[test]
fn values_are_found_by_their_path() {
    let document = Document::parse(TEXT).unwrap();
    for (key, expected) in [
        ("concurrent", Ok("2")),
        ("Concurrent", Ok("2")),
        ("runners[0].limit", Ok("1")),
        ("runners.first.limit", Ok("1")),
        ("runners[0].environment", Ok("[\"A=1\", \"B=2\"]")),
        ("runners[0].environment[1]", Ok("B=2")),
        ("runners.\"b.c\".docker.image", Ok("alpine")),
        ("runners[1].cache.s3.bucketname", Ok("x")),
        ("runners[1].docker", Ok("image = 'alpine' # small")),
        (
            "runners[2].limit",
            Err("there is no `runners[2]`: there are 2 of them, counted from 0"),
        ),
        (
            "runners.third.limit",
            Err("no runner is named \"third\"; there are: \"first\", \"b.c\""),
        ),
        ("runners[0].shell", Err("there is no `runners[0].shell`")),
        ("concurrent.x", Err("`concurrent` has no keys of its own")),
    ] {
        let said = document.get(&path(key)).map_err(|error| error.to_string());
        assert_eq!(said.as_deref().map_err(String::as_str), expected, "{key}");
    }
}

#[test]
fn the_rest_stays_as_it_is() {
    for (key, value, wanted, from, to) in [
        (
            "concurrent",
            "8",
            Wanted::Toml,
            "concurrent = 2 # at most",
            "concurrent = 8 # at most",
        ),
        ("runners.first.limit", "3", Wanted::Toml, "  limit = 1", "  limit = 3"),
        ("runners[0].name", "7", Wanted::Text, "name = \"first\"", "name = \"7\""),
        ("runners[0].environment[0]", "A=x", Wanted::Toml, "\"A=1\"", "\"A=x\""),
        (
            "runners[1].docker.image",
            "debian:13",
            Wanted::Text,
            "'alpine' # small",
            "\"debian:13\" # small",
        ),
        (
            "runners[1].docker.privileged",
            "true",
            Wanted::Toml,
            "# small\n",
            "# small\nprivileged = true\n",
        ),
        (
            "check_interval",
            "5",
            Wanted::Toml,
            "# at most\n",
            "# at most\ncheck_interval = 5\n",
        ),
        (
            "runners.first.docker.image",
            "alpine",
            Wanted::Text,
            "\"B=2\"]\n",
            "\"B=2\"]\n\n[runners.docker]\nimage = \"alpine\"\n",
        ),
    ] {
        let mut document = Document::parse(TEXT).unwrap();
        document.set(&path(key), value, wanted).unwrap();
        assert_eq!(document.expose(), TEXT.replacen(from, to, 1), "{key}");
    }
}

#[test]
fn what_cannot_be_set() {
    for (key, expected) in [
        (
            "runners",
            "`runners` is a list of tables: give a number, as in runners[0]",
        ),
        ("runners[0]", "`runners[0]` is a table: name one of its keys"),
        (
            "runners[1].docker",
            "`runners[1].docker` is a table: name one of its keys",
        ),
        ("runners[0].limit.x", "`runners[0].limit` has no keys of its own"),
        (
            "runners[0].environment[2]",
            "there is no `runners[0].environment[2]`: there are 2 of them, counted from 0",
        ),
        ("runners[0].services[0]", "there is no `runners[0].services`"),
    ] {
        let mut document = Document::parse(TEXT).unwrap();
        let said = document.set(&path(key), "1", Wanted::Toml).unwrap_err();
        assert_eq!(said.to_string(), expected, "{key}");
        assert_eq!(document.expose(), TEXT, "{key}");
    }
    for wrong in ["", ".", "a.", "a[", "a[x]", "a[0]b", "\"a"] {
        assert!(wrong.parse::<Path>().is_err(), "{wrong}");
    }
    assert_eq!(
        Document::parse("a = 1\nb = \"secret\n").unwrap_err().to_string(),
        "syntax error in line 2"
    );
}
