# suite: all
# MariaDB as Debian ships it: the package's installation made a data directory, which a volume would hide.
from debian
apt mariadb-server
run 'install -d -o mysql -g root -m 755 /run/mysqld'
config cmd mariadbd cmd --bind-address=0.0.0.0 user mysql exposedports 3306/tcp
