# haproxy with a configuration of its author's: no change of root, its socket in the directory that systemd would make.
from debian
apt haproxy
source=$(mktemp -d)
cat >"$source/haproxy.cfg" <<'CFG'
global
    log stdout format raw local0
    stats socket /run/haproxy/admin.sock mode 660 level admin
    user haproxy
    group haproxy

defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s

frontend web
    bind :8080
    http-request return status 404 if { path /missing }
    http-request return status 200 content-type text/plain string "hello from haproxy"
CFG
copy "$source" /etc/haproxy
rm -rf "$source"
run 'install -d -o haproxy -g haproxy -m 2775 /run/haproxy'
config cmd haproxy cmd -W cmd -db cmd -f cmd /etc/haproxy/haproxy.cfg exposedports 8080/tcp stopsignal SIGUSR1
