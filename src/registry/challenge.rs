//! What a registry asks for with status 401 (`WWW-Authenticate`, RFC 9110), and whom a password may be shown to.
//!
//! Does not fetch tokens.

use super::url::{Scheme, Url};

/// A challenge that kiln can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password with every request.
    Basic,
    /// A token from somewhere else.
    Bearer {
        /// Where tokens are.
        realm: String,
        /// What the token endpoint calls the registry.
        service: Option<String>,
    },
}

/// The best challenge among the header's values: Bearer before Basic.
pub(super) fn parse_challenges<'a>(values: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let mut best = None;
    for value in values {
        for (scheme, parameters) in split(value) {
            let get = |wanted: &str| {
                let found = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
                found.map(|(_, value)| value.clone())
            };
            if scheme.eq_ignore_ascii_case("bearer") {
                if let Some(realm) = get("realm") {
                    return Some(Challenge::Bearer { realm, service: get("service") });
                }
            } else if scheme.eq_ignore_ascii_case("basic") {
                best = Some(Challenge::Basic);
            }
        }
    }
    best
}

type Parameters = Vec<(String, String)>;

/// `Scheme a="b", c=d, Other e=f` as schemes with their parameters; what cannot be read ends it.
fn split(value: &str) -> Vec<(String, Parameters)> {
    let mut found: Vec<(String, Parameters)> = Vec::new();
    let mut rest = value.trim_start_matches([' ', ',', '\t']);
    while !rest.is_empty() {
        let end = rest.find([' ', '=', ',', '\t']).unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if word.is_empty() {
            break;
        }
        let trimmed = after.trim_start_matches([' ', '\t']);
        if let (Some(text), Some((_, parameters))) = (trimmed.strip_prefix('='), found.last_mut()) {
            let (value, after) = take_value(text.trim_start_matches([' ', '\t']));
            parameters.push((word.to_owned(), value));
            rest = after;
        } else {
            found.push((word.to_owned(), Vec::new()));
            rest = after;
        }
        rest = rest.trim_start_matches([' ', ',', '\t']);
    }
    found
}

/// A token or quoted string, and what follows it.
fn take_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        let (value, after) = text.split_at_checked(end).unwrap_or((text, ""));
        return (value.to_owned(), after);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, quoted.get(at + 1..).unwrap_or_default()),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

/// Domains below which anybody can have a registry, and which the public suffix list does not know as such. Their
/// registries name realms of their own.
const SHARED: [&str; 5] = ["azurecr.io", "gcr.io", "jfrog.io", "ocir.io", "pkg.dev"];

/// Whether a secret for `registry` may be sent to `realm`, which the registry named.
///
/// The host that the user logged in to may see it, and, over TLS, hosts of the same registrable domain
/// (`registry-1.docker.io` names `auth.docker.io`). Anybody else may not: whoever can answer for the registry once
/// could collect passwords otherwise.
pub(super) fn may_see_secret(registry: &Url, realm: &Url) -> bool {
    if registry.scheme == Scheme::Https && realm.scheme == Scheme::Http {
        return false;
    }
    if registry.host() == realm.host() {
        return true;
    }
    let domain = |url: &Url| addr::parse_dns_name(url.host()).ok()?.root().map(ToOwned::to_owned);
    let is_address =
        |url: &Url| url.host().starts_with('[') || url.host().parse::<std::net::Ipv4Addr>().is_ok();
    realm.scheme == Scheme::Https
        && !is_address(registry)
        && !is_address(realm)
        && domain(registry).is_some_and(|own| !SHARED.contains(&own.as_str()) && domain(realm) == Some(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str) -> Option<Challenge> {
        parse_challenges(std::iter::once(value))
    }

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer { realm: realm.into(), service: service.map(Into::into) }
    }

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let docker = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a:pull""#;
        assert_eq!(parse(docker), Some(bearer("https://auth.docker.io/token", Some("registry.docker.io"))));
        assert_eq!(parse(r#"Basic realm="Registry Realm""#), Some(Challenge::Basic));
        assert_eq!(parse("bearer realm = x , Basic realm=y"), Some(bearer("x", None)));
        assert_eq!(parse(r#"Basic realm="a, b=\"c\"", Bearer realm="d""#), Some(bearer("d", None)));
        assert_eq!(parse("Negotiate"), None);
        assert_eq!(parse(r#"Bearer error="x""#), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn secrets_stay_with_the_registry_and_its_domain() {
        let may = |registry: &str, realm: &str| {
            may_see_secret(&Url::parse(registry).unwrap(), &Url::parse(realm).unwrap())
        };
        for (registry, realm) in [
            ("https://registry-1.docker.io/", "https://auth.docker.io/token"),
            ("https://registry.gitlab.com/", "https://gitlab.com/jwt/auth"),
            ("https://r.example.co.uk/", "https://auth.example.co.uk/"),
            ("http://localhost:5000/", "http://localhost:5001/token"),
            ("http://r.example.com/", "https://auth.example.com/"),
            ("https://[::1]:5000/", "https://[::1]:5001/token"),
        ] {
            assert!(may(registry, realm), "{registry} {realm}");
        }
        for (registry, realm) in [
            ("https://r.example.com/", "https://evil.example/"),
            ("https://r.example.com/", "http://r.example.com/token"),
            ("https://r.example.com/", "http://auth.example.com/"),
            ("http://r.example.com/", "http://auth.example.com/"),
            ("https://mine.co.uk/", "https://evil.co.uk/"),
            ("https://mine.azurecr.io/", "https://evil.azurecr.io/"),
            ("https://mine.github.io/", "https://evil.github.io/"),
            ("https://mine.up.railway.app/", "https://evil.up.railway.app/"),
            ("http://127.0.0.1:5000/", "https://10.0.0.1/token"),
            ("http://127.0.0.1:5000/", "https://9.0.0.1/token"),
            ("http://localhost/", "https://evil.localhost.example/"),
        ] {
            assert!(!may(registry, realm), "{registry} {realm}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_header_makes_the_parser_panic(text in "\\PC*") {
            let _ = parse(&text);
        }
    }
}
