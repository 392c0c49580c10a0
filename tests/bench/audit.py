"""What `audit` does: makes the pods, runs who reads them, and prints medians."""

import hashlib
import json
import os
import random
import statistics
import subprocess
import sys
import time

KILN, PODS, ROUNDS, WORK = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
chance = random.Random(1)
IMAGES = ["nginx:1.25", "registry.example/shop/web:2.4.1", "redis", "fluent/fluent-bit:3.1.9", "envoyproxy/envoy:v1.31.0"]


def pick(percent, value):
    return value if chance.random() * 100 < percent else None


def filled(**fields):
    return {key: value for key, value in fields.items() if value is not None}


def container(name):
    port = chance.randint(80, 9000)
    probe = {"httpGet": {"path": "/healthz", "port": port, "scheme": "HTTP"}, "failureThreshold": 3, "periodSeconds": 10,
             "successThreshold": 1, "timeoutSeconds": 1}
    context = filled(readOnlyRootFilesystem=pick(50, True), allowPrivilegeEscalation=pick(50, False),
                     capabilities=pick(40, {"drop": ["ALL"]}), runAsUser=pick(30, 10001))
    return filled(
        name=name, image=chance.choice(IMAGES), imagePullPolicy="IfNotPresent",
        env=[{"name": f"SETTING_{n}", "value": hashlib.md5(f"{name}{n}".encode()).hexdigest()} for n in range(6)],
        ports=[{"containerPort": port, "protocol": "TCP"}], livenessProbe=probe, readinessProbe=pick(70, probe),
        resources=pick(60, {"limits": {"memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}}) or {},
        securityContext=context or None, terminationMessagePath="/dev/termination-log", terminationMessagePolicy="File",
        volumeMounts=[{"mountPath": "/tmp", "name": "tmp"},
                      {"mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "name": "kube-api-access", "readOnly": True}],
    )


def pod(number):
    name = f"web-{number % 97}-{hashlib.md5(str(number).encode()).hexdigest()[:10]}"
    containers = [container("app"), container("proxy")][: chance.choice([1, 1, 2])]
    token = {"name": "kube-api-access", "projected": {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"items": [{"key": "ca.crt", "path": "ca.crt"}], "name": "kube-root-ca.crt"}},
        {"downwardAPI": {"items": [{"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}, "path": "namespace"}]}}]}}
    conditions = [{"lastProbeTime": None, "lastTransitionTime": "2026-05-04T08:11:52Z", "status": "True", "type": kind}
                  for kind in ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")]
    states = [{"containerID": "containerd://" + hashlib.sha256(f"{name}{c['name']}".encode()).hexdigest(), "image": c["image"],
               "imageID": "x@sha256:" + hashlib.sha256(c["image"].encode()).hexdigest(), "lastState": {}, "name": c["name"],
               "ready": True, "restartCount": 0, "started": True, "state": {"running": {"startedAt": "2026-05-04T08:11:54Z"}}}
              for c in containers]
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": f"team-{number % 40}", "creationTimestamp": "2026-05-04T08:11:52Z",
                     "generateName": "web-", "labels": {"app": "web", "pod-template-hash": "6b7f6d9c5d"},
                     "resourceVersion": str(48211 + number), "uid": hashlib.md5(name.encode()).hexdigest(),
                     "ownerReferences": [{"apiVersion": "apps/v1", "blockOwnerDeletion": True, "controller": True,
                                          "kind": "ReplicaSet", "name": "web-6b7f6d9c5d", "uid": hashlib.md5(b"o").hexdigest()}]},
        "spec": filled(
            containers=containers, dnsPolicy="ClusterFirst", enableServiceLinks=True, nodeName=f"worker-{number % 50}",
            preemptionPolicy="PreemptLowerPriority", priority=0, restartPolicy="Always", schedulerName="default-scheduler",
            securityContext=pick(50, {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}) or {},
            serviceAccount="web", serviceAccountName="web", terminationGracePeriodSeconds=30,
            tolerations=[{"effect": "NoExecute", "key": f"node.kubernetes.io/{key}", "operator": "Exists", "tolerationSeconds": 300}
                         for key in ("not-ready", "unreachable")],
            volumes=[{"name": "tmp", "emptyDir": pick(50, {"sizeLimit": "64Mi"}) or {}}, token]),
        "status": {"conditions": conditions, "containerStatuses": states, "hostIP": "10.0.0.11", "phase": "Running",
                   "podIP": "10.244.1.17", "podIPs": [{"ip": "10.244.1.17"}], "qosClass": "Burstable",
                   "startTime": "2026-05-04T08:11:52Z"},
    }


def as_yaml(value, indent=0):
    """Block style, as Helm and kubectl write it; strings that need quotes have them."""
    space = "  " * indent
    if isinstance(value, dict) and value:
        for key, one in value.items():
            if isinstance(one, (dict, list)) and one:
                yield f"{space}{key}:\n"
                yield from as_yaml(one, indent + (1 if isinstance(one, dict) else 0))
            else:
                yield f"{space}{key}: {json.dumps(one)}\n"
    elif isinstance(value, list):
        for one in value:
            lines = list(as_yaml(one, indent + 1)) if isinstance(one, (dict, list)) and one else [f"{space}  {json.dumps(one)}\n"]
            lines[0] = f"{space}- {lines[0][2 * indent + 2:]}"
            yield from lines


def write():
    pods = [pod(number) for number in range(PODS)]
    with open(f"{WORK}/pods.json", "w", encoding="utf-8") as file:
        json.dump({"apiVersion": "v1", "items": pods, "kind": "List", "metadata": {"resourceVersion": ""}}, file, indent=4)
    with open(f"{WORK}/pods.yaml", "w", encoding="utf-8") as file:
        for one in pods:
            file.write("---\n")
            file.writelines(as_yaml({key: value for key, value in one.items() if key != "status"}))


def timed(words):
    """Seconds, and the peak in MiB."""
    began = time.monotonic()
    with open(f"{WORK}/out", "wb") as out:
        done = subprocess.run(["/usr/bin/time", "--format", "%M", "--output", f"{WORK}/peak", *words], stdout=out, check=False)
    took = time.monotonic() - began
    if done.returncode > 1:
        sys.exit(f"error: {words} ended with {done.returncode}")
    with open(f"{WORK}/peak", encoding="utf-8") as file:
        return took, int(file.read().split()[-1]) / 1024


write()
RUNS = {
    "json": {"kiln audit": [KILN, "audit", f"{WORK}/pods.json"], "one rule": [KILN, "audit", f"{WORK}/pods.json", "--rule", "FS001"],
             "jq empty": ["jq", "empty", f"{WORK}/pods.json"]},
    "yaml": {"kiln audit": [KILN, "audit", f"{WORK}/pods.yaml"], "one rule": [KILN, "audit", f"{WORK}/pods.yaml", "--rule", "FS001"]},
}
for form, runs in RUNS.items():
    taken = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, words in runs.items():
            taken[name].append(timed(words))
    size = os.path.getsize(f"{WORK}/pods.{form}") / 1e6
    print(f"{PODS} pods, {form}, {size:.0f} MB")
    whole = statistics.median(took for took, _ in taken["kiln audit"])
    for name, results in taken.items():
        median = statistics.median(took for took, _ in results)
        print(f"  {name:<12} {median:6.2f} s {max(peak for _, peak in results):6.0f} MiB   kiln audit takes {whole / median:.2f} times as long")
