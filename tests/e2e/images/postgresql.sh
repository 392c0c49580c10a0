# suite: all
# PostgreSQL as Debian ships it: the package's installation made a cluster, which a volume would hide.
from debian
apt postgresql
run "sed -i \"s/^#listen_addresses = .*/listen_addresses = '*'/\" /etc/postgresql/15/main/postgresql.conf
echo 'host all all all trust' >>/etc/postgresql/15/main/pg_hba.conf"
config cmd /usr/lib/postgresql/15/bin/postgres cmd -c cmd config_file=/etc/postgresql/15/main/postgresql.conf \
    user postgres exposedports 5432/tcp stopsignal SIGINT
