"""A few requests for each image of the suite, as its users would send them. Called inside the network namespace."""

import http.client
import os
import socket
import time


def http_call(host, port, method, path, body=None, headers=None, expect=(200,), timeout=10):
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    if answer.status not in expect:
        raise RuntimeError(f"{method} {path}: status {answer.status}")
    return answer, data


def pages(port):
    """Pages, plain and compressed, a missing one, and a body too large for a server's memory buffers."""

    def ask(host):
        for accepts in ("identity", "gzip") * 3:
            _, data = http_call(host, port, "GET", "/", headers={"Accept-Encoding": accepts})
            if not data:
                raise RuntimeError(f"GET /: nothing came for a client that accepts {accepts}")
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


def memcached(host):
    with socket.create_connection((host, 11211), timeout=10) as connection:
        connection.sendall(b"set key 0 60 5\r\nvalue\r\nget key\r\nquit\r\n")
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    if answer != b"STORED\r\nVALUE key 0 5\r\nvalue\r\nEND\r\n":
        raise RuntimeError(f"answered {answer!r}")
    return "set, get"


def tomcat(host):
    # The port is open before the applications are there, and under strace that takes long.
    http_call(host, 8080, "GET", "/", timeout=60)
    pages(8080)(host)
    _, data = http_call(host, 8080, "GET", "/sum.jsp")
    if data.strip() != b"hello from tomcat 42":
        raise RuntimeError(f"answered {data!r}")
    return "pages, a large body, a page that is compiled"


def greets(port, greeting, first=b""):
    """A server that speaks first, or after `first` was sent."""

    def ask(host):
        with socket.create_connection((host, port), timeout=20) as connection:
            connection.sendall(first)
            answer = connection.recv(65536)
        if greeting not in answer:
            raise RuntimeError(f"answered {answer[:80]!r}")
        return f"greeted with {greeting.decode()!r}"

    return ask


def postgresql(host):
    """A table, a row and a query (PostgreSQL 15, 55.2 and 55.7)."""

    def until_ready(connection):
        answer = b""
        while not answer.endswith((b"Z\0\0\0\x05I", b"Z\0\0\0\x05E")):
            chunk = connection.recv(65536)
            if not chunk:
                break
            answer += chunk
        if not answer.endswith(b"I"):
            raise RuntimeError(f"answered {answer!r}")
        return answer

    def message(kind, data):
        return kind + (len(data) + 4).to_bytes(4, "big") + data

    with socket.create_connection((host, 5432), timeout=20) as connection:
        connection.sendall(message(b"", (3 << 16).to_bytes(4, "big") + b"user\0postgres\0\0"))
        until_ready(connection)
        connection.sendall(message(b"Q", b"CREATE TABLE kiln (n int); INSERT INTO kiln VALUES (40), (2); SELECT sum(n) FROM kiln\0"))
        if b"\0\0\0\x0242" not in until_ready(connection):
            raise RuntimeError("the sum is not 42")
    return "a table, a row, a query"


def php(host):
    """The script over FastCGI (specification 1.0, 3 and 6.2)."""

    def record(kind, data):
        return bytes([1, kind, 0, 1]) + len(data).to_bytes(2, "big") + b"\0\0" + data

    parameters = {"REQUEST_METHOD": "GET", "SCRIPT_FILENAME": "/srv/app/index.php", "SCRIPT_NAME": "/index.php"}
    pairs = b"".join(
        bytes([len(name), len(value)]) + name.encode() + value.encode() for name, value in parameters.items()
    )
    with socket.create_connection((host, 9000), timeout=10) as connection:
        connection.sendall(record(1, b"\0\1\0\0\0\0\0\0") + record(4, pairs) + record(4, b"") + record(5, b""))
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    if b"hello from php" not in answer or b"Warning" in answer:
        raise RuntimeError(f"answered {answer!r}")
    return "a script with a session and a scratch file"


def etcd(host):
    import base64
    import json

    def encode(text):
        return base64.b64encode(text).decode()

    body = json.dumps({"key": encode(b"key"), "value": encode(b"value")})
    http_call(host, 2379, "POST", "/v3/kv/put", body)
    _, data = http_call(host, 2379, "POST", "/v3/kv/range", json.dumps({"key": encode(b"key")}))
    if encode(b"value") not in data.decode():
        raise RuntimeError(f"answered {data!r}")
    return "put, range"


def prometheus(host):
    http_call(host, 9090, "GET", "/-/ready")
    http_call(host, 9090, "GET", "/api/v1/query?query=up")
    return "a query"


REQUESTS = {
    "nginx": pages(80),
    "nginx-logs": pages(80),
    "apache2": pages(80),
    "httpserver": pages(8000),
    "flask": upload(8000),
    "node": upload(3000),
    "redis": redis,
    "registry": registry,
    "memcached": memcached,
    "haproxy": pages(8080),
    "mariadb": greets(3306, b"MariaDB"),
    "postgresql": postgresql,
    # Connection.Start names the product (AMQP 0-9-1, 4.2.2).
    "rabbitmq": greets(5672, b"RabbitMQ", b"AMQP\0\0\x09\x01"),
    "tomcat": tomcat,
    "php-fpm": php,
    "puma": upload(9292),
    "caddy": pages(8080),
    "prometheus": prometheus,
    "etcd": etcd,
    "nats": greets(4222, b"INFO "),
}
