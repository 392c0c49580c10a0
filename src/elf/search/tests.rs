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

const MUSL: &str = "interp=/lib/ld-musl-x86_64.so.1";

#[test]
fn musl_has_its_own_libraries_inside_and_its_own_path() {
    let loader = "/lib/ld-musl-x86_64.so.1 f elf soname=libc.musl-x86_64.so.1\n/usr/local/lib/liba.so f elf\n/usr/lib/liba.so f elf";
    for own in ["libc.musl-x86_64.so.1", "libc.so", "libpthread.so.0", "libm.so.6"] {
        check(loader, &[], MUSL, own, &["/lib/ld-musl-x86_64.so.1"]);
    }
    check(loader, &[], MUSL, "libmagic.so.1", &[]);
    check(loader, &[], MUSL, "liba.so", &["/usr/local/lib/liba.so"]);
    let listed = |text: &str| format!("{loader}\n/etc/ld-musl-x86_64.path f \"{text}\"");
    check(&listed("/usr/lib\\n"), &[], MUSL, "liba.so", &["/usr/lib/liba.so"]);
    check(&listed("/none\\n/usr/lib:/usr/local/lib"), &[], MUSL, "liba.so", &["/usr/lib/liba.so"]);
    check(&listed(""), &[], MUSL, "liba.so", &[]);
    let elsewhere = "/opt/musl/lib/ld-musl-x86_64.so.1 f elf\n/opt/musl/etc/ld-musl-x86_64.path f \"/x\"\n/x/liba.so f elf";
    let own = "interp=/opt/musl/lib/ld-musl-x86_64.so.1";
    check(elsewhere, &[], own, "liba.so", &["/x/liba.so"]);
    check(elsewhere, &[], own, "libc.so", &["/opt/musl/lib/ld-musl-x86_64.so.1"]);
}

#[test]
fn musl_asks_the_environment_first_and_takes_both_paths_of_an_object_alike() {
    let image = "/r/liba.so f elf\n/e/liba.so f elf\n/u/liba.so f elf\n/lib/liba.so f elf";
    check(image, &["LD_LIBRARY_PATH=/e"], &format!("{MUSL} rpath=/r"), "liba.so", &["/e/liba.so"]);
    check(image, &["LD_LIBRARY_PATH=:/none:"], &format!("{MUSL} rpath=/r"), "liba.so", &["/r/liba.so"]);
    check(image, &[], &format!("{MUSL} runpath=/u"), "liba.so", &["/u/liba.so"]);
    check(image, &[], &format!("{MUSL} rpath=/r runpath=/u"), "liba.so", &["/u/liba.so"]);
    check(image, &[], &format!("{MUSL} rpath=/none"), "liba.so", &["/lib/liba.so"]);
}

#[test]
fn musl_inherits_the_runpath_of_who_loaded_an_object() {
    let rootfs = parse_image("/p/liba.so f elf");
    let env = LoaderEnv::default();
    let search = Search::new(&rootfs, &env);
    let program = ElfFacts {
        machine: 62,
        interpreter: Some(Box::from(*b"/lib/ld-musl-x86_64.so.1")),
        runpath: Some(Box::from(*b"/p")),
        ..ElfFacts::default()
    };
    let library = ElfFacts { machine: 62, ..ElfFacts::default() };
    let inherited = [(&program, &b"/bin"[..])];
    for (loader, found) in [(Loader::of(&program), 1), (Loader::Glibc, 0)] {
        let by = Requester { facts: &library, origin: b"/p", inherited: &inherited, loader: &loader };
        assert_eq!(search.find(b"liba.so", &by).len(), found, "{loader:?}");
    }
}

#[test]
fn musl_knows_no_token_but_origin_no_capabilities_and_no_cache() {
    let cache = Escaped::new(&new_format(&[("liba.so", "/opt/liba.so", 0)])).to_string();
    let image = format!(
        "/app/lib/libo.so f elf\n/x/lib/libb.so f elf\n/lib/glibc-hwcaps/x86-64-v2/libb.so f elf\n/opt/liba.so f elf\n/etc/ld.so.cache f \"{cache}\""
    );
    check(&image, &[], &format!("{MUSL} runpath=$ORIGIN/../lib"), "libo.so", &["/app/lib/libo.so"]);
    check(&image, &[], &format!("{MUSL} runpath=/none:${{ORIGIN}}/../lib"), "libo.so", &["/app/lib/libo.so"]);
    check(&image, &[], &format!("{MUSL} runpath=/x/$LIB:/x/lib"), "libb.so", &[]);
    check(&image, &["LD_LIBRARY_PATH=$ORIGIN/../lib"], MUSL, "libo.so", &[]);
    check(&image, &[], MUSL, "liba.so", &[]);
}

#[test]
fn the_first_file_of_a_name_ends_musls_search_whatever_it_is() {
    let image = "/u/liba.so f \"text\"\n/lib/liba.so f elf";
    check(image, &[], &format!("{MUSL} runpath=/u"), "liba.so", &["/u/liba.so"]);
}

#[test]
fn preloads_come_from_environment_and_file() {
    let rootfs = parse_image("/etc/ld.so.preload f \"# all\\n/lib/a.so b.so # c.so\\n\"");
    let env = LoaderEnv::new(["LD_PRELOAD=x.so:/y.so"], ImagePath::root());
    let search = Search::new(&rootfs, &env);
    let names: Vec<String> = search
        .preloads(&Loader::Glibc)
        .iter()
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    assert_eq!(names, ["x.so", "/y.so", "/lib/a.so", "b.so"]);
    let musl = Loader::Musl(Musl { name: Box::default(), arch: Box::default() });
    assert_eq!(search.preloads(&musl), [b"x.so".to_vec(), b"/y.so".to_vec()], "musl has no such file");
}

#[test]
fn the_files_that_a_loader_reads_are_wanted() {
    for path in
        ["/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/ld-musl-x86_64.path", "/opt/m/etc/ld-musl-i386.path"]
    {
        assert!(wanted(&ImagePath::literal(path)).is_some(), "{path}");
    }
    assert!(wanted(&ImagePath::literal("/etc/ld.so.conf")).is_none());
}
