# suite: all
# RabbitMQ as Debian ships it: shell scripts around Erlang, which runs shell commands while it serves, and a cookie that
# the installation made. The wrapper in /usr/sbin would stay in front and pass no signal on.
from debian
apt rabbitmq-server
config cmd /usr/lib/rabbitmq/bin/rabbitmq-server user rabbitmq workingdir /var/lib/rabbitmq exposedports 5672/tcp \
    volume /var/lib/rabbitmq env RABBITMQ_NODENAME=rabbit@localhost env RABBITMQ_LOGS=-
