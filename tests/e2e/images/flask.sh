# A Flask application in a virtual environment under gunicorn, run as a user of its own (by name).
from debian
apt python3 python3-venv
wheels=$cache/wheels
[ -e "$wheels/.complete" ] || {
    pip download --quiet --dest "$wheels" --only-binary=:all: --python-version 3.11 --implementation cp \
        --platform manylinux2014_x86_64 --platform any flask==3.1.0 gunicorn==23.0.0 >&2
    touch "$wheels/.complete"
}
copy "$wheels" /tmp/wheels
run 'python3 -m venv /app/venv
/app/venv/bin/pip install --quiet --no-index --find-links /tmp/wheels flask==3.1.0 gunicorn==23.0.0
rm -rf /tmp/wheels
useradd --system --home-dir /app app'
source=$(mktemp -d)
cat >"$source/app.py" <<'PY'
"""A counter and an upload, as small applications have them."""

import tempfile

from flask import Flask, request

app = Flask(__name__)


@app.get("/")
def index():
    return "hello from flask\n"


@app.post("/upload")
def upload():
    with tempfile.NamedTemporaryFile() as file:
        file.write(request.get_data())
        file.flush()
        return f"{file.tell()}\n"
PY
copy "$source" /app
rm -rf "$source"
config entrypoint gunicorn entrypoint --bind entrypoint 0.0.0.0:8000 cmd app:app user app workingdir /app \
    env PATH=/app/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin exposedports 8000/tcp
