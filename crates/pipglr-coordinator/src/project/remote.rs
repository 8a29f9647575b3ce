//! What the address of a git remote says about server and project.

/// Project and server behind a remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remote {
    /// `https://host[:port]`; of a remote that is reached by ssh this is a guess.
    pub(crate) web: String,
    /// `namespace/project`.
    pub(crate) path: String,
    /// Host and port of a remote that is reached by ssh.
    pub(crate) ssh: Option<(String, u16)>,
}

impl Remote {
    /// Reads `https://host/group/project.git`, `ssh://git@host:22/…` and `git@host:group/project.git`. `None` for paths
    /// and for what has no namespace.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let url = url.trim();
        let (scheme, authority, path) = if let Some((scheme, rest)) = url.split_once("://") {
            let (authority, path) = rest.split_once('/')?;
            (scheme, authority, path)
        } else {
            let (authority, path) = url.split_once(':')?;
            if authority.contains('/') || path.starts_with('/') && !authority.contains('@') {
                return None;
            }
            ("ssh", authority, path)
        };
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let named = path.split('/').count() >= 2 && path.split('/').all(|part| !part.is_empty());
        if host.is_empty() || !named {
            return None;
        }
        let (web, ssh) = match scheme {
            "http" | "https" => (format!("{scheme}://{host}"), None),
            "ssh" | "git+ssh" => {
                let (name, port) = match host.rsplit_once(':') {
                    Some((name, port)) if !port.contains(']') => (name, port.parse().ok()?),
                    _ => (host, 22),
                };
                (format!("https://{name}"), Some((name.to_owned(), port)))
            }
            _ => return None,
        };
        Some(Self {
            web,
            path: path.to_owned(),
            ssh,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Remote;

    #[test]
    fn remotes_are_taken_apart() {
        for (url, expected) in [
            (
                "https://gitlab.com/group/sub/app.git",
                Some(("https://gitlab.com", "group/sub/app", None)),
            ),
            (
                "https://me:secret@git.test:8443/g/app",
                Some(("https://git.test:8443", "g/app", None)),
            ),
            ("http://git.test/g/app.git/", Some(("http://git.test", "g/app", None))),
            (
                "git@git.test:g/app.git",
                Some(("https://git.test", "g/app", Some(("git.test", 22)))),
            ),
            (
                "ssh://git@git.test:2222/g/app.git",
                Some(("https://git.test", "g/app", Some(("git.test", 2222)))),
            ),
            ("/srv/git/app.git", None),
            ("../app", None),
            ("file:///srv/g/app.git", None),
            ("https://git.test/app.git", None),
        ] {
            let parsed = Remote::parse(url);
            let parts = parsed.as_ref().map(|r| {
                let ssh = r.ssh.as_ref().map(|(host, port)| (host.as_str(), *port));
                (r.web.as_str(), r.path.as_str(), ssh)
            });
            assert_eq!(parts, expected, "{url}");
        }
    }
}
