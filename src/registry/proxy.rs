//! Which proxy a URL goes through, as curl and Go decide it from the environment.
//!
//! Does not connect.

use std::net::IpAddr;

use super::environment::Environment;
use super::url::{Scheme, Url};

/// The variable that decides for `url` and the proxy's URL in it; `None` for a direct connection.
///
/// This machine itself is never reached through a proxy, as in Go.
pub(super) fn proxy_for<'a>(url: &Url, environment: &'a Environment) -> Option<(&'static str, &'a str)> {
    if url.is_loopback() || is_exempt(url, environment) {
        return None;
    }
    let names = match url.scheme {
        Scheme::Https => ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
        Scheme::Http => ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"],
    };
    names.into_iter().find_map(|name| Some((name, environment.get(name)?)))
}

fn is_exempt(url: &Url, environment: &Environment) -> bool {
    let list = environment.get("no_proxy").or_else(|| environment.get("NO_PROXY")).unwrap_or_default();
    list.split([',', ' ']).filter(|entry| !entry.is_empty()).any(|entry| matches(entry, url))
}

/// `*`; a host with all below it, with or without a dot in front; an address; a network; each perhaps with a port.
fn matches(entry: &str, url: &Url) -> bool {
    if entry == "*" {
        return true;
    }
    let host = url.host().trim_start_matches('[').trim_end_matches(']');
    if let Some((network, bits)) = entry.split_once('/') {
        return in_network(host, network, bits);
    }
    let (name, port) = match entry.rsplit_once(':') {
        // An IPv6 address has colons of its own.
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
        _ => (entry, None),
    };
    if port.is_some_and(|port| port.parse() != Ok(url.port())) {
        return false;
    }
    let name = name.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let name = name.strip_prefix('*').unwrap_or(&name);
    let name = name.strip_prefix('.').unwrap_or(name);
    host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.') && !name.is_empty())
}

fn in_network(host: &str, network: &str, bits: &str) -> bool {
    let (Ok(host), Ok(network), Ok(bits)) =
        (host.parse::<IpAddr>(), network.parse::<IpAddr>(), bits.parse::<u32>())
    else {
        return false;
    };
    match (host, network) {
        (IpAddr::V4(host), IpAddr::V4(network)) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            host.to_bits() & mask == network.to_bits() & mask
        }
        (IpAddr::V6(host), IpAddr::V6(network)) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            host.to_bits() & mask == network.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(url: &str, variables: &[(&str, &str)]) -> Option<String> {
        let environment =
            variables.iter().fold(Environment::default(), |all, (name, value)| all.with(name, value));
        proxy_for(&Url::parse(url).unwrap(), &environment).map(|(_, proxy)| proxy.to_owned())
    }

    #[test]
    fn each_scheme_has_its_proxy_and_all_proxy_is_the_rest() {
        let all = [("HTTPS_PROXY", "s"), ("http_proxy", "h"), ("ALL_PROXY", "a")];
        assert_eq!(proxy("https://r.example/", &all).as_deref(), Some("s"));
        assert_eq!(proxy("http://r.example/", &all).as_deref(), Some("h"));
        assert_eq!(proxy("http://r.example/", &[("ALL_PROXY", "a")]).as_deref(), Some("a"));
        assert_eq!(proxy("https://127.0.0.1:5000/", &all), None);
        assert_eq!(proxy("https://r.example/", &[]), None);
    }

    #[test]
    fn no_proxy_names_hosts_domains_ports_and_networks() {
        let exempt = |url: &str, list: &str| proxy(url, &[("ALL_PROXY", "a"), ("NO_PROXY", list)]).is_none();
        for (url, list) in [
            ("https://r.example/", "*"),
            ("https://r.example/", "x,r.example"),
            ("https://a.r.example/", "r.example"),
            ("https://a.r.example/", ".r.example"),
            ("https://a.r.example/", "*.r.example"),
            ("https://r.example:5000/", "R.example:5000"),
            ("https://10.1.2.3/", "10.0.0.0/8"),
            ("https://[fd00::1]/", "fd00::/8"),
            ("https://[fd00::1]/", "fd00::1"),
        ] {
            assert!(exempt(url, list), "{url} {list}");
        }
        for (url, list) in [
            ("https://r.example/", ""),
            ("https://ar.example/", "r.example"),
            ("https://r.example/", "r.example:5000"),
            ("https://11.1.2.3/", "10.0.0.0/8"),
            ("https://r.example/", "10.0.0.0/8"),
            ("https://r.example/", "."),
        ] {
            assert!(!exempt(url, list), "{url} {list}");
        }
    }
}
