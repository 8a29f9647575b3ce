//! The way to GitLab and to the registry: names, proxy, certificates, and the clock, which certificates and tokens go by.

use super::Finding;
use super::clock::{difference, judge_clock};
use super::looking::{Answer, Host};
use super::packages::{Manager, Package, install};
use super::remedy::{Remedy, Who};
use std::path::PathBuf;

/// Where distributions keep the certificates they trust.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
const RESOLVER: &str = "/etc/resolv.conf";

/// Whom the runner speaks to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peers {
    /// The GitLab instance.
    pub url: String,
    /// The runner's image, whose registry has to answer.
    pub image: String,
}

#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) manager: Option<Manager>,
    /// The account's.
    pub(super) home: PathBuf,
    /// Variables for proxies, as the account's commands see them.
    pub(super) proxies: Vec<(String, String)>,
    pub(super) bundle: bool,
    /// Name servers; nothing if the account cannot read the file.
    pub(super) name_servers: Option<Vec<String>>,
    pub(super) gitlab: Asked,
    pub(super) registry: Option<Asked>,
    /// The image is here already.
    pub(super) image_there: bool,
    /// How many seconds this host's clock is ahead of GitLab's.
    pub(super) ahead: Option<i64>,
}

/// An HTTP question and what became of it: curl's exit code and words.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) url: String,
    pub(super) code: i32,
    pub(super) said: String,
}

pub(super) fn look(host: &Host, peers: &Peers) -> Facts {
    let environment = host.ask(&["env"]).out;
    let proxies = environment.lines().filter_map(|line| line.split_once('='));
    let proxies = proxies.filter(|(name, value)| name.to_ascii_lowercase().ends_with("_proxy") && !value.is_empty());
    let resolver = host.ask(&["cat", RESOLVER]).text();
    let (gitlab, answer) = asked(host, &peers.url);
    let now = host.ask(&["date", "+%s"]).text().and_then(|text| text.parse().ok());
    let image_there = host.ask(&["podman", "image", "exists", &peers.image]).success();
    Facts {
        manager: host.manager(),
        home: host.account.home.clone(),
        proxies: proxies
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        bundle: BUNDLES.iter().any(|path| host.exists(path)),
        name_servers: resolver.map(|text| {
            let lines = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
            lines.map(|server| server.trim().to_owned()).collect()
        }),
        ahead: now.and_then(|now| difference(&answer.out, now)),
        gitlab,
        registry: registry(&peers.image)
            .filter(|_| !image_there)
            .map(|url| asked(host, &url).0),
        image_there,
    }
}

/// The registry's own address, if the image's name has one.
fn registry(image: &str) -> Option<String> {
    let (host, _) = image.split_once('/')?;
    let named = host.contains(['.', ':']) && host != "localhost";
    named.then(|| format!("https://{host}/v2/"))
}

/// Any answer will do, "not found" as well.
fn asked(host: &Host, url: &str) -> (Asked, Answer) {
    let words = [
        "curl",
        "--silent",
        "--show-error",
        "--output",
        "/dev/null",
        "--dump-header",
        "-",
        "--connect-timeout",
        "8",
        "--max-time",
        "12",
        url,
    ];
    let answer = host.ask(&words);
    let asked = Asked {
        url: url.to_owned(),
        code: answer.code,
        // More lines follow the one that counts.
        said: answer
            .err
            .lines()
            .find_map(|line| line.strip_prefix("curl: "))
            .map_or_else(|| answer.complaint(), str::to_owned),
    };
    (asked, answer)
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![certificates(facts), resolver(facts), proxy(facts)];
    findings.push(of_peer(facts, "gitlab", &facts.gitlab));
    findings.push(match &facts.registry {
        Some(asked) => of_peer(facts, "registry", asked),
        None if facts.image_there => Finding::ok("registry", "the runner's image is here"),
        None => Finding::ok("registry", "the image's name has no registry"),
    });
    findings.push(judge_clock(facts.ahead));
    findings
}

fn certificates(facts: &Facts) -> Finding {
    const CHECK: &str = "certificates";
    if facts.bundle {
        return Finding::ok(CHECK, "the distribution's certificates are there");
    }
    let remedy = install(facts.manager, Package::Certificates);
    Finding::failure(
        CHECK,
        "no certificates to trust are installed, so no TLS server is trusted",
        remedy.followed_by(Remedy::root([
            "if command -v update-ca-certificates >/dev/null; then update-ca-certificates --fresh; fi",
        ])),
    )
}

fn resolver(facts: &Facts) -> Finding {
    const CHECK: &str = "name-servers";
    match &facts.name_servers {
        Some(servers) if servers.is_empty() => Finding::failure(
            CHECK,
            format!("{RESOLVER} names no server"),
            Remedy::advice(format!(
                "let the host's network settings write {RESOLVER}: a line nameserver ADDRESS"
            )),
        ),
        Some(servers) => Finding::ok(CHECK, servers.join(", ")),
        None => Finding::failure(
            CHECK,
            format!("the account cannot read {RESOLVER}"),
            Remedy::root([format!("chmod a+r $(readlink -f {RESOLVER})")])
                .by_hand("if it is not there, the host's network settings have to write it"),
        ),
    }
}

/// podman hands these variables to containers, where the loopback is another.
fn proxy(facts: &Facts) -> Finding {
    const CHECK: &str = "proxy";
    let is_local = |value: &str| {
        let address = value.rsplit(['@', '/']).find(|part| !part.is_empty()).unwrap_or(value);
        ["localhost", "127.", "[::1]"]
            .iter()
            .any(|start| address.starts_with(start))
    };
    let set = facts
        .proxies
        .iter()
        .filter(|(name, _)| !name.eq_ignore_ascii_case("no_proxy"));
    let local = set.into_iter().find(|(_, value)| is_local(value));
    if let Some((name, value)) = local {
        return Finding::warning(
            CHECK,
            format!("{name}={}: in containers that is no address of this host", shown(value)),
            Remedy::advice("name the proxy by an address that other machines reach it at"),
        );
    }
    match facts.proxies.first() {
        Some((name, value)) => Finding::ok(CHECK, format!("{name}={}", shown(value))),
        None => Finding::ok(CHECK, "none is set"),
    }
}

/// Without the password that may be in it.
fn shown(proxy: &str) -> String {
    match proxy.rsplit_once('@') {
        Some((before, host)) => {
            let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
            format!("{scheme}://[MASKED]@{host}")
        }
        None => proxy.to_owned(),
    }
}

fn of_peer(facts: &Facts, check: &'static str, asked: &Asked) -> Finding {
    let Asked { url, code, said } = asked;
    // What is said about an error of a proxy may name it with its password.
    let text = format!(
        "{url}: {}",
        facts
            .proxies
            .iter()
            .fold(said.clone(), |said, (_, proxy)| said.replace(proxy, &shown(proxy)))
    );
    let host = url
        .split("//")
        .nth(1)
        .and_then(|rest| rest.split('/').next())
        .unwrap_or(url);
    let remedy = match code {
        0 => return Finding::ok(check, format!("{url} answers")),
        127 => {
            let remedy = install(facts.manager, Package::Curl);
            return Finding {
                remedy: Some(remedy),
                ..Finding::unknown(check, format!("{url}: there is no curl to ask with"))
            };
        }
        5 | 97 => Remedy::advice("correct http_proxy and https_proxy, or name GitLab's host in no_proxy"),
        6 => Remedy::advice(format!(
            "`getent hosts {host}` has to find it: correct the name, or the name servers in {RESOLVER}"
        )),
        60 | 35 | 51 | 77 | 83 => trust(facts, check, host),
        7 | 28 => {
            let proxy = if facts.proxies.is_empty() {
                "; behind a proxy, set https_proxy"
            } else {
                ""
            };
            Remedy::advice(format!(
                "a firewall, a route or the server is in the way: `curl -v {url}` shows more{proxy}"
            ))
        }
        _ => Remedy::advice(format!("`curl -v {url}` shows more")),
    };
    Finding::failure(check, text, remedy)
}

/// Where a distribution takes certificates from that are to be trusted, and the command that does.
const fn anchors(manager: Option<Manager>) -> (&'static str, &'static str) {
    match manager {
        Some(Manager::Dnf) => ("/etc/pki/ca-trust/source/anchors", "update-ca-trust"),
        Some(Manager::Pacman) => ("/etc/ca-certificates/trust-source/anchors", "update-ca-trust"),
        Some(Manager::Zypper) => ("/etc/pki/trust/anchors", "update-ca-certificates"),
        Some(Manager::Apt | Manager::Apk) | None => ("/usr/local/share/ca-certificates", "update-ca-certificates"),
    }
}

/// The host's programs trust the authority, and for GitLab the runner's container and its jobs, too, which have certificates
/// of their own.
fn trust(facts: &Facts, check: &'static str, host: &str) -> Remedy {
    let (directory, update) = anchors(facts.manager);
    // A port has no place in the name of a mounted file.
    let file = format!("{}.crt", host.replace(':', "-"));
    let remedy = Remedy::root([format!("cp AUTHORITY.crt {directory}/{file}"), update.to_owned()]);
    let found = format!("get the certificate of {host}'s authority from who runs it, and see that it is the true one");
    if check != "gitlab" {
        return remedy.by_hand(found);
    }
    let own = format!("{}/.config/pipglr/certs", facts.home.display());
    remedy
        .and(Who::Account, [format!("mkdir -p {own}"), format!("cp {directory}/{file} {own}/")])
        .by_hand(format!(
            "{found}; the runner and its jobs trust it by `pipglr up --run-option=--volume={own}:/etc/gitlab-runner/certs:ro`"
        ))
}

#[cfg(test)]
mod tests;
