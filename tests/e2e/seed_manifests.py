"""What `seed-manifests` does once its images are built."""

import fnmatch
import json
import os
import re
import subprocess
import sys

import yaml

KILN, SEEDS, WORK, RUNPOD = sys.argv[1:]
# The images as the manifests name them, and what is built in their place.
IMAGES = {
    "httpd": "httpd-upstream", "nginx": "nginx-upstream", "nginx:1.25": "nginx-upstream", "python:3.11-slim": "python-upstream",
    "busybox:1.36": "busybox-upstream", "myapp:1.0": "myapp",
}
# What starts another program than its image does: of that it is not known what it needs.
OTHERWISE = ["p5-python.yaml", "p7-init-container.yaml"]
# What the seeds name and do not show.
OTHERS = {
    "ConfigMap": {
        "nginx-conf": None,  # its file is there
        "app-config": {"db-host": "db.example", "config.yaml": "mode: immutable\n"},
        "default-config": {"defaults.yaml": "mode: default\n"},
        "app-env-config": {"APP_MODE": "immutable"},
    },
    "Secret": {"app-secrets": {"db-password": "example"}, "app-tls": {"tls.crt": "a certificate\n"}},
}
# Where the app listens that declares no port, by image.
PORTS = {"nginx:1.25": 80, "myapp:1.0": 8080}
# Must not start as they are, for what must be writable is not: which directory the app's log tells of.
BROKEN = {
    "s0-apache-readonly.yaml": "/usr/local/apache2/logs",
    "s2-basic.yaml": "/var/cache/nginx/client_temp",
    "e4-immutable-pod.yaml": "/var/cache/nginx/client_temp",
}
# Nothing of this weight may be left where all is mended.
PASSES = "medium"
CODE = re.compile(r"\b[A-Z]{2}\d{3}\b")


def fail(message):
    sys.exit(f"error: {message}")


def run(*words):
    return subprocess.run(words, capture_output=True, text=True, check=False)


def options(images):
    return [word for name, image in images.items() for word in ("--image", f"{name}={image}")]


def audit(paths, images, *more):
    """Codes by file and container; None is the pod."""
    done = run(KILN, "audit", *paths, "--format", "json", *options(images), *more)
    if done.returncode not in (0, 1):
        fail(f"audit: {done.stderr}")
    document, found = json.loads(done.stdout), {os.path.basename(path): {} for path in paths}
    for finding in document["findings"]:
        resource = document["resources"][finding["resource"]]
        found[os.path.basename(resource["file"])].setdefault(finding.get("container"), set()).add(finding["rule"])
    return found


# ---- what the README of the seeds says


def rows(table):
    for line in table.splitlines():
        if line.startswith("|") and not line.startswith(("| file", "| ---")):
            yield [cell.strip() for cell in line.split("|")[1:-1]]


def told():
    """By file and container: codes by the manifest alone, and with the image at hand."""
    with open(f"{SEEDS}/README.md", encoding="utf-8") as file:
        section = file.read().split("## What an audit must find")[1]
    table, rest = section.split("How the rules were read")
    found, last = {}, ""
    for name, pod, *own in rows(table):
        last = name.strip("`") or last
        found.setdefault(last, {}).setdefault(None, set()).update(CODE.findall(pod))
        if len(own) == 2 and own[0]:
            found[last].setdefault(own[0].strip("`"), set()).update(CODE.findall(own[1]))
    for names, container, own in rows(rest):
        patterns = re.findall(r"`([^`]+)`", names) or ["*"]
        for name in found:
            if any(fnmatch.fnmatch(name, pattern) for pattern in patterns):
                of = [container.strip("`")]
                if container.startswith("all but "):
                    of = [one for one in found[name] if one and f"`{one}`" not in container]
                for one in of:
                    found[name][one].update(CODE.findall(own.split(";")[0]))
    return {name: {container: own for container, own in all_of.items() if own} for name, all_of in found.items()}


# ---- images, as they are and hardened

with open(f"{WORK}/built", encoding="utf-8") as lines:
    source = {os.path.basename(line.strip()): f"oci:{line.strip()}:latest" for line in lines}
hardened = {name: f"oci:{WORK}/{name}:latest" for name in source}
for name, image in source.items():
    done = run(KILN, "harden", image, "-o", hardened[name], "-q")
    if done.returncode != 0:
        fail(f"{name}: {done.stderr}")
as_is = {name: source[built] for name, built in IMAGES.items()}
# Who copies defaults needs the image's tools: that one stays as it is.
mended = {name: (source if name.startswith("busybox") else hardened)[built] for name, built in IMAGES.items()}

# ---- what is found, and what is left

seeds = {}
for name in sorted(os.listdir(SEEDS)):
    if name.endswith(".yaml"):
        with open(f"{SEEDS}/{name}", encoding="utf-8") as file:
            seeds[name] = file.read()
pods = [name for name, text in seeds.items() if re.search(r"^kind: (Pod|Deployment)$", text, re.M)]
expect, found = told(), audit([f"{SEEDS}/{name}" for name in pods], as_is)
for name in pods:
    if found[name] != expect[name]:
        fail(f"{name}: found {found[name]}, the README says {expect[name]}")
os.mkdir(f"{WORK}/fixed")
fixed = [f"{WORK}/fixed/{name}" for name in pods]
for name in pods:
    with open(f"{WORK}/fixed/{name}", "w", encoding="utf-8") as file:
        file.write(seeds[name])
for name, path in zip(pods, fixed):
    reach = ["--unsafe"] if name in OTHERWISE else []
    done = run(KILN, "fix", "--write", "-q", path, *reach, *options(mended))
    if done.returncode != 0:
        fail(f"fix: {done.stderr}")
done = run(KILN, "audit", *fixed, "--fail-on", PASSES, "--skip", "OP003", *options(mended))
if done.returncode != 0:
    fail(f"what is mended does not pass: {done.stdout}")

# ---- the pods, mended and as they are


def pod_of(text):
    """The pod of a document, with what it names, and a probe where it has none."""
    document = next(one for one in yaml.safe_load_all(text) if one["kind"] in ("Pod", "Deployment"))
    spec = document["spec"] if document["kind"] == "Pod" else document["spec"]["template"]["spec"]
    container = spec["containers"][0]
    image = container["image"].partition("@")[0]
    port = container.get("ports", [{"containerPort": PORTS.get(image)}])[0]["containerPort"]
    if image == "nginx":
        port = 8080  # what its ConfigMap says
    container.setdefault("readinessProbe", {"tcpSocket": {"port": port}})
    yield {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "seed"}, "spec": spec}
    for kind, all_of in OTHERS.items():
        for name, data in all_of.items():
            if data is None:
                yield next(one for one in yaml.safe_load_all(seeds["p3-nginx-conf.yaml"]) if one["metadata"]["name"] == name)
            else:
                yield {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "data": data}


def started(name, text, images):
    documents = list(pod_of(text))
    path = f"{WORK}/pod.yaml"
    with open(path, "w", encoding="utf-8") as file:
        yaml.safe_dump_all(documents, file)
    image = documents[0]["spec"]["containers"][0]["image"].partition("@")[0]
    return run(RUNPOD, images[image].removeprefix("oci:"), path, "--seconds", "2", "--make-mount-points", "--show-log",
               "--origin", mended["busybox:1.36"].removeprefix("oci:"))


for name, directory in BROKEN.items():
    done = started(name, seeds[name], as_is)
    if done.returncode == 0 or "ead-only file system" not in done.stdout:
        fail(f"{name}: runs as it is: {done.stdout}{done.stderr}")
    with open(f"{WORK}/log", "w", encoding="utf-8") as file:
        file.write(done.stdout)
    learned = json.loads(run(KILN, "audit", "--logs", f"{WORK}/log", "--format", "json").stdout)
    if directory not in [one["path"] for one in learned["directories"]]:
        fail(f"{name}: {directory} is not learned from {done.stdout}")
for name, path in zip(pods, fixed):
    with open(path, encoding="utf-8") as file:
        done = started(name, file.read(), mended)
    if done.returncode != 0:
        fail(f"{name}: mended, it does not run: {done.stdout}{done.stderr}")
print(f"seeds: {len(pods)} manifests audited with images, mended, and run under runc; {len(BROKEN)} of them could not before")
