# nginx where its makers' packages have it: sites in /etc/nginx/conf.d, temporary files below /var/cache/nginx, an account of its
# own with the number 101, logs linked to the output, and an entrypoint that runs scripts before it.
# suite: manifests
from debian
apt nginx
run 'groupadd --system --gid 101 nginx
useradd --system --uid 101 --gid 101 --home-dir /nonexistent --no-create-home --shell /bin/false nginx
rm -rf /etc/nginx/sites-* /etc/nginx/modules-* /etc/nginx/snippets /var/lib/nginx
mkdir -p /etc/nginx/conf.d /var/cache/nginx /usr/share/nginx/html /docker-entrypoint.d
cat >/etc/nginx/nginx.conf <<"CONF"
user  nginx;
worker_processes  auto;

error_log  /var/log/nginx/error.log notice;
pid        /var/run/nginx.pid;

events {
    worker_connections  1024;
}

http {
    include       /etc/nginx/mime.types;
    default_type  application/octet-stream;
    log_format  main  "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent";
    access_log  /var/log/nginx/access.log  main;
    client_body_temp_path  /var/cache/nginx/client_temp;
    proxy_temp_path        /var/cache/nginx/proxy_temp;
    fastcgi_temp_path      /var/cache/nginx/fastcgi_temp;
    uwsgi_temp_path        /var/cache/nginx/uwsgi_temp;
    scgi_temp_path         /var/cache/nginx/scgi_temp;
    sendfile        on;
    keepalive_timeout  65;
    include /etc/nginx/conf.d/*.conf;
}
CONF
cat >/etc/nginx/conf.d/default.conf <<"CONF"
server {
    listen       80;
    server_name  localhost;
    location / {
        root   /usr/share/nginx/html;
        index  index.html index.htm;
    }
}
CONF
echo "<h1>Welcome to nginx!</h1>" >/usr/share/nginx/html/index.html
ln -sf /dev/stdout /var/log/nginx/access.log
ln -sf /dev/stderr /var/log/nginx/error.log
cat >/docker-entrypoint.d/10-ipv6.sh <<"SCRIPT"
#!/bin/sh
if ! touch /etc/nginx/conf.d/default.conf 2>/dev/null; then
    echo "$0: the default site cannot be changed (read-only file system?)"
    exit 0
fi
grep -q "\[::\]" /etc/nginx/conf.d/default.conf || sed -i "s/listen       80;/listen       80;\n    listen  [::]:80;/" /etc/nginx/conf.d/default.conf
SCRIPT
cat >/docker-entrypoint.sh <<"SCRIPT"
#!/bin/sh
set -e
for script in /docker-entrypoint.d/*.sh; do
    [ ! -x "$script" ] || "$script"
done
exec "$@"
SCRIPT
chmod 755 /docker-entrypoint.sh /docker-entrypoint.d/10-ipv6.sh'
config entrypoint /docker-entrypoint.sh cmd nginx cmd -g cmd 'daemon off;' exposedports 80/tcp stopsignal SIGQUIT
