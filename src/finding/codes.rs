//! Every code a finding can have, with the text that `kiln explain` prints.
//!
//! Holds words only; who raises a code is in the modules that decide.

use super::Severity;

/// What `kiln explain CODE` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeDoc {
    /// Stable id, as printed: `KN001`.
    pub id: &'static str,
    /// Stable name, as a word: `shell-stays`.
    pub slug: &'static str,
    /// Severity of every finding of this code.
    pub severity: Severity,
    /// What it finds, in one line.
    pub title: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// A finding as it looks.
    pub example: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

macro_rules! codes {
    ($($variant:ident $id:literal $slug:literal $severity:ident: $title:literal, why $why:literal, example $example:literal, remedy $remedy:literal;)*) => {
        /// The code of a finding.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// Every code, in order of id.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The words of this code.
            pub fn doc(self) -> &'static CodeDoc {
                match self {
                    $(Self::$variant => &CodeDoc {
                        id: $id,
                        slug: $slug,
                        severity: Severity::$severity,
                        title: $title,
                        why: $why,
                        example: $example,
                        remedy: $remedy,
                    },)*
                }
            }

            /// The code whose id or slug is `name`, letter case aside.
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|code| code.doc().id.eq_ignore_ascii_case(name) || code.doc().slug.eq_ignore_ascii_case(name))
            }
        }
    };
}

codes! {
    ShellStays "KN001" "shell-stays" High: "the entrypoint needs a shell, and nothing lowers it",
        why "A shell in the image is the first thing an intruder needs: it runs commands, downloads and scripts without a further file. The image's entrypoint is a script, no recipe knows what it ends up running, and nothing of the image is executed to find out, so its interpreter has to stay.",
        example "high KN001 /docker-entrypoint.sh: `/bin/sh` stays, the entrypoint is a script and no recipe lowers it",
        remedy "Name the program itself as entrypoint, in the image or with a recipe of your own (`--recipe FILE`) whose lowering says what the script ends up running. With `--strict` this finding fails the build.";
    EntrypointLowered "KN002" "entrypoint-lowered" Info: "the entrypoint was replaced by what it ends up running",
        why "The image starts with a script that ends by running one fixed command. The hardened image starts that command at once: no shell is needed, and signals reach the server and not a script around it. What the script did besides (creating directories, changing users) is left to the pod.",
        example "info KN002 /usr/sbin/apachectl: `apachectl -D FOREGROUND` starts as `/usr/sbin/apache2 -D FOREGROUND`",
        remedy "Nothing, if the reason given fits. If your deployment relies on something else that the script does, do that in the image's build or in an init container.";
    EntrypointNotFound "KN003" "entrypoint-not-found" High: "the entrypoint names a program that the image does not have",
        why "A container of this image cannot start: the first word of its entrypoint is neither a path in the image nor a name in one of the directories of PATH. Without the main program kiln cannot tell what is needed and what is not, and would remove too much.",
        example "high KN003 gunicorn: not found in /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        remedy "Check the image's `ENTRYPOINT`, `CMD` and `PATH`, and whether the program is mounted at run time; if so, name what it needs with `--keep`.";
    EntrypointMissing "KN004" "entrypoint-missing" High: "the image has neither entrypoint nor command",
        why "The config of the image says neither what to start nor with which arguments. What the image is for is unknown then, and only catalogued tools go.",
        example "high KN004 config: neither `Entrypoint` nor `Cmd` is set",
        remedy "Set `ENTRYPOINT` or `CMD` in the image. For a base image, which has none on purpose, name what must stay with `--keep`, or harden the images built from it.";
    ToolStays "KN005" "tool-stays" Medium: "a catalogued program stays",
        why "The catalog lists this program because intruders use it, and yet something that is kept leads to it. The promise that no catalogued program is left is weaker by this one.",
        example "medium KN005 /usr/bin/perl: interpreter stays, `/app/report.pl` of the entrypoint's chain runs in it",
        remedy "Read the reason in the report. If the app does not need what leads there, remove that with `--strip GLOB`; if it is what the image is for, nothing is to be done.";
    CallsShell "KN006" "calls-shell" Low: "a kept program imports `system` or `popen`, which need a shell",
        why "`system` and `popen` of the C library start `/bin/sh -c`. The shell goes, so these calls will fail at run time: often in a rare path such as a mail, a hook or a preview, and often without a message.",
        example "low KN006 /usr/sbin/nginx: imports `system`, which runs /bin/sh",
        remedy "Find out when the program calls it (its documentation, or a test of that path under the hardened image). If it must work, keep a shell with `--keep /bin/sh`, knowing what that costs.";
    ScriptStripped "KN007" "script-stripped" Low: "a script went with its interpreter",
        why "The script's interpreter is a catalogued program that goes, and a script alone is no reason to keep a shell: only the entrypoint's own chain is one. If the application starts this script at run time, that start now fails.",
        example "low KN007 /usr/local/bin/backup.sh: went with its interpreter /bin/sh",
        remedy "If the app runs the script while serving, rewrite it in the app's own language or keep it together with its interpreter with `--keep`. Otherwise leave it out of the image.";
    LibraryMissing "KN008" "library-missing" Medium: "a kept program needs a library that the image never had",
        why "The dynamic loader will not find this library in any directory it searches, and it was not there before hardening either. Either the program never worked, or the library comes from a mount or from a path that only LD_LIBRARY_PATH at run time names.",
        example "medium KN008 /opt/app/bin/tool: needs `libfoo.so.2`, which the image does not have",
        remedy "Install the library, or remove the program if it is not used. If a volume brings it, nothing is to be done.";
    ElfUnreadable "KN009" "elf-unreadable" Medium: "an ELF file's needs could not be read",
        why "The file begins as an ELF object and its headers or tables then contradict themselves or pass kiln's limits. What it needs is unknown; it stays, and something that it needs may have gone.",
        example "medium KN009 /opt/app/lib/blob.so: section table lies outside the file",
        remedy "Check whether the file is intact (`readelf -d FILE`). If it is used and odd on purpose, name what it needs with `--keep`.";
    StripBreaks "KN010" "strip-breaks" High: "`--strip` removes what a kept file needs",
        why "A glob of `--strip` removes a file that a kept file needs: a library, an interpreter or the target of a link. The kept file will not start or not work; your order is carried out all the same.",
        example "high KN010 /usr/lib/x86_64-linux-gnu/libssl.so.3: stripped by `/usr/lib/**/libssl*`, needed by /usr/sbin/nginx",
        remedy "Narrow the glob, or strip what needs the file as well.";
    GlobUnused "KN011" "glob-unused" Medium: "a `--keep` or `--strip` glob matches nothing",
        why "A glob that matches nothing does nothing: most often the path is misspelt, moved with a new version, or lacks its leading `/`. What it was meant to keep may be gone, what it was meant to remove may still be there.",
        example "medium KN011 --keep /usr/lib/plugin/**: matches nothing in the image",
        remedy "Correct the glob or drop it. Globs are matched against absolute paths in the image; `*` does not cross `/`, `**` does.";
    RecipeRuleUnused "KN012" "recipe-rule-unused" Low: "a rule of a matched recipe matches nothing in the image",
        why "A recipe matched the main program, but one of its rules found nothing to apply to in this image. For a recipe of your own this is usually a path that moved; for kiln's own it can be a layout that the recipe did not foresee.",
        example "low KN012 recipe nginx: plugin directory `/usr/lib/nginx/modules` matches nothing in the image",
        remedy "Check your recipe with `kiln recipe lint` and against the image's paths. For a built-in recipe look whether the software is installed somewhere unusual, and write a recipe for that place.";
    Unreadable "KN013" "unreadable" High: "the user cannot read what the entrypoint needs",
        why "The hardened image runs as a user who may not read this file or enter a directory on its way, and the entrypoint's program needs it. Root could; the container will fail at start, or later when it first opens the file.",
        example "high KN013 /etc/app/secret.conf: mode 0600 of root, the image runs as 65532",
        remedy "Change owner or mode in the image's build, choose a user who may read it with `--user`, or mount the file as a secret.";
    OpenedToUser "KN014" "opened-to-user" Low: "a file only root could read is readable for the user now",
        why "The image ran as root, which reads everything; the hardened one runs as a user without privileges, and the application's files must be readable for it. kiln gives these files to the user's group, and cannot tell which of them the app never meant to read as it serves: a private key, a password file.",
        example "low KN014 /app/config.yml: opened to group 65532: /app/config.yml",
        remedy "Nothing, if the app reads these files. Otherwise remove them from the image (`--strip`) and mount what is secret.";
    UserChanged "KN015" "user-changed" Info: "the image ran as another user",
        why "The source image runs as another user, usually root; the hardened one runs as a numeric user without privileges, so that Kubernetes can verify `runAsNonRoot`. Files that only the old user could read or write are findings of their own.",
        example "info KN015 user: was root, is 101 (nginx, by recipe `nginx`)",
        remedy "Nothing, if the app works as this user. Choose another one with `--user UID[:GID]`.";
    PrivilegeLost "KN016" "privilege-lost" Medium: "a kept program lost its setuid bit or file capabilities",
        why "The program worked with more rights than its caller because of a setuid or setgid bit or of file capabilities; these are removed from everything that is kept. Without them an unprivileged user cannot, for instance, open raw sockets with it, and the pod forbids gaining privileges anyway.",
        example "medium KN016 /usr/bin/app-helper: lost `cap_net_raw=ep`",
        remedy "Usually nothing: a port below 1024 needs no capability under the generated pod spec. If the app needs the right, add the capability to the container in the pod spec, knowing that it then holds for every process.";
    WritableHasContent "KN017" "writable-has-content" High: "a path that must be writable has content that is not copied",
        why "The app must write here, and the image has files here that a volume mounted on the path would hide. Kubernetes copies nothing from the image into an `emptyDir`, so the app would find its directory empty; unmounted it is read-only. Otherwise kiln has an init container copy them, but not these: they are code, which should not be writable, or too much, or a device, or for a processor that kiln has no helper for.",
        example "high KN017 /srv/app: it must be writable and has 12 files with 31400 bytes in the image, which a volume would hide: /srv/app/main.py is code, which could be changed in a volume (`--writable` copies it all the same); the pod spec mounts none; mount one yourself that holds the content, or let the app write elsewhere",
        remedy "Let the app write to a directory without code, or move the files to another place in the image's build. `--writable PATH` has code copied as well. Otherwise have an init container of your own fill the volume, or mount single files or subdirectories.";
    WritableUndeclared "KN018" "writable-undeclared" Low: "a writable directory of the source is not declared writable",
        why "The source image lets some user write into this directory, yet no evidence says that the app writes there. The hardened image has it read-only; if the app does use it, it will fail with `EROFS` or `EACCES` at that moment.",
        example "low KN018 /srv/uploads: mode 0777 in the source, read-only now",
        remedy "If the app writes there, declare it as a `VOLUME` in the image, or in a recipe of your own. If not, remove the write bits in the image's build.";
    VolumeMoved "KN019" "volume-moved" Info: "a `VOLUME` became a declared writable path",
        why "Runtimes disagree about `VOLUME`: some copy the image's content into an anonymous volume and leave it writable on a read-only root, others do neither. The declaration is therefore taken out of the config and stands in the writable manifest and in the pod spec as an explicit mount.",
        example "info KN019 /data: declared by `VOLUME`, mounted as `emptyDir` in the pod spec",
        remedy "Decide whether the data must outlive the pod; if so, replace the `emptyDir` by a claim.";
    HealthcheckDropped "KN020" "healthcheck-dropped" Low: "the image's health check cannot run any more",
        why "The image's `HEALTHCHECK` runs a shell or a tool such as curl that is no longer there, so it is taken out of the config: it could only report the container as unhealthy. Kubernetes never looked at it; Docker and podman did.",
        example "low KN020 healthcheck: `curl -f http://localhost/` needs /usr/bin/curl, which went",
        remedy "Use the probe of the generated pod spec. For Docker, let the app's own program check itself, in exec form and without a shell.";
    SecretBaked "KN021" "secret-baked" Medium: "the image carries a secret made when a package was installed",
        why "Package scripts generated this key or identity while the image was built. Everyone who can pull the image has it, and all containers of the image share it: host keys prove nothing, and the encryption done with the key protects nothing.",
        example "medium KN021 /etc/ssh/ssh_host_ed25519_key: private host key in the image",
        remedy "Delete it in the build step that installs the package and let the deployment mount a secret; consider a published key as compromised. `--strip PATH` removes it from all layers if the app starts without it.";
    LowPort "KN022" "low-port" Info: "the app listens below 1024 and is not root",
        why "Ports below 1024 used to need root or a capability. The generated pod spec sets the safe sysctl `net.ipv4.ip_unprivileged_port_start`, so the app listens there as an ordinary user; outside Kubernetes the same setting or a higher port is needed.",
        example "info KN022 80/TCP: below 1024, the pod sets net.ipv4.ip_unprivileged_port_start",
        remedy "Nothing under the generated pod spec. If your cluster refuses the sysctl, configure the app to listen above 1023 and let the Service map the port.";
    ImageNamePlaceholder "KN023" "image-name-placeholder" Low: "the pod spec names no registry's image",
        why "The result was written to a directory or a file, so no registry reference of it is known. A pod spec with a placeholder cannot be applied as it is, and kiln does not guess where you will push the image.",
        example "low KN023 pod spec: image is `IMAGE`, written to oci:out",
        remedy "Push the image and put its reference into the pod spec, best by digest: the digest is printed and stands in the report.";
    ShadowedKept "KN024" "shadowed-kept" Low: "content that upper layers replaced or deleted stays in lower ones",
        why "At level `strip` layers are changed as little as possible, so that images with the same base go on sharing it. A file that an upper layer deletes or replaces stays in the lower layer's blob, where anyone who pulls the image can read it: old packages, and secrets that were removed too late.",
        example "low KN024 layer 0: 214 files, 12.4 MiB, are hidden by upper layers and still in the blob",
        remedy "Use level `distroless`, which takes them out of every layer. If one of them is a secret, change the secret as well.";
    EnvRedirect "KN025" "environment-redirect" Info: "an environment variable keeps the app from writing into its code",
        why "The software would write caches into its own directories, for instance byte code beside the modules, where the image is read-only and where a mount would hide the code. A variable tells it not to; the pod spec sets it.",
        example "info KN025 PYTHONDONTWRITEBYTECODE=1: byte code would be written beside the application's modules",
        remedy "Nothing. Where you deploy without the generated pod spec, set the variable there.";
    WritableFile "KN026" "writable-file" Medium: "a single file must be writable in a read-only directory",
        why "Evidence names one file to be written in a directory that otherwise has to stay as it is. A volume on the directory would hide its other files; a volume on the single file cannot be replaced by rename, which is how many programs write.",
        example "medium KN026 /etc/app/state.json: written, the other 14 files of /etc/app must stay",
        remedy "Configure the app to write elsewhere, best into a directory of its own below /var or /run. Where the app only rewrites the file in place, mount a single file.";
    PackagesUnsupported "KN027" "packages-unsupported" Medium: "the image's package database allows level `strip` only",
        why "Level `distroless` removes what nothing leads to, package by package. That needs to know which file belongs to which package, and what packages load by name while they run. rpm's database is read and filtered where it is in SQLite, but the names are known for Debian and Alpine only; one in Berkeley DB or ndb, too large, broken, or with changes left in a write-ahead log is not read at all, and scanners go on reporting packages whose files are gone.",
        example "medium KN027 rpm: what its packages load by name is not known: hardened at level `strip`, which removes what the catalog names and filters the package list",
        remedy "Ask for `--level strip`, which is what happens in any case, or base the image on Debian or Alpine. Where the message says that the package list still names all, treat a scanner's list with care; `rpmdb --rebuilddb` in the image's build makes a database that can be read.";
    ScriptNotDirect "KN028" "script-not-direct" Info: "scripts stay whose first line names a program that went",
        why "These scripts begin with `#!` and a program that is a catalogued tool and goes: usually `/usr/bin/env`, or the interpreter itself where another program brings its own (uWSGI, mod_wsgi). They are kept because something loads them as modules or runs them as an interpreter's argument, which works as before; started by their own name they fail.",
        example "info KN028 3 scripts: /app/a, /app/b, /app/c begin with a program that went: nothing starts them by name any more, as modules and as arguments of an interpreter they work",
        remedy "Nothing, if the app does not start them by name. Otherwise name an interpreter that stays in their first line, or keep the program with `--keep`.";
    InterpreterUnknown "KN029" "interpreter-unknown" Medium: "the app runs in an interpreter that no recipe knows",
        why "Scripts load modules by name while they run, from packages that nothing in the image says they need. Without a recipe that names the directories of these modules, removing what nothing leads to would remove some of them, so only what the catalog names goes.",
        example "medium KN029 /usr/bin/perl: no recipe says where its modules stand: everything but catalogued tools stays",
        remedy "Write a recipe that names the interpreter and its directories of plugins (`kiln recipe show python` is an example) and give it with `--recipe FILE`.";
    RecipeNone "KN030" "recipe-none" Low: "no recipe knows the program",
        why "What a program writes, loads by name and listens on is partly known from its recipe. Without one kiln relies on what every image says: volumes, units, owners of directories, paths in the program's bytes. A path that the program makes up while it runs is then missing from the manifest.",
        example "low KN030 /usr/sbin/php-fpm8.2: no recipe knows it: what it writes is guessed from the image alone",
        remedy "Start the image under the generated pod spec and look for `Read-only file system` in its log; `--writable DIR` declares what is missing, a recipe of your own (`--recipe FILE`) says it for every image.";
    LookAlike "KN033" "look-alike" Low: "a tool went that was there under another name",
        why "The file's name says nothing of what it is: its bytes have the marks of a catalogued tool, or it is a copy or a hard link of one. Somebody put it there, for a health check, as a convenience or to have a way back in, and whatever starts it by that name finds nothing now.",
        example "low KN033 /usr/local/bin/healthcheck: is busybox by its content, and went as that",
        remedy "Find out who put it there. If the app starts it, let it use something that is no shell; `--keep PATH` keeps the file, knowing what it is.";
    LookAlikeStays "KN034" "look-alike-stays" Medium: "a tool stays under another name",
        why "The file's name says nothing of what it is: its bytes have the marks of a catalogued tool, or it is a copy or a hard link of one. It stays because something that is kept leads to it, and a check by names alone does not see it.",
        example "medium KN034 /app/bin/run: it is a copy of /usr/bin/dash, and `--keep /app/bin/run`",
        remedy "Read the reason in the report. If the app does not need what leads there, remove that with `--strip GLOB`; if an interpreter stands there under the app's own name, nothing is to be done.";
    MultiCallStays "KN035" "multi-call-stays" High: "a program stays that is many programs in one file",
        why "busybox, toybox and single-file coreutils do what the name says that they are started as, or their first argument. One name is kept because the app needs it, and with it comes every applet in the file, a shell and downloaders among them: whoever can start a program with arguments of his own (`httpd` as argv[0] is a choice of the caller) has them all, though no link is left.",
        example "high KN035 /bin/httpd: it is busybox by its content, and it is the program that the image is for; busybox is many programs in one file and runs the one that its first words name, 304 of them by the names it had here: ash, cat, sh and more",
        remedy "Use a program that does one thing: a real HTTP server, or busybox built with that applet alone. The report lists the applets that are known.";
    VariablesFrozen "KN036" "variables-frozen" Medium: "variables that the replaced script read change nothing any more",
        why "The script that the image started with read these variables at each start and set the software up by them. The image sets none of them, so the hardened one starts what the script would have started without; but it starts without the script, and a deployment that sets one is not heard.",
        example "medium KN036 /docker-entrypoint.sh: it read NGINX_ENVSUBST_TEMPLATE_DIR at each start, and is not started any more: a deployment that sets one for it has to set it in the image before it is hardened",
        remedy "Nothing, if no deployment of the image sets one of them. Otherwise set it in the image (`ENV`), bake what it configures into the image's configuration, or use a variable or a flag that the software reads itself.";
    UserUnknown "KN037" "user-unknown" Medium: "the image names a user that it does not have",
        why "The config's `USER` is in none of the image's account files, so no runtime starts the source image. kiln runs it as somebody else, and what the image's author prepared for that user (owners of files, a home) does not fit.",
        example "medium KN037 ghost: the image asks for this user, and user `ghost` is not in the image's passwd: the pod runs as 65532:65532",
        remedy "Add the account in the image's build, or name a numeric user: in the image, or with `--user UID[:GID]`.";
    NeedsRoot "KN038" "needs-root" High: "a setting needs root at the start",
        why "The software carries this setting out while it starts, with rights that only root has, and ends where it cannot. A hardened image never runs as root.",
        example "high KN038 /etc/haproxy/haproxy.cfg:4: `chroot /var/lib/haproxy` needs root, and the app does not start as root: take it out, the container confines the app already",
        remedy "Take the setting out of the configuration in the image's build.";
    RecipeCaveat "KN039" "recipe-caveat" Medium: "the software needs something that no pod spec can give it",
        why "The recipe of this software knows something that fails in a hardened container and that neither the image's bytes nor the pod spec can mend: its author or whoever deploys it has to see to it.",
        example "medium KN039 /tmp: Ruby takes no temporary directory that everybody may write and that has no sticky bit, which is what an `emptyDir` is; let the application make a directory of its own",
        remedy "Do what the finding says; where that is done already, nothing.";
    LoopbackOnly "KN040" "loopback-only" Medium: "a port is bound to loopback only",
        why "A pod has one network namespace, but the kubelet's probes and all clients come from outside it. What listens on 127.0.0.1 only answers none of them, and the pod never becomes ready.",
        example "medium KN040 6379: /etc/redis/redis.conf:139 (port 6379) is listened on at 127.0.0.1 only: no probe and no client outside the pod reaches it",
        remedy "Let the app listen on all addresses (`0.0.0.0`, `::`), by its configuration or a flag, and limit who may connect with a NetworkPolicy.";
    ConfigUnknown "KN041" "configuration-unknown" Low: "a configuration file or value could not be read",
        why "What the app writes and where it listens is told by its configuration. A file that the image does not have, that is too large, or a value that is only known at run time leaves a gap in what kiln predicts.",
        example "low KN041 /etc/app/app.conf: the command line names it as a configuration file, but the image has none there",
        remedy "Name what is written there with `--writable`, or put the file into the image.";
    WritableRefused "KN042" "writable-refused" Medium: "a directory that must be writable cannot be a volume",
        why "A volume over the system's directories or over code hides what the app needs to start; a writable one lets an intruder replace it.",
        example "medium KN042 /: recipe redis (`dir` is not set; compiled in: ./) needs it to be writable, but it cannot be a volume: it is one of the system's own directories",
        remedy "Let the app write elsewhere: a flag, a variable, its configuration, or another working directory.";
    WritableHidesDirectories "KN043" "writable-hides-directories" Low: "a volume hides empty directories of the image",
        why "An empty directory in an image is there for a reason. A fresh volume does not have it, and some apps do not make it themselves. Where no recipe and no configuration tells of the volume, kiln's helper makes the directory there, if it knows the architecture; otherwise this says what to look for.",
        example "low KN043 /var/spool/app: the volume hides empty directories of the image: in, out",
        remedy "If the app fails without one, declare it too: `--writable /var/spool/app/in`.";
    PackagesBroken "KN045" "packages-broken" Medium: "the image's package database is cut or broken",
        why "Which package a file belongs to decides at level `distroless` what goes. Where the database has lost that, kiln takes the file for the application's and keeps it: the image works, and is larger than it need be. A scanner does not see what the database has lost either.",
        example "medium KN045 package database: `/var/lib/dpkg/status` ends in the middle of a line: files of which no package is known are taken for the application's, and stay",
        remedy "Build the image anew: an interrupted `apt-get` or a copied part of a file system leaves such a database.";
    DirectoryTooBroad "KN046" "directory-too-broad" Info: "the command line names a directory that all kinds of packages share",
        why "What stands in a directory that the command line names is kept, for the program will look there. A directory such as `/usr/share` or `/etc` holds files of every package, though, and an argument that names it is about few of them. Which ones is not to be seen in the image, so it keeps nothing.",
        example "info KN046 /usr/share: the command line names it (`/usr/share`), and packages of all kinds put files there: what nothing else leads to went; name what the program reads there with `--keep GLOB`",
        remedy "Nothing, if the program only looks at the directory. If it reads files there, keep those with `--keep GLOB`, or name a narrower directory on the command line.";
    StartUncertain "KN047" "start-uncertain" High: "what the entrypoint starts is not certain",
        why "What may go depends on what runs. A supervisor starts what its own files name, a launcher that kiln does not know what its arguments name, a script with several programs one of them or all. What such a program needs beside its libraries (modules, configuration, tools) cannot be told, so the image is hardened at level `strip`: everything but catalogued tools stays, and of these what kiln sees named.",
        example "high KN047 /usr/bin/supervisord: it starts the programs that its configuration names, and no word of the command line says what: everything but catalogued tools stays",
        remedy "Start the program itself as the entrypoint, one per container. If that cannot be, test the hardened image well, and name tools that are missing with `--keep GLOB`.";
    UsedInRunsOnly "KN048" "used-in-runs-only" Medium: "of the distribution only what the watched runs used is left",
        why "Level `minimal` keeps of the distribution's packages the programs and libraries that were used while the app was watched, what these need, and the data of the packages that the app is made of. A run shows one way through a program. Another one (a request of another kind, an error, a signal, the first day of a month) may start a program, load a plugin or read a file of a library's package that none of the runs did, and that is gone.",
        example "medium KN048 /usr/sbin/nginx: what stays is what it used in 2 runs that nothing but the probe drove: a way through the app that none of them took may miss a file",
        remedy "Let the runs do what the app does in production: `--exercise` drives it, and several profiles of `kiln trace` are united by `--profile`. Name with `--keep GLOB` what is missing, or use level `distroless`, which keeps packages whole. `kiln verify --run` with the same exercises shows whether the image serves.";
    FileBaked "KN049" "file-baked" Low: "a file that the start-up script writes is in the image",
        why "The script that the image started with wrote this file at each start, and the server reads it or may read it. It wrote the same bytes in runs with other names, addresses, process numbers, limits of open files, numbers of processors (where the machine has several) and times, those runs were given no variable, and kiln saw it ask nothing of the day or of the machine: so the file is in the hardened image from the beginning, without write bits, and the script is not needed for it. What is in it cannot be set by a variable of the pod any more.",
        example "low KN049 /etc/nginx/conf.d/default.conf: `/usr/bin/envsubst` wrote it alike in 2 runs: these 117 bytes (sha256:8f1a…) are in the image, and nobody writes them at a start any more; it may hold the image's SITE_NAME, which a pod that sets it does not change any more",
        remedy "Look at the file in the profile. If a deployment sets something that it should hold, set that in the image (`ENV`) before it is hardened, or mount the file from a ConfigMap. `--strip PATH` leaves a file out that the server does not need.";
    SourcePrepares "KN050" "source-prepares" Low: "an init container of the source image runs before the app",
        why "The source's script makes something that the app needs and that no image should hold: data of a first start, an identity, files with values of the moment. Hardened, the app starts without that script. So the pod has an init container of the source image, which runs the script with a command that ends instead of serving: as the app's user, with the app's volumes and no more rights, before each start of the pod. It was tried: it ended, also a second time, what the app reads of it was there, and the app served. As long as it runs, the shell and the tools of the source are in the pod, beside nothing that serves.",
        example "low KN050 /entry.sh postgres -C data_directory: the source image makes with it what the app needs, before each start of the pod: /var/lib/pgdata/data/PG_VERSION, /var/lib/pgdata/data/postgresql.conf and 964 more; the pod needs both images",
        remedy "Nothing, if the cluster has the source image under the name in the pod (`--pod-source-image`). Variables that the script reads are set on that container. With a persistent volume in place of the `emptyDir` the script finds at the second start what it left; whether it minds was tried once. What it did at each start of the app it does at each start of the pod. To do without, fill the volume by a job, and leave the init container out.";
    AttestationLeftOut "KN060" "attestation-left-out" Low: "an attestation of the source's index is not in the hardened one",
        why "An index can hold what was said of its images: where they were built, what is in them. Such a statement names the digests of the source's images. Copied beside the hardened ones it would look as if it held for them, and it does not.",
        example "low KN060 sha256:203c12be4d5d506b0d86d0f3fc630f4918d0e2364ebe01ae7dcdfc2f2d94a002: attestation or other artifact of the source's index: it is about bytes that the hardened image does not have",
        remedy "Nothing. Whoever needs the source's provenance finds the source by the digest in the label `dev.kiln.source.digest`; attest the hardened image after it was made.";
    PlatformLeftOut "KN061" "platform-left-out" Low: "an image of the source's index is not in the hardened one",
        why "With `--platform all` kiln hardens the Linux images of an index. One for another system, one that the index names but the place does not hold, and a second one for the same platform are left out, so that the hardened index holds hardened images only. Machines of that platform cannot run the result.",
        example "low KN061 windows/amd64: sha256:203c12be4d5d506b0d86d0f3fc630f4918d0e2364ebe01ae7dcdfc2f2d94a002 is not for Linux and not in the hardened index",
        remedy "Nothing, if you do not run it there. Where the image is not stored with the index, copy the source with all its platforms (`skopeo copy --all`).";
    PlatformsDisagree "KN062" "platforms-disagree" Medium: "the images of an index need different things of their pod",
        why "One pod spec serves all platforms, and their images are not alike in what they write, listen on or run as. The pod spec takes the union: every volume, port and variable that one of them needs, no user where they differ. A volume that only one of them needs hides what another has at that path.",
        example "medium KN062 /var/cache/app: writable on linux/arm64 and not on linux/amd64: the pod spec has a volume there for all, which hides what an image without the declaration has there",
        remedy "Make the images alike in their build, or name what is missing for all with `--writable DIR` or `--user USER`. Otherwise harden them one by one (`--platform OS/ARCH`) and deploy each with its own pod spec.";
    AlreadyHardened "KN063" "already-hardened" Info: "kiln hardened the image before, and it is passed on as it is",
        why "An image that was hardened and still is what it says needs nothing more. It is not believed for its labels: the promises that an image proves by itself (H1, H2, H3, H9, H10) were checked on its bytes. Hardened again, it would lose what only its source knows: its volumes and what its script started.",
        example "info KN063 sha256:5bc59ddbd67fae9b56b340c03f8b34d4fb815d107e5f1da323c51c3b50cbace6: kiln 0.1.0 hardened it, and what it promises holds: it is passed on as it is, with the same digest",
        remedy "Nothing. To harden with other options, harden the image's source: the label `dev.kiln.source.digest` names it. `kiln verify IMAGE --against SOURCE` checks the promises that need the source.";
    HardenedClaimFalse "KN064" "hardened-claim-false" Medium: "the image says that kiln hardened it, and that does not hold",
        why "The labels of a hardened image are in it, and what the image promises is not true: it was built upon, edited, or the labels were copied from another image. Whoever trusts the labels is deceived. The image is hardened as any other, but what its first hardening took away and its manifest knew, such as volumes, is not found again.",
        example "medium KN064 dev.kiln.version: the image says that kiln 0.1.0 hardened it, but H3 does not hold (/etc/app.conf: has a write bit and is no declared writable path: mode 0664): it is hardened as any other image",
        remedy "Find out who changed the image: `kiln verify IMAGE` names all that does not hold. Build on the source and harden the result; where the base has to be a hardened image, name what the app writes with `--writable`.";
    WritableSeeded "KN065" "writable-seeded" Info: "a path that must be writable is filled at start",
        why "The app must write here, and Kubernetes copies nothing from the image into a volume. The pod therefore has an init container that runs `/.kiln/seed`, a static program of some kilobytes without arguments, shell or library: it copies the image's content into the volume, as the app's own user, with the modes of the source. For processors that kiln has no helper for the container is of the source image instead, whose own shell and `cp` do the same; of two pods that share a claim the second waits there only where the source has `flock`, and else may have to be started again. The image's own files stay read-only. A volume that was filled before is left as it is. One that holds something else is refused, and the pod does not start: an app on a fresh copy would not see it.",
        example "info KN065 /var/lib/mysql: an init container copies its 149 files with 127926272 bytes to its volume: what the app writes there is lost with the pod, unless the volume is a claim",
        remedy "Replace the `emptyDir` by a claim where the data must outlive the pod, and give it the user's group by `fsGroup`, with `fsGroupChangePolicy: OnRootMismatch`, without which the kubelet opens all files to the group at every start; keep both mounts and the `subPath`. Data that is to be restored goes into the directory `tree` of the claim. All pods begin with the same content, passwords and identities that an installation made included: see the findings about secrets.";
    WritableLinked "KN066" "writable-linked" Info: "a file that is written became a link into a volume",
        why "The app wrote this file while it was watched, and no volume can stand in its directory: it holds code, or is one of the system's. The hardened image has a symbolic link there, to a file of the same content in a volume, which `/.kiln/seed` copies before the app starts. Whoever reads or writes the file does not notice; who renames, removes or locks it by a second link would, and of such files this is not done; one that is made with the demand that it be new is not made through a link.",
        example "info KN066 /app/app.log: /usr/bin/python3 wrote there while it was watched, and its directory cannot be a volume (it holds code: /app/main.py): it is a link to /.kiln/files/app/app.log now",
        remedy "Nothing. To be rid of the link, let the app write to a directory of its own.";
    WritableCode "KN067" "writable-code" Medium: "code is copied to a volume, where it can be changed",
        why "A directory that must be writable has code in it: files whose names say so (`--writable` asked for such a directory, or a repeated hardening whose app did not start without it), or files that somebody may execute. It is copied to a volume that the app can write, so that whoever gets into the app can change what it runs, until the pod ends, or longer where the volume is a claim.",
        example "medium KN067 /srv/www: /srv/www/index.php is code, and can be changed in the volume by whoever gets into the app, as long as the volume lives: `--writable` asked for that",
        remedy "Let the app write to a directory without code, and declare that one. Take the right to execute from files that are data (`chmod a-x` in the image's build).";
    SeedIncomplete "KN068" "seed-incomplete" Medium: "a file is not copied to a volume, for the user cannot read it",
        why "The app's directory is filled at start as the app's own user. A file or directory in it belongs to somebody else who alone may read it, and the app ran as its user before, too: it could not read it then, and is not given it now. In the image's own directory it was there all the same; in the volume it is not, so that an app that only looks whether it is there, or counts on another to read it, finds a difference.",
        example "medium KN068 /data: the volume is without /data/secret: the user could not read that in the source, and is not given what is another's",
        remedy "Remove what is another's from the directory in the image's build, or give it to the app's user or group there if the app is to have it.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_empty_and_examples_look_like_findings() {
        for code in Code::ALL {
            let doc = code.doc();
            for text in [doc.title, doc.why, doc.example, doc.remedy] {
                assert!(!text.trim().is_empty() && text.trim() == text, "{}", doc.id);
            }
            for text in [doc.why, doc.remedy] {
                assert!(text.ends_with('.'), "{}: {text}", doc.id);
            }
            let start = format!("{} {} ", doc.severity, doc.id);
            assert!(doc.example.starts_with(&start), "{}: {}", doc.id, doc.example);
            assert!(doc.example.contains(": ") && !doc.example.ends_with('.'), "{}", doc.id);
        }
    }

    #[test]
    fn ids_and_names_are_unique_and_ids_are_in_order() {
        let ids: Vec<&str> = Code::ALL.iter().map(|code| code.doc().id).collect();
        assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
        let mut slugs: Vec<&str> = Code::ALL.iter().map(|code| code.doc().slug).collect();
        slugs.sort_unstable();
        assert!(slugs.is_sorted_by(|one, next| one < next), "{slugs:?}");
        for slug in slugs {
            assert!(slug.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{slug}");
        }
    }

    #[test]
    fn codes_are_found_by_id_and_by_name() {
        for code in Code::ALL {
            assert_eq!(Code::parse(code.doc().id), Some(*code));
            assert_eq!(Code::parse(&code.doc().slug.to_uppercase()), Some(*code));
        }
        assert_eq!(Code::parse("KN000"), None);
        assert!(Code::ALL.iter().any(|code| code.doc().severity == Severity::High));
    }
}
