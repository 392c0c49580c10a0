//! What looks like a secret, by its name or by itself.
//!
//! Knows texts only. Gives words for what it sees, never the value.

use crate::kube::quantity;

/// Why the value of a variable looks like a secret.
pub(super) fn variable(name: &str, value: &str) -> Option<&'static str> {
    let words = words(name);
    shaped(value).or_else(|| named(&words, value)).or_else(|| {
        let tells = words.iter().any(|word| PUBLIC.contains(&word.as_str())) || is_about(&words);
        (!tells && is_random(value)).then_some("has a long random value")
    })
}

/// Why a word of a command looks like a secret, or the `next` one that belongs to it.
pub(super) fn option(word: &str, next: Option<&str>) -> Option<&'static str> {
    /// What begins the name of an option that has no word of its own.
    const SWITCHES: [&str; 8] = ["NO", "USE", "ENABLE", "DISABLE", "ALLOW", "SKIP", "WITH", "WITHOUT"];
    if let Some(how) = shaped(word) {
        return Some(how);
    }
    let option = word.strip_prefix("--")?;
    if let Some((name, value)) = option.split_once('=') {
        return shaped(value).or_else(|| named(&words(name), value));
    }
    let name = words(option);
    let is_switch = name.first().is_some_and(|first| SWITCHES.contains(&first.as_str()));
    let value = next.filter(|next| !is_switch && !next.starts_with('-'))?;
    named(&name, value)
}

/// Whether a word is an option's name, and no secret that begins like one.
pub(super) fn is_option(word: &str) -> bool {
    word.strip_prefix("--").is_some_and(|name| {
        name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
            && shaped(name).is_none()
    })
}

/// Parts of a name in capitals: `dbPassword` and `db-password` are `DB` and `PASSWORD`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (was_small && c.is_uppercase()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_uppercase());
        }
        was_small = c.is_lowercase() || c.is_ascii_digit();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Why a value with such a name is one.
fn named(words: &[String], value: &str) -> Option<&'static str> {
    const NAMES: [&str; 7] = ["PASS", "PWD", "SECRET", "TOKEN", "APIKEY", "CREDENTIAL", "CREDENTIALS"];
    /// At the end of a word, which may be one that nobody divided: `PGPASSWORD`.
    const ENDS: [&str; 3] = ["PASSWORD", "PASSWD", "PASSPHRASE"];
    const PAIRS: [[&str; 2]; 4] = [["API", "KEY"], ["ACCESS", "KEY"], ["PRIVATE", "KEY"], ["SECRET", "KEY"]];
    // The shell's own directory.
    if is_about(words) || words == ["PWD"] || says_nothing(value) {
        return None;
    }
    let is_named =
        words.iter().any(|word| NAMES.contains(&word.as_str()) || ENDS.iter().any(|end| word.ends_with(end)));
    let is_pair = words.windows(2).any(|two| PAIRS.iter().any(|pair| two == pair));
    (is_named || is_pair).then_some("is called like a secret and has a value")
}

/// Whether a name is that of something about a secret, by its last word.
fn is_about(words: &[String]) -> bool {
    const ABOUT: [&str; 56] = [
        "AGE",
        "ALG",
        "ALGORITHM",
        "AUDIENCE",
        "BACKEND",
        "CLASS",
        "COUNT",
        "DAYS",
        "DIR",
        "DIRECTORY",
        "DISABLED",
        "DURATION",
        "ENABLED",
        "ENDPOINT",
        "ENGINE",
        "EXPIRATION",
        "EXPIRES",
        "EXPIRY",
        "FIELD",
        "FILE",
        "FORMAT",
        "HEADER",
        "HOST",
        "HOURS",
        "ID",
        "INTERVAL",
        "ISSUER",
        "KIND",
        "LENGTH",
        "LIFETIME",
        "LIMIT",
        "MAX",
        "METHOD",
        "MIN",
        "MINUTES",
        "MODE",
        "MOUNT",
        "NAME",
        "NAMESPACE",
        "PATH",
        "POLICY",
        "PORT",
        "PREFIX",
        "PROVIDER",
        "REF",
        "REGION",
        "SECONDS",
        "SIZE",
        "SUFFIX",
        "THROUGH",
        "TIMEOUT",
        "TTL",
        "TYPE",
        "URI",
        "URL",
        "VERSION",
    ];
    words.last().is_some_and(|last| ABOUT.contains(&last.as_str()))
}

/// Whether a value is none that anybody would keep secret.
fn says_nothing(value: &str) -> bool {
    const PLAIN: [&str; 7] = ["true", "false", "yes", "no", "none", "null", "undefined"];
    value.is_empty()
        || is_reference(value)
        || value.starts_with('/')
        || PLAIN.contains(&value.to_ascii_lowercase().as_str())
        || quantity::parse(value).is_some()
        || is_duration(value)
}

/// Whether a value stands for another: `$(NAME)`, `${NAME}`, `$NAME`, `{{ … }}`, `<password>`.
fn is_reference(value: &str) -> bool {
    value.contains("$(") || value.contains("${") || value.contains("{{") || value.starts_with(['$', '<'])
}

/// `30s`, `1h30m`, `7d`.
fn is_duration(value: &str) -> bool {
    let mut rest = value;
    while !rest.is_empty() {
        let unit = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let end = ["ms", "us", "ns", "s", "m", "h", "d", "w"].iter().find_map(|name| unit.strip_prefix(name));
        match end.filter(|_| unit.len() < rest.len()) {
            Some(end) => rest = end,
            None => return false,
        }
    }
    !value.is_empty()
}

/// Why a value is one whatever it is called.
pub(super) fn shaped(value: &str) -> Option<&'static str> {
    /// Beginnings of tokens.
    const TOKENS: [&str; 7] = ["ghp_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "sk_live_", "eyJhbGciOi"];
    /// The shortest of them.
    const SHORTEST: usize = 16;
    let is_token = |text: &str| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        text.len() >= SHORTEST
            && text.chars().all(is_plain)
            && TOKENS.iter().any(|token| text.starts_with(token))
    };
    let is_key = value
        .split("-----BEGIN ")
        .skip(1)
        .any(|text| text.split("-----").next().is_some_and(|label| label.contains("PRIVATE KEY")));
    let words = || value.split(|c: char| !c.is_ascii_alphanumeric());
    if is_token(value) || is_key || words().any(is_key_of_aws) {
        return Some("has the shape of a key or token");
    }
    has_login(value).then_some("is an address with a password in it")
}

/// `AKIA` or `ASIA`, and sixteen capitals or digits.
fn is_key_of_aws(word: &str) -> bool {
    ["AKIA", "ASIA"].iter().filter_map(|start| word.strip_prefix(start)).any(|rest| {
        rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    })
}

/// Whether there is an address with a user's password: `postgres://app:hunter2@db/app`.
fn has_login(value: &str) -> bool {
    value.split("://").skip(1).any(|rest| {
        let authority = rest.split(|c: char| "/?#\"'".contains(c) || c.is_whitespace()).next();
        let login = authority.and_then(|authority| authority.rsplit_once('@'));
        let password = login.and_then(|(login, _)| login.split_once(':')).map(|(_, password)| password);
        password.is_some_and(|password| {
            // `***` is what a log makes of one.
            !password.is_empty() && !is_reference(password) && password.chars().any(|c| !"*xX".contains(c))
        })
    })
}

/// Words in names of what is long and random, and everybody's to see.
const PUBLIC: [&str; 12] = [
    "BUILD",
    "CA",
    "CERT",
    "CERTIFICATE",
    "CHECKSUM",
    "COMMIT",
    "DIGEST",
    "FINGERPRINT",
    "HASH",
    "PUBLIC",
    "REVISION",
    "SHA",
];

/// Whether a value is long and as mixed as nothing is that anybody wrote: a capital, a small letter or a digit stands beside
/// one of another sort more often than not, as in `CamelCase` and in words with numbers it does not. Digests, UUIDs and
/// commits are hexadecimal, addresses and image names have other characters.
fn is_random(value: &str) -> bool {
    /// Of 120 bits there are so many characters; what is longer than that is a document.
    const LENGTHS: std::ops::RangeInclusive<usize> = 20..=128;
    let sort = |byte: u8| match byte {
        b'A'..=b'Z' => Some(0),
        b'a'..=b'z' => Some(1),
        b'0'..=b'9' => Some(2),
        _ => None,
    };
    let bytes = value.as_bytes();
    let is_plain = bytes.iter().all(|byte| sort(*byte).is_some() || b"+/=_-".contains(byte));
    let is_hexadecimal = bytes.iter().all(u8::is_ascii_hexdigit);
    let sorts: Vec<usize> = bytes.iter().filter_map(|byte| sort(*byte)).collect();
    let has_all = (0..3).all(|one| sorts.contains(&one));
    let changes = sorts.windows(2).filter(|two| two.first() != two.last()).count();
    LENGTHS.contains(&bytes.len())
        && is_plain
        && !is_hexadecimal
        && !value.starts_with('/')
        && !value.starts_with("sha")
        && has_all
        && changes * 2 > sorts.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLED: &str = "is called like a secret and has a value";
    const SHAPE: &str = "has the shape of a key or token";
    const LOGIN: &str = "is an address with a password in it";
    const RANDOM: &str = "has a long random value";

    #[test]
    fn secrets_are_told_by_name_by_shape_and_by_chance() {
        let cases = [
            ("DB_PASSWORD", "hunter2", CALLED),
            ("DB_PASS", "hunter2", CALLED),
            ("RABBITMQ_DEFAULT_PASS", "guest", CALLED),
            ("PGPASSWORD", "hunter2", CALLED),
            ("dbPassword", "hunter2", CALLED),
            ("MYSQL_PWD", "hunter2", CALLED),
            ("spring.datasource.password", "hunter2", CALLED),
            ("apiKey", "x1", CALLED),
            ("AWS_SECRET_ACCESS_KEY", "abc", CALLED),
            ("GITHUB_TOKEN", "x", CALLED),
            ("X", "AKIAIOSFODNN7EXAMPLE", SHAPE),
            ("X", "ghp_0123456789abcdefghij", SHAPE),
            ("X", "-----BEGIN RSA PRIVATE KEY-----\nMII", SHAPE),
            ("X", "-----BEGIN PRIVATE KEY-----", SHAPE),
            ("DATABASE_URL", "postgres://app:hunter2@db/app", LOGIN),
            ("REDIS_URL", "redis://:hunter2@cache:6379", LOGIN),
            ("X", "amqp://a,amqp://u:p@h", LOGIN),
            ("SETTING", "q7GhT2mXz9Lk4RvB8nWs5YpC", RANDOM),
            ("APP_KEY", "bX9+2kLmP/4dQwErT7yUiO0pAsDf3GhJ=", RANDOM),
        ];
        for (name, value, expect) in cases {
            assert_eq!(variable(name, value), Some(expect), "{name}={value}");
        }
    }

    #[test]
    fn what_is_about_a_secret_or_stands_for_one_is_none() {
        for (name, value) in [
            ("DB_PASSWORD_FILE", "/run/secrets/p"),
            ("DB_PASSWORD", "$(FROM_ELSEWHERE)"),
            ("DB_PASSWORD", ""),
            ("TOKEN_REFRESH_INTERVAL", "30s"),
            ("TOKEN_REFRESH", "1h30m"),
            ("MAX_TOKEN", "4096"),
            ("TOKEN_CACHE", "64Mi"),
            ("PASSWORD_HASH_ALGORITHM", "bcrypt"),
            ("VAULT_SECRET_MOUNT", "kv"),
            ("ALLOW_EMPTY_PASSWORD", "yes"),
            ("tokenTtl", "forever"),
            ("PWD", "somewhere"),
            ("OLDPWD", "somewhere"),
            ("BYPASS", "yes, please"),
            ("COMPASS", "north"),
            ("PASS_THROUGH", "all"),
            ("REGION", "ASIA-SOUTHEAST-PACIFIC"),
            ("X", "AKIAIOSFODNN7EXAMPLE7"),
            ("CA", "-----BEGIN CERTIFICATE-----\nMII"),
            ("KEY", "-----BEGIN PUBLIC KEY-----\nMII"),
            ("DATABASE_URL", "postgres://app@db/app"),
            ("DATABASE_URL", "postgres://$(USER):$(PASSWORD)@db/app"),
            ("DATABASE_URL", "postgres://app:***@db/app"),
            ("LISTEN", "http://[::1]:80/a@b"),
        ] {
            assert_eq!(variable(name, value), None, "{name}={value}");
        }
    }

    #[test]
    fn what_is_long_and_no_secret_is_not_taken_for_chance() {
        for (name, value) in [
            ("X", "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
            ("X", "9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B"),
            ("X", "550e8400-e29b-41d4-a716-446655440000"),
            ("X", "MyVeryLongServiceNameV2Production"),
            ("X", "us-east-1-Production-Cluster-2-node-3"),
            ("X", "com/example/Application2Factory3Bean"),
            ("X", "/opt/q7GhT2mXz9Lk4RvB8nWs5YpC"),
            ("X", "https://example.com/q7GhT2mXz9Lk4RvB8nWs5YpC"),
            ("X", "sha512-q7GhT2mXz9Lk4RvB8nWs5YpC"),
            ("X", "registry.example.com/web:1.25.3-Debian12"),
            ("WG_PUBLIC_KEY", "q7GhT2mXz9Lk4RvB8nWs5YpC"),
            ("CLIENT_ID", "q7GhT2mXz9Lk4RvB8nWs5YpC"),
            ("X", "-Xmx512m-XX:MaxRAM"),
        ] {
            assert_eq!(variable(name, value), None, "{name}={value}");
        }
    }

    #[test]
    fn options_are_looked_at_as_variables_are() {
        for (word, next) in [
            ("--admin-password=hunter2", None),
            ("--admin-password", Some("hunter2")),
            ("--requirePassword", Some("hunter2")),
            ("--url=postgres://app:hunter2@db/app", None),
            ("postgres://app:hunter2@db/app", None),
        ] {
            assert!(option(word, next).is_some(), "{word} {next:?}");
        }
        for (word, next) in [
            ("--admin-password-file=/x", None),
            ("--admin-password=$(PASSWORD)", None),
            ("--password", Some("--next")),
            ("--password", None),
            ("--enable-token", Some("serve")),
            ("--token-ttl", Some("forever")),
            ("password", Some("hunter2")),
            ("--commit=q7GhT2mXz9Lk4RvB8nWs5YpC", None),
        ] {
            assert_eq!(option(word, next), None, "{word} {next:?}");
        }
    }
}
