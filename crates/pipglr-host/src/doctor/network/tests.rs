use super::super::tests::{Case, verify};
use super::super::{Verdict, packages::Manager};
use super::{Asked, Facts, judge, registry, shown};

fn answered(url: &str) -> Asked {
    Asked {
        url: url.into(),
        code: 0,
        said: String::new(),
    }
}

fn good() -> Facts {
    Facts {
        manager: Some(Manager::Apt),
        home: "/home/ci".into(),
        proxies: vec![("https_proxy".into(), "http://proxy.example:3128".into())],
        bundle: true,
        name_servers: Some(vec!["192.0.2.1".into()]),
        gitlab: answered("https://gitlab.example/"),
        registry: Some(answered("https://registry.example/v2/")),
        image_there: false,
        ahead: Some(0),
    }
}

fn fail(asked: &mut Asked, code: i32, said: &str) {
    asked.code = code;
    asked.said = said.into();
}

const CASES: &[Case<Facts>] = &[
    (
        "certificates",
        |f| f.bundle = false,
        Verdict::Failure,
        "no certificates to trust",
        "as root: apt-get install --yes --reinstall ca-certificates",
    ),
    (
        "name-servers",
        |f| f.name_servers = None,
        Verdict::Failure,
        "cannot read /etc/resolv.conf",
        "as root: chmod a+r $(readlink -f /etc/resolv.conf)",
    ),
    (
        "name-servers",
        |f| f.name_servers = Some(Vec::new()),
        Verdict::Failure,
        "names no server",
        "by hand: let the host's network settings",
    ),
    (
        "proxy",
        |f| f.proxies[0].1 = "http://ci:secret@127.0.0.1:3128".into(),
        Verdict::Warning,
        "https_proxy=http://[MASKED]@127.0.0.1:3128",
        "by hand: name the proxy",
    ),
    (
        "gitlab",
        |f| {
            fail(
                &mut f.gitlab,
                5,
                "(5) Could not resolve proxy: http://proxy.example:3128",
            );
        },
        Verdict::Failure,
        "Could not resolve proxy",
        "by hand: correct http_proxy",
    ),
    (
        "gitlab",
        |f| fail(&mut f.gitlab, 6, "(6) Could not resolve host"),
        Verdict::Failure,
        "https://gitlab.example/: (6) Could not resolve host",
        "by hand: `getent hosts gitlab.example`",
    ),
    (
        "gitlab",
        |f| fail(&mut f.gitlab, 60, "(60) SSL certificate problem"),
        Verdict::Failure,
        "SSL certificate problem",
        "as root: cp AUTHORITY.crt /usr/local/share/ca-certificates/gitlab.example.crt",
    ),
    (
        "gitlab",
        |f| fail(&mut f.gitlab, 60, "(60) SSL certificate problem"),
        Verdict::Failure,
        "SSL certificate problem",
        "--run-option=--volume=/home/ci/.config/pipglr/certs:/etc/gitlab-runner/certs:ro",
    ),
    (
        "gitlab",
        |f| {
            fail(&mut f.gitlab, 60, "(60) SSL certificate problem");
            f.manager = Some(Manager::Dnf);
        },
        Verdict::Failure,
        "SSL certificate problem",
        "as root: cp AUTHORITY.crt /etc/pki/ca-trust/source/anchors/gitlab.example.crt\nas root: update-ca-trust",
    ),
    (
        "gitlab",
        |f| {
            fail(&mut f.gitlab, 28, "(28) timed out");
            f.proxies.clear();
        },
        Verdict::Failure,
        "timed out",
        "behind a proxy, set https_proxy",
    ),
    (
        "gitlab",
        |f| fail(&mut f.gitlab, 127, ""),
        Verdict::Unknown,
        "no curl",
        "as root: apt-get install --yes --reinstall curl",
    ),
    (
        "registry",
        |f| {
            if let Some(asked) = &mut f.registry {
                fail(asked, 7, "(7) Failed to connect");
            }
        },
        Verdict::Failure,
        "https://registry.example/v2/: (7) Failed to connect",
        "by hand: a firewall",
    ),
    (
        "registry",
        |f| {
            f.registry = None;
            f.image_there = true;
        },
        Verdict::Ok,
        "the runner's image is here",
        "",
    ),
    (
        "clock",
        |f| f.ahead = Some(-3600),
        Verdict::Failure,
        "3600 s behind",
        "as root: timedatectl set-ntp true",
    ),
];

#[test]
fn each_broken_host_has_its_verdict_and_remedy() {
    verify(&good(), judge, CASES);
}

#[test]
fn registries_of_images() {
    for (image, url) in [
        (
            "registry.gitlab.com/q/pipglr:latest",
            Some("https://registry.gitlab.com/v2/"),
        ),
        ("10.0.2.2:5000/x", Some("https://10.0.2.2:5000/v2/")),
        ("localhost/pipglr", None),
        ("library/debian", None),
        ("debian", None),
    ] {
        assert_eq!(registry(image).as_deref(), url, "{image}");
    }
}

#[test]
fn passwords_of_proxies_are_not_shown() {
    assert_eq!(shown("http://a:b@c:1"), "http://[MASKED]@c:1");
    assert_eq!(shown("http://c:1"), "http://c:1");
}
