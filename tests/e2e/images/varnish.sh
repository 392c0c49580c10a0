# suite: trace
# Varnish, which compiles its configuration when it starts: with a shell and a C compiler, while it serves.
from debian
apt varnish gcc libc6-dev
source=$cache/varnish
mkdir -p "$source"
cat >"$source/docker-varnish-entrypoint" <<'SCRIPT'
#!/bin/sh
set -e
if [ $# = 0 ] || [ "${1#-}" != "$1" ]; then
    set -- varnishd -F -f /etc/varnish/default.vcl -a "http=:${VARNISH_HTTP_PORT:-80},HTTP" -s "malloc,$VARNISH_SIZE" "$@"
fi
exec "$@"
SCRIPT
copy "$source" /usr/local/bin
run 'chmod 755 /usr/local/bin/docker-varnish-entrypoint
printf "vcl 4.1;\nbackend default none;\nsub vcl_recv { return (synth(200, \"hello from varnish\")); }\n" >/etc/varnish/default.vcl'
config entrypoint docker-varnish-entrypoint env VARNISH_SIZE=16M workingdir /etc/varnish exposedports 80/tcp
