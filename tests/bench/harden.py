"""What `harden` does: makes the images, lets everybody do the same work, and prints what it cost."""

import argparse
import glob
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

import chart
from layouts import ENCODERS, Layout, moved, split, tiny

parser = argparse.ArgumentParser()
parser.add_argument("kiln")
parser.add_argument("store")
parser.add_argument("--json", default="")
parser.add_argument("--chart", default="")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--only", default="")
parser.add_argument("--registry", default="")
options = parser.parse_args()
KILN, STORE = options.kiln, options.store
WORK = os.path.join(STORE, "work")
shutil.rmtree(WORK, ignore_errors=True)
os.makedirs(WORK)
results = []


def say(text):
    print(text, file=sys.stderr, flush=True)


def wanted(name):
    return not options.only or name in options.only.split(",")


def run(command):
    """Runs a shell command; what it and its children took: wall and processor time in seconds, and the largest peak in MiB."""
    # A process inherits the peak of the one that started it: what is measured is started by a small program, not by this one.
    took = os.path.join(WORK, "took")
    began = time.monotonic()
    done = subprocess.run(["/usr/bin/time", "--output", took, "--format", "%U %S %M", "/bin/bash", "-c", "set -eo pipefail; " + command],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wall = time.monotonic() - began
    if done.returncode:
        sys.exit(f"failed: {command}\n{done.stderr.decode(errors='replace')[-3000:]}")
    user, system, peak = open(took).read().split()
    return {"wall": wall, "cpu": float(user) + float(system), "peak_mib": int(peak) / 1024}


def made():
    """Bytes of the layers of the image that the last run made, if it made a layout; kiln's own is the last."""
    return sum(map(os.path.getsize, blobs(f"{WORK}/out"))) if os.path.exists(f"{WORK}/out/index.json") else None


def clear():
    """Removes what was made, which nobody pays for."""
    subprocess.run(f"rm -rf {WORK}/out {WORK}/bundle {WORK}/copy {WORK}/storage {WORK}/run", shell=True, check=True)


def median(runs):
    return {key: statistics.median(run[key] for run in runs) for key in ("wall", "cpu")} | {"peak_mib": max(run["peak_mib"] for run in runs)}


def measure(image, cases, rounds=None):
    """Runs the cases, by name, in turn: what else the machine does weighs on all alike."""
    runs = {name: [] for name in cases}
    sizes = {}
    for _ in range(rounds or options.rounds):
        for name, command in cases.items():
            say(f"{image}: {name}")
            clear()
            runs[name].append(run(command))
            sizes[name] = made()
    for name, all_of_it in runs.items():
        results.append({"image": image, "case": name, **median(all_of_it), "made": sizes[name]})
    return {name: median(all_of_it) for name, all_of_it in runs.items()}


# Images.

SMALL = "nginx,openssl,python3-minimal,perl,libicu72,iso-codes"
LARGE = "nginx,build-essential,git,python3,perl,golang-go,nodejs,llvm-14,clang-14,openjdk-17-jdk-headless,rustc,libboost-all-dev"


def built(name, make):
    path = os.path.join(STORE, name)
    if not os.path.exists(path + ".complete"):
        say(f"making the image {name} (once)")
        make(path)
        open(path + ".complete", "w").close()
    return path


def rootfs(name, packages):
    def make(path):
        subprocess.run(["mmdebstrap", "--quiet", "--format=tar", "--variant=minbase", f"--include={packages}", "bookworm", path + ".part",
                        "http://deb.debian.org/debian"], check=True)
        os.rename(path + ".part", path)
    return built(name + ".tar", make)


def layered(name, tars, encoder="gzip"):
    """`tars()` gives files, or None for a file that is made when it is its turn."""
    def make(path):
        layout = Layout(path)
        for tar in tars():
            layout.add(tar, encoder)
            if tar.startswith(WORK):
                os.remove(tar)
        layout.finish()
    return built(name, make)


def blob(image, digest):
    return os.path.join(image, "blobs/sha256", digest.removeprefix("sha256:"))


def manifest(image):
    index = json.load(open(os.path.join(image, "index.json")))
    return json.load(open(blob(image, index["manifests"][0]["digest"])))


def blobs(image):
    return [blob(image, layer["digest"]) for layer in manifest(image)["layers"]]


def warm(image):
    for stored in blobs(image):
        with open(stored, "rb") as file:
            while file.read(1 << 20):
                pass


def facts(image):
    return {"stored": sum(map(os.path.getsize, blobs(image))), "layers": len(blobs(image))}


# Who does the work.

def kiln(image, more="--no-cache"):
    return f"{KILN} harden oci:{image}:latest -o oci:{WORK}/out:latest --quiet {more}"


def removed(image):
    report = os.path.join(WORK, "report.json")
    clear()
    subprocess.run(kiln(image, f"--no-cache --report {report}"), shell=True, check=True)
    with open(os.path.join(WORK, "removed"), "w") as file:
        file.writelines(entry["path"].lstrip("/") + "\n" for entry in json.load(open(report))["removed"])


# Deepest first; a directory that still has content stays.
EDIT = (f"sort -r {WORK}/removed | tr '\\n' '\\0' | xargs -0 rm -fd -- 2>/dev/null || true; "
        "find . ! -type l -perm /222 -print0 | xargs -0 chmod a-w,ug-s --")


def umoci(image):
    return (f"cp -al {image} {WORK}/copy; rm {WORK}/copy/index.json; cp {image}/index.json {WORK}/copy/; "
            f"umoci unpack --image {WORK}/copy:latest {WORK}/bundle; (cd {WORK}/bundle/rootfs; {EDIT}); "
            f"umoci repack --image {WORK}/copy:hardened {WORK}/bundle")


def buildah(image):
    tool = f"buildah --root {WORK}/storage --runroot {WORK}/run --storage-driver vfs"
    return (f"id=$({tool} from --quiet oci:{image}:latest); root=$({tool} mount $id); "
            f"(cd $root; {EDIT}); {tool} commit --quiet --squash $id oci:{WORK}/out:latest")


def skopeo(image):
    return f"skopeo copy --quiet oci:{image}:latest oci:{WORK}/out:latest"


def each(image, pipe):
    return f"for layer in {' '.join(blobs(image))}; do {pipe.replace('LAYER', '$layer')}; done"


FLOOR = "pigz -dc <LAYER | openssl dgst -sha256"
PIGZ = "pigz -dc LAYER | pigz -6 >/dev/null"
GZIP = "gzip -dc LAYER | sha256sum"


def floor(image):
    """Who inflates and hashes with the least processor time here, and how."""
    inflaters = [tool for tool in ("gzip", "pigz", "igzip", "libdeflate-gzip") if shutil.which(tool)]
    pipes = {f"{tool}, {name}": f"{tool} -dc <LAYER | {hasher}"
             for tool in inflaters for name, hasher in (("sha256sum", "sha256sum"), ("openssl", "openssl dgst -sha256"))}
    costs = {name: min(run(each(image, pipe))["cpu"] for _ in range(2)) for name, pipe in pipes.items()}
    best = min(costs, key=costs.get)
    say(f"the floor is {best}: " + ", ".join(f"{name} {cost:.2f}" for name, cost in sorted(costs.items(), key=lambda item: item[1])))
    return best, pipes[best]


# What is measured.

def one():
    """One layer of 264 MB, by everybody."""
    tar = rootfs("small", SMALL)
    image = layered("one", lambda: [tar])
    warm(image)
    removed(image)
    global FLOOR
    name, FLOOR = floor(image)
    costs = measure("one", {"kiln": kiln(image), "floor": each(image, FLOOR), "skopeo copy": skopeo(image), "pigz -dc | pigz -6": each(image, PIGZ),
                            "gzip -dc | sha256sum": each(image, GZIP), "umoci": umoci(image), "buildah": buildah(image),
                            "kiln, strip": kiln(image, more="--no-cache --level strip"),
                            "kiln, gzip:6": kiln(image, more="--no-cache --compression gzip:6"),
                            "kiln, zstd": kiln(image, more="--no-cache --compression zstd")})
    return {"tar": os.path.getsize(tar), **facts(image), "floor": name, "costs": costs}


def encodings():
    tar = rootfs("small", SMALL)
    found = {}
    for encoder in ENCODERS:
        if shutil.which(ENCODERS[encoder][0][0]):
            image = layered("one-" + encoder, lambda: [tar], encoder)
            warm(image)
            found[encoder] = measure("one layer by " + encoder, {"kiln": kiln(image), "pigz -dc | pigz -6" if encoder != "zstd" else "zstd -dc | zstd -3":
                                     each(image, PIGZ if encoder != "zstd" else "zstd -qdc LAYER | zstd -q -3 >/dev/null")})
    return found


def twenty():
    tar = rootfs("small", SMALL)
    image = layered("twenty", lambda: split(tar, 20, WORK))
    warm(image)
    return measure("twenty layers", {"kiln": kiln(image), "floor": each(image, FLOOR), "pigz -dc | pigz -6": each(image, PIGZ)}) | {"image": facts(image)}


def large():
    tar = rootfs("large", LARGE)
    image = layered("large", lambda: split(tar, 10, WORK))
    warm(image)
    removed(image)
    return measure("large", {"kiln": kiln(image), "floor": each(image, FLOOR), "pigz -dc | pigz -6": each(image, PIGZ),
                             "gzip -dc | sha256sum": each(image, GZIP), "skopeo copy": skopeo(image), "umoci": umoci(image),
                             "buildah": buildah(image), "kiln, strip": kiln(image, more="--no-cache --level strip")}, rounds=1) | {"tar": os.path.getsize(tar), "image": facts(image)}


def many():
    base = rootfs("small", SMALL)
    image = layered("many", lambda: [base, tiny(60000, os.path.join(WORK, "tiny.tar"))])
    warm(image)
    removed(image)
    return measure("many", {"kiln": kiln(image), "floor": each(image, FLOOR), "pigz -dc | pigz -6": each(image, PIGZ), "skopeo copy": skopeo(image),
                            "umoci": umoci(image), "buildah": buildah(image),
                            "kiln, strip": kiln(image, more="--no-cache --level strip")}) | {"image": facts(image)}


def cached():
    """A run after nothing changed, and one after a small layer on top did."""
    image = layered("large", lambda: sys.exit("the large image is made first"))
    base = rootfs("small", SMALL)

    def changed(number):
        path = os.path.join(STORE, f"changed-{number}")
        tar = moved(base, f"srv/app-{number}/", 2 << 20, os.path.join(WORK, "top.tar"))
        layout = Layout(path)
        for stored in blobs(image):
            os.link(stored, os.path.join(layout.blobs, os.path.basename(stored)))
        below = manifest(image)
        layout.layers = below["layers"]
        layout.diff_ids = json.load(open(blob(image, below["config"]["digest"])))["rootfs"]["diff_ids"]
        layout.add(tar, "gzip")
        layout.finish()
        return path

    directory = f"--cache-dir {WORK}/cache"
    first, second = changed(1), changed(2)
    warm(image)
    cold = measure("large, cache", {"cold": kiln(first, more=directory)}, rounds=1)
    found = measure("large, cache", {"nothing changed": kiln(first, more=directory)})
    one_changed = measure("large, cache", {"one small layer changed": kiln(second, more=directory)}, rounds=1)
    return cold | found | one_changed


def growth():
    base = rootfs("small", SMALL)

    def parts(count):
        yield base
        for number in range(count):
            yield moved(base, f"srv/part-{number:02d}/", 100 << 20, os.path.join(WORK, f"part-{number}.tar"))

    sizes, counts = [], []
    for gigabytes in (0.2, 0.5, 1, 2, 5):
        image = layered(f"grown-{gigabytes}", lambda: parts(round(gigabytes * 10) - 2), "pigz")
        unpacked = int(subprocess.check_output(f"cat {' '.join(blobs(image))} | pigz -dc | wc -c", shell=True))
        warm(image)
        cost = measure(f"grown to {gigabytes} GB", {"kiln": kiln(image)})["kiln"]
        sizes.append({"bytes": unpacked, **facts(image), **cost})
    for count in (1, 2, 5, 10, 20, 50, 100):
        image = layered(f"cut-{count}", lambda: split(base, count, WORK), "pigz")
        warm(image)
        cost = measure(f"in {count} layers", {"kiln": kiln(image)})["kiln"]
        counts.append({**facts(image), **cost})
    return {"sizes": sizes, "layers": counts}


def registries():
    """From one repository of a registry to another."""
    if not options.registry:
        return None
    host = options.registry
    image = layered("one", lambda: sys.exit("the image one is made first"))
    subprocess.run(["skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"oci:{image}:latest", f"docker://{host}/in/one:1"], check=True)
    harden = f"{KILN} harden docker://{host}/in/one:1 -o docker://{host}/out-$RANDOM$RANDOM/one:1 --quiet --no-referrers"
    cache = f"--cache-dir {WORK}/registry-cache"
    run(f"{harden} {cache}")
    return measure("registry to registry", {
        "kiln": harden + " --no-cache", "kiln, with a cache": f"{harden} {cache}",
        "skopeo copy": f"skopeo copy --quiet --src-tls-verify=false --dest-tls-verify=false docker://{host}/in/one:1 docker://{host}/copy-$RANDOM$RANDOM/one:1"})


SECTIONS = {"one": one, "encodings": encodings, "twenty": twenty, "large": large, "many": many, "cache": cached, "growth": growth, "registry": registries}
if unknown := set(options.only.split(",")) - set(SECTIONS) - {""}:
    sys.exit(f"no section is called {', '.join(unknown)}: there are {', '.join(SECTIONS)}")
sections = {name: section() for name, section in SECTIONS.items() if wanted(name)}
shutil.rmtree(WORK, ignore_errors=True)


def row(image, case, cost, to):
    ratio = f"{cost['wall'] / to['wall']:.2f}", f"{cost['cpu'] / to['cpu']:.2f}"
    return f"  {case:<26} {cost['wall']:>8.2f} {cost['cpu']:>8.2f} {cost['peak_mib']:>9.0f} {ratio[0]:>12} {ratio[1]:>12}"


last = None
print(f"{'':<28} {'wall s':>8} {'cpu s':>8} {'peak MiB':>9} {'wall ratio':>12} {'cpu ratio':>12}")
for result in results:
    if result["image"] != last:
        last, first = result["image"], result
        print(result["image"])
    print(row(result["image"], result["case"], result, first))


def first_line(command):
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip().split("\n")[0]


document = {"kiln": first_line(f"{KILN} --version"), "kiln_sha256": first_line(f"sha256sum {KILN}").split()[0],
            "date": time.strftime("%Y-%m-%d", time.gmtime()), "processors": os.cpu_count(),
            "processor": first_line("sed -n 's/^model name.*: //p' /proc/cpuinfo"),
            "tools": {tool: first_line(f"{tool} --version") for tool in ("umoci", "buildah", "skopeo", "pigz", "gzip", "zstd", "igzip")}
            | {"openssl": first_line("openssl version")},
            "results": results, "sections": sections}
if options.json:
    with open(options.json, "w") as file:
        json.dump(document, file, indent=1)
if options.chart:
    with open(options.chart, "w") as file:
        file.write(chart.draw(document))
