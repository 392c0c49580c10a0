# nginx as Debian ships it: logs into /var/log/nginx, temporary files into /var/lib/nginx, listens on 80.
from debian
apt nginx
run 'echo "<h1>hello from nginx</h1>" >/var/www/html/index.html'
config cmd nginx cmd -g cmd 'daemon off;' exposedports 80/tcp stopsignal SIGQUIT
