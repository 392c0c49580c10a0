# suite: all
# Prometheus as Debian ships it, scraping itself.
from debian
apt prometheus
config cmd prometheus cmd --config.file=/etc/prometheus/prometheus.yml \
    cmd --storage.tsdb.path=/var/lib/prometheus/metrics2/ user prometheus workingdir /var/lib/prometheus \
    exposedports 9090/tcp
