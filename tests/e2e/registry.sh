# Debian's docker-registry on a port of its own, and what its access log says. Sourced, never run.
#
# Wants $work, a directory, and `services`, an array of processes that whoever sources this ends; for `start tls` a key and a
# certificate in $work/tls.key and $work/tls.crt, for `start password` $work/htpasswd.

free_port() { /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# start NAME: a registry of its own, empty; sets `port`.
start() {
    local name=$1 scheme=http try
    [ "$name" != tls ] || scheme=https
    # Somebody else may take the port before it does, and answer in its place.
    for try in 1 2 3; do
        port=$(free_port)
        configured "$name" >"$work/$name.yml"
        docker-registry serve "$work/$name.yml" >"$work/$name.log" 2>&1 &
        services+=($!)
        ! answers "$scheme://127.0.0.1:$port/v2/" $! "$work/$name.log" || return 0
        kill $! 2>/dev/null || true
        wait $! 2>/dev/null || true
        unset 'services[-1]'
    done
    tail "$work/$name.log" >&2
    die "the registry did not start"
}

configured() {
    printf 'version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: %s\n' "$work/storage-$1"
    printf 'http:\n  addr: 127.0.0.1:%s\n' "$port"
    case $1 in
        tls) printf '  tls:\n    certificate: %s\n    key: %s\n' "$work/tls.crt" "$work/tls.key" ;;
        password) printf 'auth:\n  htpasswd:\n    realm: test\n    path: %s\n' "$work/htpasswd" ;;
    esac
}

# answers URL PROCESS LOG: whether that process listens, as its log says, and answers within 30 seconds.
answers() {
    local waited
    for ((waited = 0; waited < 150; waited++)); do
        if grep -q 'listening on' "$3" && curl --silent --insecure --output /dev/null "$1"; then return 0; fi
        kill -0 "$2" 2>/dev/null || return 1
        sleep 0.2
    done
    return 1
}

# Requests of a kind in the registry's access log, from its line $2 on.
requests() { tail -n "+$2" "$work/$1.log" | grep -cE "^127\.0\.0\.1 .*\"($3) /v2/" || true; }
lines() { wc -l <"$work/$1.log"; }
