# nginx with its logs linked to the container's output, as the official image has it: needs no mount for logs.
from nginx
run 'ln -sf /dev/stdout /var/log/nginx/access.log; ln -sf /dev/stderr /var/log/nginx/error.log'
config cmd nginx cmd -g cmd 'daemon off;'
