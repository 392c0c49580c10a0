# suite: all
# etcd as Debian ships it, one member that listens for the network.
from debian
apt etcd-server
config cmd etcd cmd --data-dir cmd /var/lib/etcd/default cmd --listen-client-urls cmd http://0.0.0.0:2379 \
    cmd --advertise-client-urls cmd http://localhost:2379 user etcd workingdir /var/lib/etcd exposedports 2379/tcp
