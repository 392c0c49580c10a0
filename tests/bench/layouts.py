"""Images for the benchmark: layouts written from tar streams, so that what differs between two of them is one thing."""

import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import tarfile

ENCODERS = {
    "gzip": (["gzip", "-6", "-c"], "+gzip"),
    "pigz": (["pigz", "-6", "-c"], "+gzip"),
    # Go's compress/flate, as the tools of containers have it: umoci's pgzip and skopeo's gzip descend from it.
    "go": (["go-gzip"], "+gzip"),
    "zstd": (["zstd", "-3", "-q", "-c"], "+zstd"),
}


def digest_of(path):
    hasher = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()


class Layout:
    """An OCI layout that is being written; complete once `finish` was called."""

    def __init__(self, path):
        self.path = path
        shutil.rmtree(path, ignore_errors=True)
        self.blobs = os.path.join(path, "blobs/sha256")
        os.makedirs(self.blobs)
        self.layers, self.diff_ids = [], []

    def add(self, tar, encoder):
        """The tar stream in the file `tar` as the next layer."""
        command, suffix = ENCODERS[encoder]
        part = os.path.join(self.path, "part")
        with open(tar, "rb") as source, open(part, "wb") as out:
            subprocess.run(command, stdin=source, stdout=out, check=True)
        self.diff_ids.append("sha256:" + digest_of(tar))
        digest, size = digest_of(part), os.path.getsize(part)
        os.rename(part, os.path.join(self.blobs, digest))
        self.layers.append({"mediaType": "application/vnd.oci.image.layer.v1.tar" + suffix, "digest": "sha256:" + digest, "size": size})

    def document(self, value):
        data = json.dumps(value).encode()
        digest = hashlib.sha256(data).hexdigest()
        with open(os.path.join(self.blobs, digest), "wb") as file:
            file.write(data)
        return {"digest": "sha256:" + digest, "size": len(data)}

    def finish(self):
        config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["nginx", "-g", "daemon off;"]},
                  "rootfs": {"type": "layers", "diff_ids": self.diff_ids}}
        manifest_type = "application/vnd.oci.image.manifest.v1+json"
        manifest = {"schemaVersion": 2, "mediaType": manifest_type, "layers": self.layers,
                    "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **self.document(config)}}
        entry = {"mediaType": manifest_type, **self.document(manifest), "annotations": {"org.opencontainers.image.ref.name": "latest"}}
        for name, value in (("index.json", {"schemaVersion": 2, "manifests": [entry]}), ("oci-layout", {"imageLayoutVersion": "1.0.0"})):
            with open(os.path.join(self.path, name), "w") as file:
                json.dump(value, file)


def split(source, parts, work):
    """The members of the tar file `source` as that many tar files, in order, of about as many bytes each."""
    total, done, number = os.path.getsize(source), 0, 0
    outs = [os.path.join(work, f"split-{n}.tar") for n in range(parts)]
    out = tarfile.open(outs[0], "w", format=tarfile.GNU_FORMAT)
    with tarfile.open(source) as tar:
        for member in tar:
            if done > total * (number + 1) / parts and number + 1 < parts:
                out.close()
                number += 1
                out = tarfile.open(outs[number], "w", format=tarfile.GNU_FORMAT)
            out.addfile(member, tar.extractfile(member) if member.isreg() else None)
            done += 512 + member.size
    out.close()
    return outs[: number + 1]


def moved(source, prefix, limit, out):
    """Regular files of `source` below `prefix`, `limit` bytes of them at the most: what an app brings, which nobody owns."""
    size = 0
    with tarfile.open(source) as tar, tarfile.open(out, "w", format=tarfile.GNU_FORMAT) as target:
        for member in tar:
            if not member.isreg() or member.size < 64 or size + member.size > limit:
                continue
            size += member.size + 1024
            copy = tarfile.TarInfo(prefix + member.name.lstrip("."))
            copy.size, copy.mode, copy.mtime = member.size, 0o664, member.mtime
            target.addfile(copy, tar.extractfile(member))
    return out


def tiny(count, out):
    """Files of some hundred bytes, as an app in JavaScript or Python has them."""
    source = random.Random(1)
    words = [source.randbytes(source.randint(2, 9)).hex() for _ in range(3000)]
    with tarfile.open(out, "w", format=tarfile.GNU_FORMAT) as tar:
        for number in range(count):
            text = " ".join(source.choices(words, k=source.randint(3, 40))).encode()
            member = tarfile.TarInfo(f"srv/app/node_modules/module-{number // 40:04d}/lib/file-{number % 40:02d}.js")
            member.size, member.mode = len(text), 0o644
            tar.addfile(member, io.BytesIO(text))
    return out
