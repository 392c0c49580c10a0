# redis with Debian's own configuration, opened to the network by its author.
from debian
apt redis-server
run "sed -i -e 's/^bind .*/bind 0.0.0.0/' -e 's/^protected-mode .*/protected-mode no/' -e 's/^logfile .*/logfile \"\"/' /etc/redis/redis.conf"
config cmd redis-server cmd /etc/redis/redis.conf cmd --daemonize cmd no exposedports 6379/tcp volume /var/lib/redis
