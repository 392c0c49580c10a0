# A server written in Go: Debian's docker-registry, with the packaged configuration opened by its author.
from debian
apt docker-registry
run "sed -i '/^auth:/,/path:/d' /etc/docker/registry/config.yml"
config cmd docker-registry cmd serve cmd /etc/docker/registry/config.yml exposedports 5000/tcp volume /var/lib/docker-registry
