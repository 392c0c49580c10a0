# What an image script is written in: from, run, copy, config. Sourced by `build`.
#
# Every `run` and `copy` is one layer, as in a Dockerfile: an overlay over the layers below, whose upper directory
# becomes a tar with whiteouts. The layers' directories stay in the cache, so that an image can start `from` another.

suite=bookworm
mirror=${KILN_E2E_MIRROR:-http://deb.debian.org/debian}
store=$cache/images

# The image that a script starts from: its first line that is no comment.
parent_of() {
    sed -n '/^#/d; s/^from \([a-z0-9-]*\)$/\1/p; q' "$1"
}

# Bytes of every input of an image: this file, its own script, and the image it starts from.
stamp_of() {
    local script=$here/images/$1.sh parent
    parent=$(parent_of "$script")
    {
        cat "$here/images/lib.sh" "$here/images/upper2tar" "$script"
        [ "$parent" = debian ] || stamp_of "$parent"
    } | sha256sum | cut -d' ' -f1
}

# The root file system that every image starts with: like debian:bookworm-slim, made here.
base_tar() {
    local tar=$cache/base.tar
    [ -e "$tar" ] || {
        say "building the Debian base"
        # Services must not start while packages are installed; documentation is left out as in the slim images;
        # this machine's name and resolver are no part of an image.
        mmdebstrap --quiet --format=tar --variant=minbase \
            --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
            --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
            --customize-hook='rm -f "$1"/etc/resolv.conf; echo localhost >"$1"/etc/hostname' \
            --customize-hook='printf "#!/bin/sh\nexit 101\n" >"$1"/usr/sbin/policy-rc.d; chmod 755 "$1"/usr/sbin/policy-rc.d' \
            "$suite" "$tar.part" "$mirror" >&2
        mv "$tar.part" "$tar"
    }
    [ -d "$cache/layers/debian" ] || {
        rm -rf "$cache/layers/debian.part"
        mkdir -p "$cache/layers/debian.part"
        tar --numeric-owner --xattrs --xattrs-include='*' -xpf "$tar" -C "$cache/layers/debian.part"
        mv "$cache/layers/debian.part" "$cache/layers/debian"
    }
    printf '%s\n' "$tar"
}

# from debian | from IMAGE
from() {
    count=0
    rm -rf "$image" "$cache/layers/$name"
    mkdir -p "$cache/layers/$name" "$store"
    if [ "$1" = debian ]; then
        local tar
        tar=$(base_tar)
        umoci init --layout "$image"
        umoci new --image "$image:latest"
        umoci raw add-layer --image "$image:latest" --history.created_by "ADD rootfs.tar /" "$tar"
        lowers=$cache/layers/debian
        umoci config --image "$image:latest" --no-history --config.cmd bash \
            --config.env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    else
        cp -a "$store/$1" "$image"
        lowers=$(cat "$cache/layers/$1/lowers")
    fi
}

# Opens a layer: the merged tree is at $merged.
layer_begin() {
    count=$((count + 1))
    upper=$cache/layers/$name/$count
    scratch=$cache/layers/$name/scratch
    merged=$scratch/merged
    mkdir -p "$upper" "$scratch/work" "$merged"
    chmod 755 "$upper"
    mount -t overlay overlay -o "lowerdir=$lowers,upperdir=$upper,workdir=$scratch/work" "$merged"
}

# layer_end CREATED-BY: closes the layer and adds it to the image.
layer_end() {
    umount "$merged"
    "$here/images/upper2tar" "$upper" "$scratch/layer.tar"
    umoci raw add-layer --image "$image:latest" --history.created_by "$1" "$scratch/layer.tar"
    rm -rf "$scratch"
    lowers=$upper:$lowers
}

# run SCRIPT: a layer made by a shell inside the image, with the package caches of this suite mounted (as builders
# mount them), so that reruns download nothing.
run() {
    local archives=$cache/apt/archives lists=$cache/apt/lists
    mkdir -p "$archives/partial" "$lists/partial"
    layer_begin
    touch "$merged/etc/resolv.conf"
    mount --bind "$(readlink -f /etc/resolv.conf)" "$merged/etc/resolv.conf"
    mount --bind "$archives" "$merged/var/cache/apt/archives"
    mount --bind "$lists" "$merged/var/lib/apt/lists"
    mount -t proc proc "$merged/proc"
    mount --bind /dev "$merged/dev"
    local status=0
    chroot "$merged" /usr/bin/env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive ${http_proxy:+http_proxy="$http_proxy"} \
        /bin/sh -ec "$1" </dev/null >"$cache/$name.log" 2>&1 || status=$?
    umount "$merged/dev" "$merged/proc" "$merged/var/lib/apt/lists" "$merged/var/cache/apt/archives" \
        "$merged/etc/resolv.conf"
    rm -f "$merged/etc/resolv.conf"
    [ $status = 0 ] || { umount "$merged"; tail -n 30 "$cache/$name.log" >&2; die "$name: failed: $1"; }
    layer_end "RUN $1"
}

# apt PACKAGE…: a layer of Debian packages, as Dockerfiles install them.
apt() {
    # `apt-get clean` is not said: the mounted cache would be emptied.
    run "apt-get -qq update
apt-get -qq -y install --no-install-recommends $*
rm -f /var/cache/apt/*.bin /var/log/dpkg.log /var/log/apt/*"
}

# copy DIRECTORY DEST: a layer with a copy of what a host directory holds, owned by root.
copy() {
    layer_begin
    mkdir -p "$merged$2"
    cp -r "$1/." "$merged$2/"
    chown -R 0:0 "$merged$2"
    chmod -R u=rwX,go=rX "$merged$2"
    layer_end "COPY . $2"
}

# config OPTION…: options of `umoci config` without their `--config.`: config cmd nginx cmd -g
config() {
    local options=()
    while [ $# -gt 1 ]; do
        options+=("--config.$1" "$2")
        shift 2
    done
    # The base's `CMD bash` goes with the first `cmd` or `entrypoint` that is set, as builders do it.
    umoci config --image "$image:latest" --clear config.cmd "${options[@]}"
}
