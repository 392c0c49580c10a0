# An application as manifests name it without saying what it is: answers on 8080, reads its configuration, needs `/tmp`.
# suite: manifests
from python-upstream
run 'mkdir -p /opt/app /app/config
cat >/opt/app/app.py <<"PYTHON"
"""Answers every path on port 8080 with what it was configured with, and keeps the answer in a file below /tmp."""
import http.server
import os
import pathlib
import signal
import sys
import tempfile


def configuration():
    lines = [f"{name}={os.environ[name]}" for name in sorted(os.environ) if name.startswith(("APP_", "LOG_", "DB_"))]
    for directory in ("/app/config", "/etc/app", "/etc/tls"):
        for path in sorted(pathlib.Path(directory).glob("*")):
            lines.append(f"{path}: " + path.read_text(encoding="utf-8").strip())
    return lines


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        answer = ("; ".join(["hello", *configuration()]) + "\n").encode()
        with tempfile.TemporaryFile() as scratch:
            scratch.write(answer)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(answer)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
PYTHON'
config entrypoint python entrypoint /opt/app/app.py exposedports 8080/tcp stopsignal SIGTERM
