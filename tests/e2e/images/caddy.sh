# suite: all
# Caddy as Debian ships it, on a port above 1023, as its own account.
from debian
apt caddy
run "sed -i 's/^:80 /:8080 /' /etc/caddy/Caddyfile"
config cmd caddy cmd run cmd --config cmd /etc/caddy/Caddyfile user caddy workingdir /srv exposedports 8080/tcp
