//! Which small files pass 1 must keep the bytes of, for evidence to be found in them later.
//!
//! Judges paths only: what a file is for is decided when it is read.

use crate::path::ImagePath;

/// Most bytes kept of one configuration file: real ones are far smaller (redis' commented one is 107 KiB).
pub const MAX_CONFIG_BYTES: u64 = 256 << 10;

/// Extensions of configuration files.
const EXTENSIONS: &[&[u8]] =
    &[b"conf", b"cnf", b"ini", b"yml", b"yaml", b"toml", b"load", b"cfg", b"service", b"json", b"config"];

/// Names of configuration files that have no telling extension.
const NAMES: &[&[u8]] = &[b"envvars", b"config", b"default", b"Caddyfile"];

/// Directories of configuration outside `/etc`, by their own name.
const CONFIG_DIRECTORIES: &[&[u8]] = &[b"conf", b"etc", b"conf.d", b"config"];

/// Most bytes to keep of the regular file at `path` as written in a layer; `None`: none are needed.
///
/// systemd units and their drop-ins, `tmpfiles.d`, configuration below `/etc`, in directories named `conf`
/// or `etc` below `/usr/local`, `/opt`, `/srv` and `/var/lib`, and top-level configuration files (`/data`, `/config`).
pub fn wanted(path: &ImagePath) -> Option<u64> {
    let components: Vec<&[u8]> = path.components().collect();
    let extension = path.name().rsplit_once_byte(b'.');
    let telling = extension.is_some_and(|extension| EXTENSIONS.contains(&extension));
    let wanted = match components.as_slice() {
        [b"usr", b"lib", b"tmpfiles.d", _] => extension == Some(b"conf"),
        [b"etc", middle @ .., name] => {
            telling
                || NAMES.contains(name)
                || middle.last().is_some_and(|directory| is_enabled_directory(directory))
        }
        [b"usr", b"local", rest @ .., _]
        | [b"opt" | b"srv", rest @ .., _]
        | [b"var", b"lib", rest @ .., _] => {
            let is_configuration = |name: &&[u8]| CONFIG_DIRECTORIES.contains(name) || *name == b"systemd";
            telling && (rest.is_empty() || rest.iter().any(is_configuration))
        }
        [b"lib", b"systemd", b"system", ..]
        | [b"usr", b"lib", b"systemd", b"system", ..]
        | [_]
        | [b"data" | b"config" | b"conf" | b"app", _] => telling,
        _ => false,
    };
    wanted.then_some(MAX_CONFIG_BYTES)
}

/// `sites-enabled` and the like, whose files may have any name.
fn is_enabled_directory(name: &[u8]) -> bool {
    name.ends_with(b"-enabled") || name.ends_with(b"-available") || name.ends_with(b".d")
}

/// What follows the last `separator`.
trait RsplitOnce {
    fn rsplit_once_byte(&self, separator: u8) -> Option<&[u8]>;
}

impl RsplitOnce for [u8] {
    fn rsplit_once_byte(&self, separator: u8) -> Option<&[u8]> {
        let at = self.iter().rposition(|&byte| byte == separator)?;
        self.get(at + 1..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_is_wanted_and_content_is_not() {
        for path in [
            "/lib/systemd/system/nginx.service",
            "/usr/lib/systemd/system/redis-server.service.d/override.conf",
            "/etc/systemd/system/x.service",
            "/usr/lib/tmpfiles.d/postgresql-common.conf",
            "/etc/tmpfiles.d/x.conf",
            "/etc/nginx/nginx.conf",
            "/etc/nginx/sites-available/default",
            "/etc/nginx/sites-enabled/default",
            "/etc/apache2/envvars",
            "/etc/caddy/Caddyfile",
            "/etc/apache2/mods-available/ssl.load",
            "/etc/docker/registry/config.yml",
            "/usr/local/apache2/conf/httpd.conf",
            "/usr/local/apache2/conf/extra/httpd-ssl.conf",
            "/usr/local/etc/redis.conf",
            "/usr/local/etc/redis/redis.conf",
            "/redis.conf",
        ] {
            assert_eq!(wanted(&ImagePath::literal(path)), Some(MAX_CONFIG_BYTES), "{path}");
        }
        for path in [
            "/etc/ssl/private/key.pem",
            "/etc/shadow",
            "/usr/bin/x.conf",
            "/usr/share/doc/nginx/nginx.conf",
            "/usr/local/lib/node_modules/x/package.json",
            "/usr/local/bin/redis",
            "/var/www/html/index.html",
        ] {
            assert_eq!(wanted(&ImagePath::literal(path)), None, "{path}");
        }
    }
}
