# suite: trace
# MariaDB by its own script, which starts the server again when it dies and stays its parent.
from mariadb
umoci config --image "$image:latest" --clear config.cmd
config cmd mysqld_safe cmd --bind-address=0.0.0.0 user root
