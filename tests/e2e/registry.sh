# Debian's docker-registry on a port of its own, and what its access log says. Sourced, never run.
#
# Wants $work, a directory, and `services`, an array of processes that whoever sources this ends; for `start tls` a key and a
# certificate in $work/tls.key and $work/tls.crt, for `start password` $work/htpasswd.

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# start NAME: a registry of its own, empty; sets `port`.
start() {
    local name=$1 scheme=http
    port=$(free_port)
    {
        printf 'version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: %s\n' "$work/storage-$name"
        printf 'http:\n  addr: 127.0.0.1:%s\n' "$port"
        case $name in
            tls)
                scheme=https
                printf '  tls:\n    certificate: %s\n    key: %s\n' "$work/tls.crt" "$work/tls.key"
                ;;
            password) printf 'auth:\n  htpasswd:\n    realm: test\n    path: %s\n' "$work/htpasswd" ;;
        esac
    } >"$work/$name.yml"
    docker-registry serve "$work/$name.yml" >"$work/$name.log" 2>&1 &
    services+=($!)
    local waited=0
    until curl --silent --insecure --output /dev/null "$scheme://127.0.0.1:$port/v2/"; do
        waited=$((waited + 1))
        [ $waited -lt 150 ] || { tail "$work/$name.log" >&2; die "the registry did not start"; }
        sleep 0.2
    done
}

# Requests of a kind in the registry's access log, from its line $2 on.
requests() { tail -n "+$2" "$work/$1.log" | grep -cE "^127\.0\.0\.1 .*\"($3) /v2/" || true; }
lines() { wc -l <"$work/$1.log"; }
