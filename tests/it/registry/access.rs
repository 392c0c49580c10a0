//! Being let in: passwords, tokens, tokens that end, realms that must not see a password.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use kiln::registry::{Environment, Registries, RegistryError, Settings};
use serde_json::json;

use super::server::{Fault, Guard, Server, answer, basic};
use super::{add_image, registries, registries_with, round, run, settings};

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
    let server = Server::start(bearer(USER, 4), |_| None);
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
    assert!(server.count("GET", "/token") < 10);

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

/// A proxy that asks nothing and leads everywhere to `target`; and what it was asked to connect to.
fn proxy(target: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let tunnel = move |mut client: TcpStream, log: &Mutex<Vec<String>>| {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte).ok()?;
            head.push(byte[0]);
        }
        log.lock().unwrap().push(String::from_utf8(head).unwrap().lines().next().unwrap().to_owned());
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
        let mut server = TcpStream::connect(target).ok()?;
        let (mut from, mut to) = (client.try_clone().ok()?, server.try_clone().ok()?);
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            to.shutdown(Shutdown::Write)
        });
        let _ = std::io::copy(&mut server, &mut client);
        client.shutdown(Shutdown::Both).ok()
    };
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let log = Arc::clone(&log);
            std::thread::spawn(move || tunnel(client, &log));
        }
    });
    (address, asked)
}

#[test]
fn a_proxy_of_the_environment_leads_to_registries_elsewhere() {
    let server = Server::open();
    add_image(&server, "in/app", "1");
    let (address, asked) = proxy(server.address);
    let environment = Environment::default().with("ALL_PROXY", &format!("http://{address}"));
    let registries = Registries::new(Settings { plain_http: true, ..settings() }, environment);
    let name = |name: &str| format!("docker://registry.invalid:5000/{name}");
    let hardened = run(&registries, &name("in/app:1"), &name("out/app:1")).unwrap();
    assert_eq!(server.whole("out/app", "1"), Some(hardened.digest));
    let asked = asked.lock().unwrap();
    assert!(asked.iter().all(|line| line == "CONNECT registry.invalid:5000 HTTP/1.1"), "{asked:?}");
}

/// Somebody who speaks TLS, and ends each conversation with `farewell`; what was said to it besides TLS.
fn speaks_tls(farewell: &'static [u8]) -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&heard);
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut bytes = [0; 4096];
            let n = client.read(&mut bytes).unwrap_or(0);
            if bytes[0] != 0x16 {
                log.lock().unwrap().extend_from_slice(&bytes[..n]);
            }
            let _ = client.write_all(farewell);
        }
    });
    (address, heard)
}

#[test]
fn a_password_does_not_go_out_in_the_clear_where_tls_breaks() {
    // An alert, as of a host that wants another version or a certificate; a connection that is closed.
    for farewell in [&b"\x15\x03\x03\x00\x02\x02\x28"[..], b""] {
        let (registry, heard) = speaks_tls(farewell);
        let (proxy, _) = proxy(registry);
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("auth.json");
        let auths = json!({"auths": {"registry.invalid:5000": {"username": "me", "password": "secret"}}});
        std::fs::write(&file, auths.to_string()).unwrap();
        let environment = Environment::default()
            .with("REGISTRY_AUTH_FILE", file.to_str().unwrap())
            .with("ALL_PROXY", &format!("http://{proxy}"));
        let registries = Registries::new(Settings { plain_http: true, ..settings() }, environment);
        let to = Server::open();
        let failed = run(&registries, "docker://registry.invalid:5000/in/app:1", &to.name("out/app:1"));
        let failed = failed.map(drop).unwrap_err().registry();
        assert!(matches!(failed, RegistryError::Unreachable { .. }), "{failed:?}");
        assert_eq!(String::from_utf8_lossy(&heard.lock().unwrap()), "", "nothing but TLS was spoken");
    }
}

#[test]
fn a_proxy_that_refuses_is_asked_once_and_named() {
    for (status, attempts) in
        [("407 Proxy Authentication Required", 1), ("403 Forbidden", 1), ("502 Bad Gateway", 6)]
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(0));
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                *count.lock().unwrap() += 1;
                let head = BufReader::new(&client).lines().map_while(Result::ok);
                head.take_while(|line| !line.is_empty()).for_each(drop);
                let _ =
                    client.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes());
            }
        });
        let registries = Registries::new(settings(), Environment::default().with("HTTPS_PROXY", &proxy));
        let to = Server::open();
        let failed = run(&registries, "docker://registry.invalid/in/app:1", &to.name("out/app:1"));
        let failed = failed.map(drop).unwrap_err().registry();
        assert_eq!(matches!(failed, RegistryError::ProxyRefused { .. }), attempts == 1, "{failed:?}");
        assert_eq!(*asked.lock().unwrap(), attempts, "{status}");
    }
}

#[test]
fn plain_http_is_not_spoken_elsewhere_unless_asked_for() {
    let server = Server::open();
    add_image(&server, "in/app", "1");
    let (address, _) = proxy(server.address);
    let environment = Environment::default().with("ALL_PROXY", &format!("http://{address}"));
    let registries = Registries::new(settings(), environment);
    let to = server.name("out/app:1");
    let failed = run(&registries, "docker://registry.invalid:5000/in/app:1", &to).map(|_| ()).unwrap_err();
    assert!(matches!(failed.registry(), RegistryError::Unreachable { .. } | RegistryError::NotTls { .. }));
    assert_eq!(server.count("GET", "/in/"), 0);
}
