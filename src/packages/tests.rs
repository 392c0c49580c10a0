//! Which kinds of database an image has.

use super::*;
use crate::rootfs::dump::parse_image;

#[test]
fn kinds_of_database_are_noticed() {
    let kinds = |image: &str| detect(&parse_image(image)).into_keys().collect::<Vec<_>>();
    assert_eq!(kinds("/var/lib/dpkg/status f"), [Kind::Dpkg]);
    assert_eq!(
        kinds("/var/lib/rpm l ../../usr/lib/sysimage/rpm\n/usr/lib/sysimage/rpm/rpmdb.sqlite f"),
        [Kind::Rpm]
    );
    assert_eq!(kinds("/usr/share/rpm/rpmdb.sqlite f"), [Kind::Rpm]);
    assert_eq!(kinds("/lib/apk/db/installed f\n/var/lib/rpm d"), [Kind::Apk]);
    assert_eq!(kinds("/app f"), []);
    assert!(Database::read(&parse_image("/app f")).is_none());
}
