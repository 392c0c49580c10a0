# suite: trace
# Squid behind a start-up script, as its images have one: it makes the cache's directories, then becomes the server.
from debian
apt squid
source=$cache/squid
mkdir -p "$source"
cat >"$source/entrypoint.sh" <<'SCRIPT'
#!/bin/sh
set -e
if [ ! -d /var/spool/squid/00 ]; then
    squid -N -z 2>/dev/null
fi
exec squid -N "$@"
SCRIPT
copy "$source" /usr/local/bin
run 'chmod 755 /usr/local/bin/entrypoint.sh
printf "cache_dir ufs /var/spool/squid 16 4 4\nhttp_access allow all\nshutdown_lifetime 1 seconds\n" >/etc/squid/conf.d/image.conf'
config entrypoint entrypoint.sh exposedports 3128/tcp
