//! Being let in: passwords, tokens, tokens that end, realms that must not see a password.

use kiln::registry::{Registries, RegistryError};
use serde_json::json;

use super::server::{Fault, Guard, Server, answer, basic};
use super::{add_image, registries, registries_with, round};

const USER: &str = "me:secret";

fn bearer(user: &str, uses: usize) -> Guard {
    Guard::Bearer { realm: String::new(), user: user.into(), uses }
}

/// Requests that carried the password.
fn shown(server: &Server) -> usize {
    let secret = basic(USER);
    server.state().log.iter().filter(|asked| asked.headers.get("authorization") == Some(&secret)).count()
}

fn refused(server: &Server, registries: &Registries) -> RegistryError {
    add_image(server, "in/app", "1");
    round(server, registries).map(|_| ()).unwrap_err().registry()
}

#[test]
fn passwords_and_tokens_open_what_is_closed() {
    let password = json!({"username": "me", "password": "secret"});
    for (guard, entry) in [
        (Guard::Basic(USER.into()), &password),
        (bearer(USER, usize::MAX), &password),
        (bearer("", usize::MAX), &json!({})),
        (bearer(USER, usize::MAX), &json!({"identitytoken": "refresh"})),
    ] {
        let server = Server::start(guard.clone(), |_| None);
        add_image(&server, "in/app", "1");
        let (_home, registries) = registries_with(&server, entry);
        let hardened = round(&server, &registries).unwrap_or_else(|error| panic!("{guard:?}: {error:?}"));
        assert_eq!(server.whole("out/app", "1"), Some(hardened.digest));
    }
}

#[test]
fn a_token_that_ends_in_the_middle_is_renewed() {
    let server = Server::start(bearer(USER, 3), |_| None);
    add_image(&server, "in/app", "1");
    let (_home, registries) = registries_with(&server, &json!({"username": "me", "password": "secret"}));
    let hardened = round(&server, &registries).unwrap();
    assert_eq!(server.whole("out/app", "1"), Some(hardened.digest));
    assert!(server.count("GET", "/token") > 3);
    assert_eq!(shown(&server), server.count("GET", "/token"), "the registry itself sees tokens only");
}

#[test]
fn one_token_serves_many_requests() {
    let server = Server::start(bearer("", usize::MAX), |_| None);
    add_image(&server, "in/app", "1");
    round(&server, &registries()).unwrap();
    // To pull, to push, and to push with a mount from the neighbour.
    assert_eq!(server.count("GET", "/token"), 3);
}

#[test]
fn refusals_end_and_say_where_credentials_were_looked_for() {
    let server = Server::start(Guard::Basic("else:x".into()), |_| None);
    let (home, registries) = registries_with(&server, &json!({"username": "me", "password": "secret"}));
    let error = refused(&server, &registries);
    let RegistryError::Unauthorized { known: true, looked_at, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*looked_at, [home.path().join("auth.json")]);
    assert!(!format!("{error} {error:?}").contains("secret"));

    let server = Server::start(Guard::Nobody, |asked| {
        let challenge = "Bearer realm=\"/token\"".to_owned();
        asked.path.starts_with("/v2/").then(|| Fault::Answer(401, vec![("WWW-Authenticate", challenge)]))
    });
    let error = refused(&server, &registries);
    assert!(matches!(error, RegistryError::TokenStatus { status: 404, .. }), "{error:?}");

    // Tokens are given and never taken.
    let server = Server::start(bearer("", 0), |_| None);
    let error = refused(&server, &super::registries());
    assert!(matches!(error, RegistryError::Unauthorized { known: false, .. }), "{error:?}");
    assert!(server.count("GET", "/token") < 5);

    let server = Server::start(Guard::Nobody, |_| Some(answer(401)));
    let error = refused(&server, &super::registries());
    assert!(matches!(error, RegistryError::Challenge { .. }), "{error:?}");
}

#[test]
fn a_token_endpoint_that_fails_is_named() {
    for (fault, expected) in [
        (answer(500), "with status 500"),
        (Fault::Answer(200, Vec::new()), "answered without a token"),
        (Fault::Endless, "longer than 1048576 bytes"),
    ] {
        let server =
            Server::start(bearer(USER, 1), move |asked| (asked.path == "/token").then(|| fault.clone()));
        let (_home, registries) = registries_with(&server, &json!({"username": "me", "password": "secret"}));
        let error = refused(&server, &registries).to_string();
        assert!(error.contains("/token") && error.contains(expected), "{error}");
    }
    let server = Server::start(bearer("else:x", 1), |_| None);
    let (_home, registries) = registries_with(&server, &json!({"username": "me", "password": "secret"}));
    let error = refused(&server, &registries).to_string();
    assert!(error.ends_with("/token` answered with status 401: who are you"), "{error}");
}

#[test]
fn a_password_is_not_sent_to_a_realm_elsewhere() {
    let thief = Server::open();
    for realm in
        [format!("http://localhost:{}/token", thief.address.port()), "https://evil.example/token".to_owned()]
    {
        let guard = Guard::Bearer { realm: realm.clone(), user: USER.into(), uses: 1 };
        let server = Server::start(guard, |_| None);
        for entry in [json!({"username": "me", "password": "secret"}), json!({"identitytoken": "refresh"})] {
            let (_home, registries) = registries_with(&server, &entry);
            let error = refused(&server, &registries);
            assert!(
                matches!(&error, RegistryError::Realm { realm: named, .. } if *named == realm),
                "{error:?}"
            );
        }
        assert_eq!(shown(&server), 0);
    }
    assert!(thief.state().log.is_empty());
}
