# BusyBox with a shell and `cp`, for init containers that copy files.
# suite: manifests
from debian
apt busybox-static
run 'busybox --install -s /usr/local/bin'
config cmd sh
