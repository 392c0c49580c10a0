//! The rules of both loaders, an image a line.

use super::*;
use crate::elf::cache::tests::new_format;
use crate::elf::facts::Class;
use crate::path::Escaped;
use crate::rootfs::dump::parse_image;

const MAIN: &str = "/app/bin/main f elf interp=/lib64/ld-linux-x86-64.so.2";

/// Looks for `name` on behalf of an object at /app/bin with the `facts` of the fixture line.
fn check(image: &str, env: &[&str], options: &str, name: &str, expect: &[&str]) {
    let rootfs = parse_image(&format!("{image}\n{MAIN} {options}"));
    let env = LoaderEnv::new(env.iter().copied(), ImagePath::literal("/home/app"));
    let search = Search::new(&rootfs, &env);
    let facts = search.facts(&ImagePath::literal("/app/bin/main")).unwrap();
    let loader = Loader::of(facts);
    let by = Requester { facts, origin: b"/app/bin", inherited: &[], loader: &loader };
    let found: Vec<String> =
        search.find(name.as_bytes(), &by).iter().map(|located| located.path.to_string()).collect();
    assert_eq!(found, expect, "{name} in\n{image}\n{options}");
}

#[test]
fn paths_are_searched_in_the_loaders_order() {
    let image = "/r/liba.so f elf\n/e/liba.so f elf\n/u/liba.so f elf\n/usr/lib/liba.so f elf";
    let env = &["LD_LIBRARY_PATH=/e"][..];
    check(image, env, "rpath=/r", "liba.so", &["/r/liba.so"]);
    check(image, env, "rpath=/r runpath=/u", "liba.so", &["/e/liba.so"]);
    check(image, &[], "rpath=/r runpath=/u", "liba.so", &["/u/liba.so"]);
    check(image, &["LD_LIBRARY_PATH=", "OTHER=/e"], "", "liba.so", &["/usr/lib/liba.so"]);
    check(image, &["LD_LIBRARY_PATH=/nothing;/e"], "", "liba.so", &["/e/liba.so"]);
    check(image, &[], "", "libb.so", &[]);
}

#[test]
fn tokens_stand_for_directories() {
    let image = "/app/lib/liba.so f elf\n/x/lib/x86_64-linux-gnu/libb.so f elf\n/usr/lib/x86_64-linux-gnu d\n/x/x86_64/libc.so f elf";
    check(image, &[], "runpath=$ORIGIN/../lib", "liba.so", &["/app/lib/liba.so"]);
    check(image, &[], "runpath=/none:${ORIGIN}/../lib", "liba.so", &["/app/lib/liba.so"]);
    check(image, &[], "runpath=$ORIGINAL/../lib", "liba.so", &[]);
    check(image, &[], "runpath=/x/$LIB", "libb.so", &["/x/lib/x86_64-linux-gnu/libb.so"]);
    check(image, &[], "runpath=/x/$PLATFORM", "libc.so", &["/x/x86_64/libc.so"]);
    check(image, &[], "", "$ORIGIN/../lib/liba.so", &["/app/lib/liba.so"]);
}

#[test]
fn relative_directories_begin_at_the_working_directory() {
    let image = "/home/app/liba.so f elf\n/home/app/sub/libb.so f elf";
    check(image, &["LD_LIBRARY_PATH=:/none"], "", "liba.so", &["/home/app/liba.so"]);
    check(image, &[], "runpath=sub", "libb.so", &["/home/app/sub/libb.so"]);
    check(image, &[], "", "sub/libb.so", &["/home/app/sub/libb.so"]);
    check(image, &[], "runpath=", "liba.so", &[]);
}

#[test]
fn capabilities_add_files_and_do_not_end_the_search() {
    let image = "/u/glibc-hwcaps/x86-64-v3/liba.so f elf\n/u/glibc-hwcaps/x86-64-v2/libb.so f elf\n/u/libb.so f elf\n/usr/lib/liba.so f elf";
    check(image, &[], "runpath=/u", "liba.so", &["/u/glibc-hwcaps/x86-64-v3/liba.so", "/usr/lib/liba.so"]);
    check(image, &[], "runpath=/u", "libb.so", &["/u/glibc-hwcaps/x86-64-v2/libb.so", "/u/libb.so"]);
}

#[test]
fn what_is_no_library_ends_the_search() {
    let image =
        "/u/liba.so f \"INPUT(x)\"\n/usr/lib/liba.so f elf\n/u/libb.so f elf exec\n/usr/lib/libb.so f elf";
    check(image, &[], "runpath=/u", "liba.so", &[]);
    check(image, &[], "runpath=/u", "libb.so", &[]);
    check(image, &[], "runpath=/none", "liba.so", &["/usr/lib/liba.so"]);
}

#[test]
fn libraries_of_other_machines_are_passed_over() {
    let mut layers = crate::rootfs::dump::parse_layers(&format!(
        "/u/liba.so f elf\n/u2/liba.so f elf\n/usr/lib/liba.so f elf\n{MAIN} runpath=/u:/u2"
    ));
    for entry in &mut layers[0].entries {
        if let crate::rootfs::Kind::File(file) = &mut entry.kind
            && let Content::Elf(facts) = &mut file.content
        {
            match entry.path.as_bytes() {
                b"u/liba.so" => facts.machine = 183,
                b"u2/liba.so" => facts.class = Class::Elf32,
                _ => {}
            }
        }
    }
    let rootfs = Rootfs::merge(layers).unwrap();
    let env = LoaderEnv::default();
    let search = Search::new(&rootfs, &env);
    let facts = search.facts(&ImagePath::literal("/app/bin/main")).unwrap();
    let by = Requester { facts, origin: b"/app/bin", inherited: &[], loader: &Loader::Glibc };
    assert_eq!(search.find(b"liba.so", &by)[0].path, ImagePath::literal("/usr/lib/liba.so"));
}

#[test]
fn the_cache_comes_before_default_directories_and_may_be_stale() {
    let bytes = new_format(&[
        ("liba.so", "/opt/v3/liba.so", 1 << 62),
        ("liba.so", "/opt/liba.so", 0),
        ("libb.so", "/opt/gone/libb.so", 0),
    ]);
    let image = format!(
        "/etc/ld.so.cache f \"{}\"\n/opt/v3/liba.so f elf\n/opt/liba.so f elf\n/usr/lib/liba.so f elf\n/usr/lib/libb.so f elf",
        Escaped::new(&bytes)
    );
    check(&image, &[], "", "liba.so", &["/opt/v3/liba.so", "/opt/liba.so"]);
    check(&image, &[], "", "libb.so", &["/usr/lib/libb.so"]);
}

#[test]
fn links_on_the_way_are_told() {
    let rootfs = parse_image("/lib l usr/lib\n/usr/lib/liba.so l liba.so.1\n/usr/lib/liba.so.1 f elf");
    let env = LoaderEnv::default();
    let search = Search::new(&rootfs, &env);
    let facts = ElfFacts { machine: 62, ..ElfFacts::default() };
    let by = Requester { facts: &facts, origin: b"/", inherited: &[], loader: &Loader::Glibc };
    let found = search.find(b"liba.so", &by);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].path, ImagePath::literal("/usr/lib/liba.so.1"));
    assert_eq!(found[0].links, [ImagePath::literal("/lib"), ImagePath::literal("/usr/lib/liba.so")]);
    assert_eq!(&*found[0].opened, b"/lib/liba.so");
}

#[test]
fn musl_has_its_own_libraries_inside_and_its_own_path() {
    let loader = "/lib/ld-musl-x86_64.so.1 f elf soname=libc.musl-x86_64.so.1\n/usr/local/lib/liba.so f elf\n/usr/lib/liba.so f elf";
    let musl = "interp=/lib/ld-musl-x86_64.so.1";
    check(loader, &[], musl, "libc.musl-x86_64.so.1", &["/lib/ld-musl-x86_64.so.1"]);
    check(loader, &[], musl, "liba.so", &["/usr/local/lib/liba.so"]);
    let listed = format!("{loader}\n/etc/ld-musl-x86_64.path f \"/usr/lib\\n\"");
    check(&listed, &[], musl, "liba.so", &["/usr/lib/liba.so"]);
}

#[test]
fn preloads_come_from_environment_and_file() {
    let rootfs = parse_image("/etc/ld.so.preload f \"# all\\n/lib/a.so b.so # c.so\\n\"");
    let env = LoaderEnv::new(["LD_PRELOAD=x.so:/y.so"], ImagePath::root());
    let search = Search::new(&rootfs, &env);
    let names: Vec<String> =
        search.preloads().iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    assert_eq!(names, ["x.so", "/y.so", "/lib/a.so", "b.so"]);
}

#[test]
fn the_files_that_a_loader_reads_are_wanted() {
    for path in ["/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/ld-musl-x86_64.path"] {
        assert!(wanted(&ImagePath::literal(path)).is_some(), "{path}");
    }
    assert!(wanted(&ImagePath::literal("/etc/ld.so.conf")).is_none());
}
