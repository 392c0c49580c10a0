//! Addresses of a registry's things: parsed, joined with what a `Location` says, shown without their query.
//!
//! Does not connect. Queries are not shown: storage behind registries puts signatures there.

use std::fmt;

/// How a host is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// Over TLS.
    Https,
    /// In the clear.
    Http,
}

impl Scheme {
    fn default_port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }

    /// As in front of `://`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }
}

/// An absolute http or https URL without user or fragment.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) scheme: Scheme,
    /// In lower case; IPv6 in brackets.
    host: String,
    port: u16,
    /// Begins with `/`; with the query.
    target: String,
}

impl Url {
    /// `scheme://host[:port]/`, from the host as a reference names it.
    pub(super) fn of_host(scheme: Scheme, host: &str) -> Option<Self> {
        Self::parse(&format!("{}://{host}/", scheme.name()))
    }

    /// Reads an absolute URL.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let (scheme, rest) = text.split_once("://")?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            _ => return None,
        };
        let rest = rest.split('#').next()?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(end)?;
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        let port_at = match authority.rfind(']') {
            Some(bracket) => authority.get(bracket..)?.find(':').map(|colon| bracket + colon),
            None => authority.find(':'),
        };
        let (host, port) = match port_at {
            Some(at) => (authority.get(..at)?, authority.get(at + 1..)?.parse().ok()?),
            None => (authority, scheme.default_port()),
        };
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
        if host.is_empty() || !host.bytes().all(good) || (host.contains(':') && !host.starts_with('[')) {
            return None;
        }
        Some(Self { scheme, host: host.to_ascii_lowercase(), port, target })
    }

    /// What `location` means, seen from here (RFC 3986, section 5.2, without dot segments).
    pub(super) fn join(&self, location: &str) -> Option<Self> {
        let here = format!("{}://{}", self.scheme.name(), self.authority());
        if location.starts_with("//") {
            return Self::parse(&format!("{}:{location}", self.scheme.name()));
        }
        if location.starts_with('/') {
            return Self::parse(&format!("{here}{location}"));
        }
        if location.split(['/', '?']).next().is_some_and(|first| first.contains(':')) {
            return Self::parse(location);
        }
        let path = self.path();
        if location.starts_with('?') {
            return Self::parse(&format!("{here}{path}{location}"));
        }
        let directory = path.rfind('/').and_then(|slash| path.get(..=slash)).unwrap_or("/");
        Self::parse(&format!("{here}{directory}{location}"))
    }

    /// The first target of a `Link` header that is the next page (RFC 8288), where it is of the same registry: a list does
    /// not lead elsewhere.
    pub(super) fn next_of(&self, header: &str) -> Option<Self> {
        let links = header.split(',').filter_map(|link| link.trim().strip_prefix('<')?.split_once('>'));
        let is_next = |parameters: &str| {
            parameters.split(';').any(|parameter| {
                let (name, value) = parameter.trim().split_once('=').unwrap_or_default();
                name.trim().eq_ignore_ascii_case("rel")
                    && value.trim().trim_matches('"').eq_ignore_ascii_case("next")
            })
        };
        let (target, _) = links.into_iter().find(|(_, parameters)| is_next(parameters))?;
        self.join(target).filter(|url| url.is_same_place(self))
    }

    /// With one more parameter, escaped.
    pub(super) fn with_query(&self, name: &str, value: &str) -> Self {
        let escaped = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
        let mark = if self.target.contains('?') { '&' } else { '?' };
        Self { target: format!("{}{mark}{name}={escaped}", self.target), ..self.clone() }
    }

    /// In lower case; IPv6 in brackets.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or("/")
    }

    /// Whether credentials for one are for the other: scheme, host and port are the same.
    pub(super) fn is_same_place(&self, other: &Self) -> bool {
        (self.scheme, &self.host, self.port) == (other.scheme, &other.host, other.port)
    }

    /// All of it, for the request; not for messages.
    pub(super) fn for_request(&self) -> String {
        format!("{}://{}{}", self.scheme.name(), self.authority(), self.target)
    }

    /// Whether this machine itself answers there.
    pub(super) fn is_loopback(&self) -> bool {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        bare == "localhost"
            || bare.ends_with(".localhost")
            || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme.name(), self.authority(), self.path())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn locations_are_joined_as_browsers_do() {
        let base = url("https://Host:5000/v2/a/blobs/uploads/?x=1");
        for (location, expected) in [
            ("/v2/b", "https://host:5000/v2/b"),
            ("c?d=e", "https://host:5000/v2/a/blobs/uploads/c?d=e"),
            ("?d=e", "https://host:5000/v2/a/blobs/uploads/?d=e"),
            ("//other/x", "https://other/x"),
            ("http://[::1]:80/x", "http://[::1]/x"),
            ("https://other", "https://other/"),
        ] {
            assert_eq!(base.join(location).map(|url| url.for_request()), Some(expected.to_owned()));
        }
        for bad in ["ftp://x/", "http://user@x/", "http:///x", "http://x:y/", "http://x y/", "file:/x"] {
            assert_eq!(base.join(bad), None, "{bad}");
        }
    }

    #[test]
    fn next_page_is_of_the_same_registry() {
        let here = url("https://host/v2/a/referrers/d");
        for (header, expected) in [
            ("</v2/a/referrers/d?last=x>; rel=\"next\"", Some("https://host/v2/a/referrers/d?last=x")),
            ("</first>; rel=prev, <https://host/x>; title=y; REL=next", Some("https://host/x")),
            ("<https://other/x>; rel=\"next\"", None),
            ("<http://host/x>; rel=\"next\"", None),
            ("/x; rel=next", None),
            ("</x>", None),
        ] {
            let next = here.next_of(header).map(|url| url.for_request());
            assert_eq!(next.as_deref(), expected, "{header}");
        }
    }

    #[test]
    fn queries_are_escaped_and_not_shown() {
        let url = url("https://h/t").with_query("scope", "repository:a/b:pull,push").with_query("x", "1");
        assert_eq!(url.for_request(), "https://h/t?scope=repository%3Aa%2Fb%3Apull%2Cpush&x=1");
        assert_eq!(url.to_string(), "https://h/t");
    }

    #[test]
    fn loopback_is_known_by_name_and_address() {
        for host in ["localhost:5000", "127.0.0.1", "127.9.9.9:1", "[::1]:5000", "reg.localhost"] {
            assert!(Url::of_host(Scheme::Http, host).unwrap().is_loopback(), "{host}");
        }
        for host in ["localhost.example", "10.0.0.1", "127.0.0.1.example"] {
            assert!(!Url::of_host(Scheme::Http, host).unwrap().is_loopback(), "{host}");
        }
    }
}
