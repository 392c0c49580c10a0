//! Many runs with faults drawn from seeds: each ends in the right image or in an error that names the registry.
//!
//! The tag at the destination is never on something incomplete, whatever happens.

use kiln::registry::{Environment, Registries};

use super::server::{Asked, Fault, Guard, Server};
use super::{Failed, add_image, impatient, round};

/// Runs; the longer suite does the same against a real registry behind a proxy.
const RUNS: u64 = 200;

/// A number that looks random, the same for the same seed and request.
fn draw(seed: u64, number: usize) -> u64 {
    // splitmix64
    let mut z = seed
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(number as u64 + 1)
        .wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One request in ten, up to one in two, goes wrong, by the seed.
fn fault(seed: u64, asked: &Asked) -> Option<Fault> {
    let number = draw(seed, asked.number);
    let one_in = 2 + seed % 9;
    if !number.is_multiple_of(one_in) {
        return None;
    }
    let retry = |status| Fault::Answer(status, vec![("Retry-After", "1".to_owned())]);
    Some(match (number / one_in) % 12 {
        0 => retry(429),
        1 => retry(503),
        2 => Fault::Answer(500, Vec::new()),
        3 | 4 => Fault::Cut(usize::try_from(number % 100_000).unwrap()),
        5 => Fault::WrongByte,
        6 => Fault::Short,
        7 | 8 => Fault::Reset,
        9 | 10 => Fault::LostAnswer,
        _ if number.is_multiple_of(8) => Fault::Hang,
        _ => Fault::Cut(0),
    })
}

fn one(seed: u64) -> bool {
    let guard = match seed % 3 {
        0 => Guard::Nobody,
        _ => Guard::Bearer {
            realm: String::new(),
            user: String::new(),
            uses: 3 + usize::try_from(seed % 7).unwrap(),
        },
    };
    let server = Server::start(guard, move |asked| fault(seed, asked));
    add_image(&server, "in/app", "1");
    let registries = Registries::new(impatient(), Environment::default());
    let hardened = round(&server, &registries);
    let whole = server.whole("out/app", "1");
    let incomplete = server.state().incomplete.clone();
    assert!(incomplete.is_empty(), "seed {seed}: {incomplete:?}");
    match hardened {
        Ok(hardened) => {
            assert_eq!(whole, Some(hardened.digest), "seed {seed}");
            true
        }
        Err(Failed::Registry(_)) => false,
        Err(Failed::Other(text)) => {
            assert!(text.starts_with("registry: "), "seed {seed}: {text}");
            false
        }
    }
}

#[test]
fn every_run_with_faults_ends_right_or_names_the_registry() {
    let right = std::sync::atomic::AtomicU64::new(0);
    let next = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if seed >= RUNS {
                        break;
                    }
                    right.fetch_add(u64::from(one(seed)), std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
    });
    let right = right.into_inner();
    // Faults that pass are got over by most, and those with one request in two going wrong are not all.
    assert!(right > RUNS / 2, "{right} of {RUNS}");
}
