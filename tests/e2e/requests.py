"""A few requests for each image of the suite, as its users would send them. Called inside the network namespace."""

import http.client
import os
import socket
import time


def http_call(host, port, method, path, body=None, headers=None, expect=(200,)):
    connection = http.client.HTTPConnection(host, port, timeout=10)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    if answer.status not in expect:
        raise RuntimeError(f"{method} {path}: status {answer.status}")
    return answer, data


def pages(port):
    """Plain pages, a missing one, and a body too large for a server's memory buffers."""

    def ask(host):
        for _ in range(5):
            http_call(host, port, "GET", "/")
        http_call(host, port, "GET", "/missing", expect=(404,))
        try:
            http_call(host, port, "POST", "/", b"x" * 900_000, expect=(200, 404, 405, 413, 501))
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before it was read, which is a server's right
        return "pages, a large body"

    return ask


def upload(port):
    def ask(host):
        pages(port)(host)
        _, data = http_call(host, port, "POST", "/upload", b"x" * 50_000, {"Content-Type": "application/octet-stream"})
        if data.strip() != b"50000":
            raise RuntimeError(f"upload answered {data!r}")
        return "pages, an upload"

    return ask


def redis(host):
    with socket.create_connection((host, 6379), timeout=10) as connection:
        for command in (b"SET key value", b"GET key", b"INCR counter", b"CONFIG GET dir", b"SAVE", b"PING"):
            connection.sendall(command + b"\r\n")
            time.sleep(0.1)
            answer = connection.recv(65536)
            if answer.startswith(b"-"):
                raise RuntimeError(f"{command.decode()}: {answer.decode().strip()}")
    return "SET, GET, INCR, SAVE"


def registry(host):
    import hashlib

    blob = os.urandom(100_000)
    digest = "sha256:" + hashlib.sha256(blob).hexdigest()
    answer, _ = http_call(host, 5000, "POST", "/v2/test/blobs/uploads/", expect=(202,))
    where = answer.getheader("Location")
    path = where.partition("//")[2].partition("/")[2] if "//" in where else where.lstrip("/")
    joint = "&" if "?" in path else "?"
    http_call(host, 5000, "PUT", f"/{path}{joint}digest={digest}", blob, expect=(201,))
    _, data = http_call(host, 5000, "GET", f"/v2/test/blobs/{digest}")
    if data != blob:
        raise RuntimeError("the blob came back changed")
    return "a blob pushed and pulled"


REQUESTS = {
    "nginx": pages(80),
    "nginx-logs": pages(80),
    "apache2": pages(80),
    "httpserver": pages(8000),
    "flask": upload(8000),
    "node": upload(3000),
    "redis": redis,
    "registry": registry,
}
