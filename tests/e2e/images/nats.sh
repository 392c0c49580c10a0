# suite: all
# NATS as Debian ships it, opened to the network by its author.
from debian
apt nats-server
run "sed -i 's/^host: .*/host: 0.0.0.0/' /etc/nats-server.conf"
config cmd nats-server cmd -c cmd /etc/nats-server.conf user nats exposedports 4222/tcp
