//! A small Debian's database, whole and broken.

use super::*;
use crate::packages::PackageId;
use crate::packages::database::md5_hex;
use crate::rootfs::dump::parse_image;

/// Debian's status file, shortened; merged usr; dash's diversion.
const DEBIAN: &str = r#"
    /bin l usr/bin
    /usr/bin/bash f 0755 1000
    /usr/bin/sh l dash
    /usr/bin/sh.distrib f "old"
    /usr/bin/dash f "dash"
    /usr/bin/mawk f
    /usr/bin/awk l /etc/alternatives/awk
    /etc/alternatives/awk l /usr/bin/mawk
    /etc/adduser.conf f "changed"
    /var/lib/dpkg/status f "Package: bash\nEssential: yes\nStatus: install ok installed\nArchitecture: amd64\nMulti-Arch: foreign\nVersion: 5.2.15-2+b7\nSource: bash (5.2.15-2)\nDepends: base-files (>= 2.1.12), debianutils (>= 5.6-0.1)\nPre-Depends: libc6 (>= 2.36), awk | mawk\nDescription: GNU Bourne Again SHell\n Bash is\n .\n Depends: nothing\n\nPackage: mawk\nStatus: install ok installed\nArchitecture: amd64\nProvides: awk\nDepends: libc6 (>= 2.29)\n\nPackage: libc6\nStatus: install ok triggers-awaited\nArchitecture: amd64\nMulti-Arch: same\nVersion: 2.36\n\nPackage: libc6\nStatus: install ok installed\nArchitecture: i386\nMulti-Arch: same\n\nPackage: adduser\nStatus: deinstall ok config-files\nArchitecture: all\nConffiles:\n /etc/adduser.conf cc3493ecd2d09837ffdcc3e25fdfff18\n /etc/old 11a06baf8245fd8d690b99024d228c1f obsolete\n\nPackage: dash\nStatus: install ok installed\nArchitecture: amd64\n\nPackage: posh\nStatus: install ok installed\nArchitecture: amd64\n"
    /var/lib/dpkg/info/bash.list f "/.\n/bin\n/bin/bash\n/usr\n/usr/bin\n"
    /var/lib/dpkg/info/mawk.list f "/usr/bin/mawk\n"
    /var/lib/dpkg/info/libc6:amd64.list f "/lib/x86_64-linux-gnu/libc.so.6\n"
    /var/lib/dpkg/info/libc6:i386.list f "/lib/i386-linux-gnu/libc.so.6\n"
    /var/lib/dpkg/info/adduser.list f "/etc/adduser.conf\n"
    /var/lib/dpkg/info/dash.list f "/bin/dash\n/bin/sh\n"
    /var/lib/dpkg/info/posh.list f "/bin/sh\n"
    /var/lib/dpkg/info/dash.md5sums f "a9fe1862e6a79f0ab5ffe25d8f2ab1c1  bin/dash\n0123456789abcdef0123456789abcdef  bin/sh\n"
    /var/lib/dpkg/diversions f "/bin/sh\n/bin/sh.distrib\ndash\n"
    /var/lib/dpkg/alternatives/awk f "auto\n/usr/bin/awk\n\n/usr/bin/mawk\n5\n\n"
"#;

fn names(database: &Database, ids: &[PackageId]) -> Vec<String> {
    let name = |id: &PackageId| format!("{}:{}", database.get(*id).name, database.get(*id).architecture);
    ids.iter().map(name).collect()
}

#[test]
fn owners_are_found_through_merged_usr_links_and_diversions() {
    let rootfs = parse_image(DEBIAN);
    let database = Database::read(&rootfs).unwrap();
    let owner = |path: &str| names(&database, database.owners(&ImagePath::literal(path)));
    assert_eq!(owner("/usr/bin/bash"), ["bash:amd64"]);
    assert_eq!(owner("/bin/bash"), [""; 0]);
    assert_eq!(owner("/usr/bin/sh"), ["dash:amd64"]);
    assert_eq!(owner("/usr/bin/sh.distrib"), ["posh:amd64"]);
    assert_eq!(owner("/lib/i386-linux-gnu/libc.so.6"), ["libc6:i386"]);
    assert_eq!(owner("/etc/adduser.conf"), [""; 0], "a removed package owns nothing");
    assert_eq!(database.warnings(), []);
    let posh = database.package("posh").unwrap();
    assert_eq!(
        database.location(&rootfs, posh, &ImagePath::literal("/bin/sh")),
        ImagePath::literal("/usr/bin/sh.distrib")
    );
}

#[test]
fn fields_of_a_package_are_read() {
    let database = Database::read(&parse_image(DEBIAN)).unwrap();
    let bash = database.get(database.package("bash").unwrap());
    assert!(bash.essential && !bash.protected);
    assert_eq!((bash.version.as_str(), bash.source.as_deref()), ("5.2.15-2+b7", Some("bash")));
    assert_eq!(bash.depends, [vec!["libc6"], vec!["awk", "mawk"], vec!["base-files"], vec!["debianutils"]]);
    assert_eq!(database.package("adduser"), None);
    let adduser = database.packages().find(|(_, package)| package.name == "adduser").unwrap().1;
    assert_eq!(adduser.state, State::ConfigFiles);
    assert_eq!(adduser.conffiles.len(), 2);
}

#[test]
fn dependencies_are_of_the_same_architecture_and_may_be_virtual() {
    let database = Database::read(&parse_image(DEBIAN)).unwrap();
    let needed = database.dependencies(database.package("bash").unwrap());
    assert_eq!(names(&database, &needed), ["mawk:amd64", "libc6:amd64"]);
}

#[test]
fn an_edited_file_is_told_from_a_delivered_one() {
    let rootfs = parse_image(DEBIAN);
    let database = Database::read(&rootfs).unwrap();
    let unmodified = |path: &str| database.is_unmodified(&rootfs, &ImagePath::literal(path));
    assert_eq!(unmodified("/usr/bin/dash"), Some(md5_hex(b"dash") == "a9fe1862e6a79f0ab5ffe25d8f2ab1c1"));
    assert_eq!(unmodified("/usr/bin/bash"), None);
    let edited = DEBIAN.replace("a9fe1862e6a79f0ab5ffe25d8f2ab1c1", &md5_hex(b"dash").to_uppercase());
    let rootfs = parse_image(&edited);
    let database = Database::read(&rootfs).unwrap();
    assert_eq!(database.is_unmodified(&rootfs, &ImagePath::literal("/usr/bin/dash")), Some(true));
}

#[test]
fn both_links_of_an_alternative_lead_to_its_group() {
    let database = Database::read(&parse_image(DEBIAN)).unwrap();
    for link in ["/usr/bin/awk", "/etc/alternatives/awk"] {
        assert_eq!(database.alternative_of(&ImagePath::literal(link)).unwrap().name, "awk");
    }
    assert_eq!(database.alternative_of(&ImagePath::literal("/usr/bin/mawk")), None);
}

#[test]
fn distroless_files_are_known_by_their_sums() {
    let rootfs = parse_image(
        r#"
        /var/lib/dpkg/status.d/base f "Package: base-files\nVersion: 12\nArchitecture: amd64\n"
        /usr/lib/os-release f "x"
        /usr/lib/big f 1000
        /var/lib/dpkg/status.d/base.md5sums f "0123456789abcdef0123456789abcdef  usr/lib/os-release\n0123456789abcdef0123456789abcdef  usr/lib/big\n"
        /var/lib/dpkg/status.d/netbase f "Package: netbase\n"
        "#,
    );
    let database = Database::read(&rootfs).unwrap();
    let owner = database.owner_of(&ImagePath::literal("/usr/lib/os-release")).unwrap();
    assert_eq!(database.get(owner).name, "base-files");
    assert_eq!(
        database.md5(&ImagePath::literal("/usr/lib/os-release")),
        Some("0123456789abcdef0123456789abcdef")
    );
    assert_eq!(database.md5(&ImagePath::literal("/usr/lib/big")), None, "no bytes to compare with");
    assert_eq!(database.warnings(), [Warning::Listless("netbase".into())]);
}

#[test]
fn a_broken_database_is_read_as_far_as_it_goes() {
    let rootfs = parse_image(
        r#"
        /var/lib/dpkg/status f "Version: 1\r\n\r\nPackage: a\r\nStatus: install ok installed\r\n\r\nPackage: ../b\n\nPackage: c\nDepe"
        /var/lib/dpkg/info/a.list f "/usr/bin/a\r\n/../x\r\n"
        /var/lib/dpkg/info/c.list f 99999999
        /var/lib/dpkg/diversions f "/a\n/b\n"
        "#,
    );
    let database = Database::read(&rootfs).unwrap();
    assert_eq!(
        database.installed().map(|(_, package)| package.name.as_str()).collect::<Vec<_>>(),
        ["a", "c"]
    );
    assert!(database.owner_of(&ImagePath::literal("/usr/bin/a")).is_some());
    let warnings: Vec<String> = database.warnings().iter().map(Warning::to_string).collect();
    assert_eq!(
        warnings,
        [
            "`/var/lib/dpkg/diversions`: line 1 cannot be read",
            "`/var/lib/dpkg/status`: stanza 1 names no package",
            "`/var/lib/dpkg/info/a.list`: line 2 cannot be read",
            "`/var/lib/dpkg/status`: stanza 3 names no package",
            "`/var/lib/dpkg/info/c.list` is too large and was not read",
            "`/var/lib/dpkg/status` ends in the middle of a line",
        ]
    );
}

#[test]
fn only_files_of_the_database_are_wanted() {
    let is_wanted = |path: &str| wanted(&ImagePath::literal(path)).is_some();
    for path in [
        "status",
        "status.d/base",
        "status.d/base.md5sums",
        "info/a:b.list",
        "info/a.md5sums",
        "diversions",
        "alternatives/awk",
    ] {
        assert!(is_wanted(&format!("/var/lib/dpkg/{path}")), "{path}");
    }
    for path in ["status-old", "info/a.postinst", "info/x/a.list", "lock", "available"] {
        assert!(!is_wanted(&format!("/var/lib/dpkg/{path}")), "{path}");
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(
        status in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400),
        at in 0usize..2000, byte in proptest::prelude::any::<u8>(),
    ) {
        use crate::rootfs::{Kept, LayerIndex, Rootfs, Kind};
        let mut layers = crate::rootfs::dump::parse_layers(DEBIAN);
        for entry in layers.iter_mut().flat_map(|layer: &mut LayerIndex| &mut layer.entries) {
            if let Kind::File(file) = &mut entry.kind
                && entry.path.as_bytes().starts_with(b"var/lib/dpkg")
                && let Some(bytes) = &file.bytes
            {
                let mut bytes = bytes.bytes().into_owned();
                let length = bytes.len();
                bytes[at % length] = byte;
                if entry.path.name() == b"diversions" {
                    bytes.extend_from_slice(&status);
                }
                file.bytes = Some(Kept::new(&bytes));
            }
        }
        let rootfs = Rootfs::merge(layers).unwrap();
        let database = Database::read(&rootfs).unwrap();
        for (id, _) in database.packages() {
            database.dependencies(id);
        }
    }
}
