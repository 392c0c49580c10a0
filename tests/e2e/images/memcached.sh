# memcached as Debian ships it, started as its own account.
from debian
apt memcached
config cmd memcached cmd -m cmd 64 user memcache exposedports 11211/tcp
