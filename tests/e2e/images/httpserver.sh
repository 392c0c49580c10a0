# Python's own web server; SIGINT because the interpreter as process 1 ignores SIGTERM.
from debian
apt python3
run 'mkdir -p /srv/www; echo "hello from http.server" >/srv/www/index.html'
config cmd python3 cmd -m cmd http.server cmd 8000 workingdir /srv/www exposedports 8000/tcp stopsignal SIGINT
