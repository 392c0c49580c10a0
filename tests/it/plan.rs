//! Plans of whole images: what starts, what stays and what goes, and as whom, each with its reason.
//!
//! Knows images as text only; what holds for every plan is checked with each of them (`sound`).

mod access;
mod alike;
mod alpine;
mod application;
mod baked;
mod doubt;
mod elsewhere;
mod launchers;
mod layers;
mod linked;
mod loaded;
mod minimal;
mod named;
mod packages;
mod preparing;
mod rpm;
mod seeded;
mod start;
mod strip;
mod traced;
mod user;

/// A small Debian: a shell, one utility, `env`, the package manager and the loader; `/usr` is merged.
const DEBIAN: &str = r#"
    /usr/bin d
    /usr/sbin d
    /bin l usr/bin
    /sbin l usr/sbin
    /lib l usr/lib
    /lib64 l usr/lib64
    /usr/lib64/ld-linux-x86-64.so.2 f 0755 elf
    /usr/lib/x86_64-linux-gnu/libc.so.6 f 0755 elf soname=libc.so.6
    /usr/bin/dash f 0755 elf interp=/lib64/ld-linux-x86-64.so.2 needed=libc.so.6
    /usr/bin/sh l dash
    /usr/bin/cat f 0755 elf interp=/lib64/ld-linux-x86-64.so.2 needed=libc.so.6
    /usr/bin/env f 0755 elf interp=/lib64/ld-linux-x86-64.so.2 needed=libc.so.6
    /usr/bin/dpkg f 0755 elf interp=/lib64/ld-linux-x86-64.so.2 needed=libc.so.6
    /etc/passwd f "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n"
    /etc/group f "root:x:0:\nwww-data:x:33:\n"
    package libc6 has=/lib/x86_64-linux-gnu/libc.so.6,/lib64/ld-linux-x86-64.so.2
    package dash needs=libc6 has=/bin/dash,/bin/sh
    package coreutils needs=libc6 has=/bin/cat,/usr/bin/env
    package dpkg needs=libc6 has=/usr/bin/dpkg
"#;

/// [`DEBIAN`] with more on top, in the same layer.
pub fn debian(more: &str) -> crate::fixture::Fixture {
    crate::fixture::Fixture::new(&format!("{DEBIAN}{more}"))
}

/// An image whose script writes a file that is a constant of it.
pub fn baking() -> crate::fixture::Fixture {
    baked::image()
}

/// An image whose source makes what its app needs before each start.
pub fn preparing() -> crate::fixture::Fixture {
    preparing::image()
}

/// A program of the distribution's that needs the C library.
pub const ELF: &str = "f 0755 elf interp=/lib64/ld-linux-x86-64.so.2 needed=libc.so.6";
