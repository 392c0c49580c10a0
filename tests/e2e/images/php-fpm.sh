# suite: all
# PHP's process manager with its log on the output and its port for the network, as an author has to configure it.
from debian
apt php8.2-fpm
run "sed -i 's|^error_log = .*|error_log = /proc/self/fd/2|' /etc/php/8.2/fpm/php-fpm.conf
sed -i -e 's|^listen = .*|listen = 9000|' -e 's|^;clear_env = .*|clear_env = no|' /etc/php/8.2/fpm/pool.d/www.conf
install -d -o www-data -g www-data /run/php
mkdir -p /srv/app
cat >/srv/app/index.php <<'PHP'
<?php
session_start();
\$_SESSION['seen'] = (\$_SESSION['seen'] ?? 0) + 1;
\$file = tempnam(sys_get_temp_dir(), 'app');
file_put_contents(\$file, 'x');
unlink(\$file);
echo 'hello from php ', PHP_VERSION;
PHP"
config cmd php-fpm8.2 cmd -F workingdir /srv/app exposedports 9000/tcp stopsignal SIGQUIT
