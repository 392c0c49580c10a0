#!/usr/bin/python3
"""Times starts of images from outside: watched and not.

usage: trace.py KILN ROUNDS LAYOUT…

A start begins when a process of kiln's that was kiln's own program becomes another, and ends when the image's exposed
port accepts a connection from within the container's network.
"""

import ctypes
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time

# Longest unpacking and start that are waited for, in seconds: on a machine that does much else the one takes a while.
PATIENCE = 120
# Between two looks, in seconds: short to be exact, long enough to leave the processors to who is measured.
STEP = 0.0005
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """A start that cannot be timed."""


def config(layout):
    """The config of the image `latest`."""

    def blob(digest):
        with open(os.path.join(layout, "blobs", digest.replace(":", "/")), encoding="utf-8") as file:
            return json.load(file)

    with open(os.path.join(layout, "index.json"), encoding="utf-8") as file:
        index = json.load(file)
    names = {one["annotations"]["org.opencontainers.image.ref.name"]: one["digest"] for one in index["manifests"]}
    return blob(blob(names["latest"])["config"]["digest"])["config"]


def children(pid):
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                found += [int(child) for child in file.read().split()]
    except OSError:
        # It is gone.
        pass
    return found


def app_of(kiln, program):
    """The process that is a container's first, once its program is no longer kiln's."""
    todo = [kiln]
    while todo:
        pid = todo.pop()
        for child in children(pid):
            try:
                # Its copy in memory; before that, what started it.
                exe = os.readlink(f"/proc/{child}/exe")
                if "memfd:kiln" not in exe and exe != program:
                    return child
            except OSError:
                # Not there any more, or not yet anything.
                continue
            todo.append(child)
    return None


def accepts(port):
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def start_to_ready(command, port):
    """Milliseconds."""
    kiln = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        limit = time.monotonic() + PATIENCE
        app = None
        while app is None:
            app = app_of(kiln.pid, command[0])
            if kiln.poll() is not None or time.monotonic() > limit:
                raise Failed("does not start")
            if app is None:
                time.sleep(STEP)
        began = time.monotonic()
        network = os.open(f"/proc/{app}/ns/net", os.O_RDONLY)
        if libc.setns(network, CLONE_NEWNET) != 0:
            raise Failed(f"cannot enter the container's network: {os.strerror(ctypes.get_errno())}")
        os.close(network)
        while not accepts(port):
            if kiln.poll() is not None or time.monotonic() > began + PATIENCE:
                raise Failed(f"port {port} is not ready")
            time.sleep(STEP)
        return (time.monotonic() - began) * 1000
    except Failed as failed:
        sys.exit(f"{' '.join(command)}: {failed}")
    finally:
        libc.setns(home, CLONE_NEWNET)
        os.close(home)
        # Everything of it ends with it.
        kiln.send_signal(signal.SIGKILL)
        kiln.wait()


def main(kiln, rounds, layouts):
    print(f"{'image':<12} {'plain ms':>9} {'watched ms':>11} {'ratio':>6}")
    for layout in layouts:
        name, image = os.path.basename(layout), f"oci:{layout}:latest"
        port = int(sorted(config(layout).get("ExposedPorts", {"80/tcp": {}}))[0].split("/")[0])
        plain, watched = [], []
        for _ in range(int(rounds)):
            plain.append(start_to_ready([kiln, "run", "-q", image], port))
            watched.append(start_to_ready([kiln, "trace", "-q", image, "--for", "30"], port))
        before, after = statistics.median(plain), statistics.median(watched)
        print(f"{name:<12} {before:>9.1f} {after:>11.1f} {after / before:>6.2f}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
