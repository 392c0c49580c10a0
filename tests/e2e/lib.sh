# Shared by the shell scripts of the end-to-end suite: where things are, and installing what is missing.
# Sourced, never run.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$here/../.." && pwd)
cache=${KILN_E2E_CACHE:-$repo/target/e2e}
mkdir -p "$cache/layers" "$cache/run"
cache=$(cd "$cache" && pwd)
export KILN_E2E_CACHE=$cache
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
# Every check sees all of the work done: nothing is taken over from a run before.
export XDG_CACHE_HOME=/dev/null
# A shell's PATH may lack the directories of administrators' programs (runc, ip, chroot).
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# spread DIRECTORY…: on ext4, what is made in it lies in places of its own on the disk. Without a journal it makes files slowly
# where many were removed a moment ago, as images are here.
spread() { chattr +T "$@" 2>/dev/null || true; }
spread "$cache" "$cache/layers" "$cache/run"

need_root() {
    [ "$(id -u)" = 0 ] || die "must be run as root: it makes namespaces, mounts and files of other owners"
}

# apt_need COMMAND-OR-FILE:PACKAGE… installs the packages whose command (or absolute file) is missing.
apt_need() {
    local pair probe missing=()
    for pair in "$@"; do
        probe=${pair%%:*}
        case $probe in
            /*) [ -e "$probe" ] || missing+=("${pair#*:}") ;;
            *) command -v "$probe" >/dev/null || missing+=("${pair#*:}") ;;
        esac
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    need_root
    say "installing: ${missing[*]}"
    # Checks run side by side, and apt-get refuses to wait.
    (
        flock 8
        { apt-get -qq update && apt-get -qq -y install --no-install-recommends "${missing[@]}"; } >"$cache/apt.log" 2>&1
    ) 8>"$cache/apt.lock" || { tail -n 30 "$cache/apt.log" >&2; die "apt-get could not install: ${missing[*]}"; }
}

# pypi_need NAME VERSION: a package of PyPI with its programs, in $cache/NAME/bin.
pypi_need() {
    local name=$1 version=$2
    /usr/bin/python3 -c 'import ensurepip' 2>/dev/null || apt_need /nowhere:python3-venv
    # Checks run side by side: the first installs, the others wait.
    (
        flock 8
        [ "$(cat "$cache/$name/.version" 2>/dev/null)" != "$version" ] || exit 0
        say "installing: $name $version"
        rm -rf "${cache:?}/$name"
        /usr/bin/python3 -m venv "$cache/$name" \
            && "$cache/$name/bin/pip" --quiet --no-cache-dir install "$name==$version" >&2 \
            && printf '%s\n' "$version" >"$cache/$name/.version"
    ) 8>"$cache/$name.lock" || die "$name $version cannot be installed"
}

# The kiln under test: $KILN, or the release build of this tree.
kiln_binary() {
    if [ -n "${KILN:-}" ]; then
        printf '%s\n' "$KILN"
    else
        (cd "$repo" && cargo build --release --locked >&2) || die "cargo build --release failed"
        printf '%s\n' "${CARGO_TARGET_DIR:-$repo/target}/release/kiln"
    fi
}

# promises OUT SOURCE [OPTION…]: kiln finds no broken promise in what it made of SOURCE, by itself and against it.
promises() {
    local out=$1 source=$2
    shift 2
    local log=$cache/promises.$$.log
    "$kiln" verify "$out" "$@" >"$log" 2>&1 && "$kiln" verify "$out" --against "$source" "$@" >"$log" 2>&1 \
        || { cat "$log" >&2; die "$out: a false alarm, or a broken promise"; }
    rm "$log"
}
