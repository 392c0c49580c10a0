# Python where its official image has it: `python` below /usr/local, no account but root, a prompt for a command. SIGINT because the
# interpreter as process 1 ignores SIGTERM.
# suite: manifests
from debian
apt python3
run 'ln -s /usr/bin/python3 /usr/local/bin/python3; ln -s python3 /usr/local/bin/python'
config cmd python3 stopsignal SIGINT
