//! What only `dlopen` finds: rules of the catalog and plugin directories of recipes.
//!
//! Sonames and paths are those of Debian bookworm.

use expect_test::expect;

use super::{ELF, debian};

#[test]
fn name_services_and_the_unwinder_stay_with_the_c_library() {
    debian(&format!(
        "/usr/sbin/app {ELF}\n/usr/lib/x86_64-linux-gnu/libgcc_s.so.1 f elf needed=libc.so.6
        /usr/lib/x86_64-linux-gnu/libnss_files.so.2 f elf\n/usr/lib/x86_64-linux-gnu/gconv/UTF-16.so f elf
        /usr/lib/x86_64-linux-gnu/gconv/gconv-modules f 20\n/usr/lib/x86_64-linux-gnu/libother.so.1 f elf
        package app needs=libc6 has=/usr/sbin/app
        package libgcc-s1 needs=libc6 has=/usr/lib/x86_64-linux-gnu/libgcc_s.so.1
        package libnss has=/usr/lib/x86_64-linux-gnu/libnss_files.so.2
        package libc-gconv has=/usr/lib/x86_64-linux-gnu/gconv/UTF-16.so,/usr/lib/x86_64-linux-gnu/gconv/gconv-modules
        package libother has=/usr/lib/x86_64-linux-gnu/libother.so.1"
    ))
    .cmd(&["app"])
    .shows("gone packages", &expect![[r"
        gone /bin: link to /usr/bin
        gone /usr/bin: EmptyDirectory
        gone /usr/bin/cat: Utility
        gone /usr/bin/dash: Shell
        gone /usr/bin/dpkg: PackageManager
        gone /usr/bin/env: Utility
        gone /usr/bin/sh: Shell
        gone /usr/lib/x86_64-linux-gnu/libother.so.1: UnneededPackage
        keeps app: /usr/sbin/app
        cuts coreutils: nothing kept leads to it
        cuts dash: nothing kept leads to it
        cuts dpkg: nothing kept leads to it
        keeps libc-gconv: /usr/lib/x86_64-linux-gnu/gconv/UTF-16.so
        keeps libc6: package app
        keeps libgcc-s1: /usr/lib/x86_64-linux-gnu/libgcc_s.so.1
        keeps libnss: /usr/lib/x86_64-linux-gnu/libnss_files.so.2
        cuts libother: nothing kept leads to it
    "]]);
}

#[test]
fn nothing_is_loaded_for_a_static_program() {
    debian(
        "/app f 0755 elf static\n/usr/lib/x86_64-linux-gnu/libnss_files.so.2 f elf
        package libnss has=/usr/lib/x86_64-linux-gnu/libnss_files.so.2",
    )
    .cmd(&["/app"])
    .shows(
        "gone",
        &expect![[r"
            gone /bin: link to /usr/bin
            gone /lib: link to /usr/lib
            gone /lib64: link to /usr/lib64
            gone /usr/bin: EmptyDirectory
            gone /usr/bin/cat: Utility
            gone /usr/bin/dash: Shell
            gone /usr/bin/dpkg: PackageManager
            gone /usr/bin/env: Utility
            gone /usr/bin/sh: Shell
            gone /usr/lib/x86_64-linux-gnu/libc.so.6: UnneededPackage
            gone /usr/lib/x86_64-linux-gnu/libnss_files.so.2: UnneededPackage
            gone /usr/lib64/ld-linux-x86-64.so.2: UnneededPackage
        "]],
    );
}

#[test]
fn providers_stay_with_the_crypto_library_and_modules_with_pam() {
    debian(&format!(
        "/usr/sbin/app f 0755 elf interp=/lib64/ld-linux-x86-64.so.2 needed=libcrypto.so.3,libpam.so.0
        /usr/lib/x86_64-linux-gnu/libcrypto.so.3 f elf\n/usr/lib/x86_64-linux-gnu/ossl-modules/legacy.so f elf
        /usr/lib/x86_64-linux-gnu/libpam.so.0 f elf\n/usr/lib/x86_64-linux-gnu/security/pam_unix.so f elf needed=libcrypt.so.1
        /usr/lib/x86_64-linux-gnu/libcrypt.so.1 f elf\n/etc/pam.d/other f 10\n/usr/sbin/unix_chkpwd {ELF}
        package app has=/usr/sbin/app
        package libssl3 has=/usr/lib/x86_64-linux-gnu/libcrypto.so.3,/usr/lib/x86_64-linux-gnu/ossl-modules/legacy.so
        package libpam0g has=/usr/lib/x86_64-linux-gnu/libpam.so.0
        package libpam-modules has=/usr/lib/x86_64-linux-gnu/security/pam_unix.so
        package libpam-runtime needs=dpkg has=/etc/pam.d/other
        package libpam-modules-bin has=/usr/sbin/unix_chkpwd
        package libcrypt1 has=/usr/lib/x86_64-linux-gnu/libcrypt.so.1"
    ))
    .cmd(&["app"])
    .shows("gone packages", &expect![[r"
        gone /bin: link to /usr/bin
        gone /usr/bin: EmptyDirectory
        gone /usr/bin/cat: Utility
        gone /usr/bin/dash: Shell
        gone /usr/bin/dpkg: PackageManager
        gone /usr/bin/env: Utility
        gone /usr/bin/sh: Shell
        keeps app: /usr/sbin/app
        cuts coreutils: nothing kept leads to it
        cuts dash: nothing kept leads to it
        cuts dpkg: nothing kept leads to it
        keeps libc6: /usr/lib64/ld-linux-x86-64.so.2
        keeps libcrypt1: /usr/lib/x86_64-linux-gnu/libcrypt.so.1
        keeps libpam-modules: /usr/lib/x86_64-linux-gnu/security/pam_unix.so
        keeps libpam-modules-bin: /usr/sbin/unix_chkpwd
        keeps libpam-runtime: /etc/pam.d/other
        keeps libpam0g: /usr/lib/x86_64-linux-gnu/libpam.so.0
        keeps libssl3: /usr/lib/x86_64-linux-gnu/libcrypto.so.3
    "]]);
}

#[test]
fn plugin_directory_of_a_recipe_keeps_packages_but_no_package_tools() {
    debian(&format!(
        "/usr/bin/python3 {ELF}\n/usr/lib/python3/dist-packages/flask/app.py f \"x\"
        /usr/lib/python3/dist-packages/pip/main.py f \"x\"\n/usr/lib/python3/dist-packages/setuptools/x.py f \"x\"
        package python3-minimal needs=libc6 has=/usr/bin/python3
        package python3-flask needs=python3-click has=/usr/lib/python3/dist-packages/flask/app.py
        package python3-click has=/usr/share/python3/click
        package python3-pip needs=python3-setuptools has=/usr/lib/python3/dist-packages/pip/main.py
        package python3-setuptools has=/usr/lib/python3/dist-packages/setuptools/x.py"
    ))
    .cmd(&["python3", "/srv/app.py"])
    .shows("gone packages", &expect![[r"
        gone /usr/bin/cat: Utility
        gone /usr/bin/dash: Shell
        gone /usr/bin/dpkg: PackageManager
        gone /usr/bin/env: Utility
        gone /usr/bin/sh: Shell
        gone /usr/lib/python3/dist-packages/pip/main.py: UnneededPackage
        cuts coreutils: nothing kept leads to it
        cuts dash: nothing kept leads to it
        cuts dpkg: nothing kept leads to it
        keeps libc6: package python3-minimal
        cuts python3-click: it owns no file of the image
        keeps python3-flask: /usr/lib/python3/dist-packages/flask/app.py
        keeps python3-minimal: /usr/bin/python3
        cuts python3-pip: nothing kept leads to it
        keeps python3-setuptools: /usr/lib/python3/dist-packages/setuptools/x.py
    "]]);
}

#[test]
fn modules_beside_node_stay_without_npm() {
    debian(&format!(
        "/usr/local/bin/node {ELF}\n/usr/local/bin/npm l ../lib/node_modules/npm/bin/npm-cli.js
        /usr/local/bin/npx l ../lib/node_modules/npm/bin/npx-cli.js
        /usr/local/lib/node_modules/npm/bin/npm-cli.js f 0755 #!/usr/bin/env node
        /usr/local/lib/node_modules/npm/bin/npx-cli.js f 0755 #!/usr/bin/env node
        /usr/local/lib/node_modules/express/index.js f 3\n/usr/local/include/node/v8.h f 3\n/app/server.js f 3"
    ))
    .cmd(&["node", "/app/server.js"])
    .shows("gone residual codes", &expect![[r"
        gone /bin: link to /usr/bin
        gone /usr/bin: EmptyDirectory
        gone /usr/bin/cat: Utility
        gone /usr/bin/dash: Shell
        gone /usr/bin/dpkg: PackageManager
        gone /usr/bin/env: Utility
        gone /usr/bin/sh: Shell
        gone /usr/local/bin/npm: link to /usr/local/lib/node_modules/npm/bin/npm-cli.js
        gone /usr/local/bin/npx: link to /usr/local/lib/node_modules/npm/bin/npx-cli.js
        gone /usr/local/include/node/v8.h: Derived
        gone /usr/local/lib/node_modules/npm/bin/npm-cli.js: Derived
        gone /usr/local/lib/node_modules/npm/bin/npx-cli.js: Derived
        stays /usr/local/bin/node Interpreter: it is the program that the image is for
        codes KN015
    "]]);
}

#[test]
fn libraries_that_dotnet_loads_by_name_stay_with_its_runtime() {
    let libraries = "/usr/lib/x86_64-linux-gnu/libicuuc.so.72 f elf\n/usr/lib/x86_64-linux-gnu/libicui18n.so.72 f elf
        /usr/lib/x86_64-linux-gnu/libicudata.so.72 f elf\n/usr/lib/x86_64-linux-gnu/libssl.so.3 f elf
        /usr/lib/x86_64-linux-gnu/libcrypto.so.3 f elf\n/usr/lib/x86_64-linux-gnu/libother.so.1 f elf
        package libicu72 has=/usr/lib/x86_64-linux-gnu/libicuuc.so.72,/usr/lib/x86_64-linux-gnu/libicui18n.so.72,/usr/lib/x86_64-linux-gnu/libicudata.so.72
        package libssl3 has=/usr/lib/x86_64-linux-gnu/libssl.so.3,/usr/lib/x86_64-linux-gnu/libcrypto.so.3
        package libother has=/usr/lib/x86_64-linux-gnu/libother.so.1";
    let gone = |image: String| {
        let plan = debian(&image).cmd(&["/app/main"]).plan();
        let gone = plan.removed.iter().map(|removed| removed.path.to_string());
        gone.filter(|path| path.contains("/lib") && path.contains(".so.") && !path.ends_with("libc.so.6"))
            .collect::<Vec<_>>()
    };
    // An application that brings the runtime itself is an ELF file of its own.
    let image = format!("/app/main {ELF}\n/app/libcoreclr.so f elf\n{libraries}");
    assert_eq!(gone(image), ["/usr/lib/x86_64-linux-gnu/libother.so.1"]);
    assert_eq!(gone(format!("/app/main f 0755 elf static\n{libraries}")).len(), 7);
}

#[test]
fn a_library_that_was_asked_for_stays_with_an_interpreter_that_can_load_it_by_name() {
    let image = |program: &str| {
        debian(&format!(
            "{program} {ELF}\npackage main has={program}\n/usr/lib/x86_64-linux-gnu/libmagic.so.1 f elf
            /usr/lib/x86_64-linux-gnu/libx.so.1 f elf\n/usr/bin/tool {ELF}\n/usr/lib/x86_64-linux-gnu/libtool.so.1 f elf
            /usr/lib/file/magic.mgc f 5\npackage libmagic1 needs=libmagic-mgc has=/usr/lib/x86_64-linux-gnu/libmagic.so.1
            package libmagic-mgc has=/usr/lib/file/magic.mgc\npackage libx1 has=/usr/lib/x86_64-linux-gnu/libx.so.1
            package tool needs=libx1 has=/usr/bin/tool,/usr/lib/x86_64-linux-gnu/libtool.so.1"
        ))
        .cmd(&[program])
    };
    image("/usr/bin/python3").shows(
        "packages",
        &expect![[r"
        cuts coreutils: nothing kept leads to it
        cuts dash: nothing kept leads to it
        cuts dpkg: nothing kept leads to it
        keeps libc6: /usr/lib64/ld-linux-x86-64.so.2
        keeps libmagic-mgc: package libmagic1
        keeps libmagic1: /usr/lib/x86_64-linux-gnu/libmagic.so.1
        cuts libx1: nothing kept leads to it
        keeps main: /usr/bin/python3
        cuts tool: nothing kept leads to it
    "]],
    );
    image("/usr/bin/server").shows(
        "packages",
        &expect![[r"
        cuts coreutils: nothing kept leads to it
        cuts dash: nothing kept leads to it
        cuts dpkg: nothing kept leads to it
        keeps libc6: /usr/lib64/ld-linux-x86-64.so.2
        cuts libmagic-mgc: nothing kept leads to it
        cuts libmagic1: nothing kept leads to it
        cuts libx1: nothing kept leads to it
        keeps main: /usr/bin/server
        cuts tool: nothing kept leads to it
    "]],
    );
}
