//! Addresses of servers.

use crate::Error;

/// The parts of the external URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExternalUrl {
    /// Without a slash at the end.
    pub(crate) base: String,
    /// `http` or `https`.
    pub(crate) protocol: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Host, with the port unless it is the protocol's own.
    pub(crate) fqdn: String,
}

impl ExternalUrl {
    /// Takes the URL apart. Neither credentials nor a path are accepted: the API is served at the root.
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        let invalid = || Error::InvalidOption {
            option: "external URL",
            problem: format!("{url:?} is not http[s]://host[:port]"),
        };
        let base = url.trim_end_matches('/');
        let (protocol, authority) = base.split_once("://").ok_or_else(invalid)?;
        let default_port = match protocol {
            "http" => 80,
            "https" => 443,
            _ => return Err(invalid()),
        };
        if authority.is_empty() || authority.contains(['/', '@', '?', '#', ' ']) {
            return Err(invalid());
        }
        // The colon of a port comes after the bracket of an IPv6 address.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().map_err(|_| invalid())?),
            _ => (authority, default_port),
        };
        if host.is_empty() {
            return Err(invalid());
        }
        let fqdn = if port == default_port {
            host.to_owned()
        } else {
            format!("{host}:{port}")
        };
        Ok(Self {
            base: base.to_owned(),
            protocol: protocol.to_owned(),
            host: host.to_owned(),
            port,
            fqdn,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::ExternalUrl;

    #[test]
    fn external_urls_are_taken_apart() {
        for (url, expected) in [
            ("http://10.0.2.2:8080", Some(("10.0.2.2", 8080, "10.0.2.2:8080"))),
            ("https://ci.test/", Some(("ci.test", 443, "ci.test"))),
            ("http://[::1]:81", Some(("[::1]", 81, "[::1]:81"))),
            ("http://[::1]", Some(("[::1]", 80, "[::1]"))),
            ("http://h/sub", None),
            ("http://u@h", None),
            ("ftp://h", None),
            ("http://:80", None),
            ("h:80", None),
        ] {
            let parsed = ExternalUrl::parse(url).ok();
            let parts = parsed.as_ref().map(|u| (u.host.as_str(), u.port, u.fqdn.as_str()));
            assert_eq!(parts, expected, "{url}");
        }
    }
}
