# suite: trace
# Mosquitto with a start-up script that gives its directories away and then becomes what it is told to.
from debian
apt mosquitto
source=$cache/mosquitto
mkdir -p "$source"
cat >"$source/docker-entrypoint.sh" <<'SCRIPT'
#!/bin/sh
set -e
if [ "$(id -u)" = 0 ] && [ -d /mosquitto ]; then
    chown -R mosquitto:mosquitto /mosquitto/data /mosquitto/log
fi
exec "$@"
SCRIPT
copy "$source" /
run 'chmod 755 /docker-entrypoint.sh
mkdir -p /mosquitto/config /mosquitto/data /mosquitto/log
printf "listener 1883\nallow_anonymous true\npersistence true\npersistence_location /mosquitto/data/\nlog_dest stdout\n" >/mosquitto/config/mosquitto.conf'
config entrypoint /docker-entrypoint.sh cmd mosquitto cmd -c cmd /mosquitto/config/mosquitto.conf \
    volume /mosquitto/data volume /mosquitto/log exposedports 1883/tcp
