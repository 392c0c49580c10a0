#!/usr/bin/python3
"""A proxy in front of a registry that lets one request in so many go wrong, as networks and busy registries do.

usage: faults.py PORT TARGET-PORT SEED ONE-IN
"""
import http.client
import random
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

port, target, seed, one_in = (int(word) for word in sys.argv[1:])
draw, lock = random.Random(seed), threading.Lock()
FAULTS = ["reset", "429", "503", "500", "lost", "cut", "cut", "wrong", "slow"]
HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


class Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def fault(self):
        with lock:
            return (draw.choice(FAULTS), draw.random()) if draw.randrange(one_in) == 0 else ("", 0)

    def hang_up(self):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind, share = self.fault()
        print(self.command, self.path, kind or "-", flush=True)
        if kind == "reset":
            return self.hang_up()
        if kind.isdigit():
            self.send_response(int(kind))
            self.send_header("Retry-After", "1")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if kind == "wrong" and self.command in ("PUT", "PATCH") and "/blobs/" in self.path and body:
            body = body[:-1] + bytes([body[-1] ^ 1])
        # The registry builds its addresses from `Host`: they lead back here.
        upstream = http.client.HTTPConnection("127.0.0.1", target)
        upstream.request(self.command, self.path, body, {name: value for name, value in self.headers.items() if name.lower() not in HOP or name.lower() == "content-length"})
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        if kind == "lost":
            return self.hang_up()
        length = answer.headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(content))
        if kind == "wrong" and self.command == "GET" and content:
            content = content[:-1] + bytes([content[-1] ^ 1])
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command == "HEAD":
            return None
        if kind == "cut":
            self.wfile.write(content[: int(len(content) * share)])
            return self.hang_up()
        if kind == "slow":
            half = len(content) // 2
            self.wfile.write(content[:half])
            self.wfile.flush()
            time.sleep(2)
            content = content[half:]
        self.wfile.write(content)
        return None

    def log_message(self, *_):
        pass

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.serve_safely
        raise AttributeError(name)

    def serve_safely(self):
        try:
            self.serve()
        except OSError:
            # The other side went, as the faults make it do.
            self.close_connection = True


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 100


server = Server(("127.0.0.1", port), Proxy)
print(f"listening on {port}", flush=True)
server.serve_forever()
