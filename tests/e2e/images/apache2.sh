# Apache httpd started through Debian's apachectl, a shell script that sets its environment.
# suite: all
from debian
apt apache2
run 'echo "<h1>hello from apache</h1>" >/var/www/html/index.html; a2enmod -q rewrite headers'
config cmd apachectl cmd -D cmd FOREGROUND exposedports 80/tcp stopsignal SIGWINCH
