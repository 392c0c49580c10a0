#!/usr/bin/env python3
"""Holds what `kiln policy` wrote into a directory against schemas and second engines.

Kubernetes' own objects are validated strictly against the schemas of a version (kubernetes-validate), CEL is type-checked
and executed by Google's implementation in C++ (cel-expr-python), Rego by Microsoft's in C++ (regopy): neither shares code
with those that the tests of the sources use.

usage: policies.py KUBERNETES-VERSION DIRECTORY [POD]    the policies of an image must accept POD
"""

import json
import re
import subprocess
import sys
from pathlib import Path

if sys.argv[1] == "--rego":
    # In a process of its own: both engines bring a C++ runtime, and one of them frees what is the other's.
    import regopy

    asked = json.load(sys.stdin)
    interpreter = regopy.Interpreter()
    interpreter.add_module("template", asked["source"])
    interpreter.set_input(asked["input"])
    print(interpreter.query(asked["query"]))
    sys.exit()

import kubernetes_validate
import yaml
from cel_expr_python import cel
from cel_expr_python.ext import ext_strings

version, top = sys.argv[1], Path(sys.argv[2])
counts = dict.fromkeys(["objects", "expressions", "cel", "rego"], 0)

# Object fields that the engines' documents share with Kubernetes' own kinds.
OURS = {"autogen", "validationActions"}


def documents(path):
    # As YAML 1.1 has it: what it takes for something else than text must be quoted.
    return [value for value in yaml.safe_load_all(path.read_text()) if value is not None]


def fail(what):
    sys.exit(f"error: {top}: {what}")


def strict(value, at=version):
    """Validates an object of Kubernetes' own: no field that the version does not have."""
    try:
        kubernetes_validate.validate(value, at, strict=True)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        fail(f"{value['kind']} {value['metadata']['name']} in {at}: {getattr(error, 'message', error)}")
    counts["objects"] += 1


def as_kubernetes(policy):
    """A Kyverno policy as the kind of Kubernetes that it extends."""
    kind = {"ValidatingPolicy": "ValidatingAdmissionPolicy", "MutatingPolicy": "MutatingAdmissionPolicy"}[policy["kind"]]
    spec = {name: value for name, value in policy["spec"].items() if name not in OURS}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": policy["metadata"],
        "spec": spec,
    }


DYN = {
    name: cel.Type.DYN for name in ("object", "oldObject", "request", "params", "variables", "namespaceObject")
}
ENV = cel.NewEnv(variables=DYN, extensions=[ext_strings.ExtStrings()])
compiled = {}


def evaluate(expression, scope, expected=None):
    if expression not in compiled:
        # Type-checked: an error here is one of the API server's when the policy is made.
        compiled[expression] = ENV.compile(expression)
        counts["expressions"] += 1
    if expected and str(compiled[expression].return_type()) != str(expected):
        fail(f"{expression}: expected {expected}, found {compiled[expression].return_type()}")
    data = {name: scope.get(name, {} if name == "variables" else None) for name in DYN}
    value = compiled[expression].eval(data=data)
    return plain(value)


def plain(value):
    value = value.value() if hasattr(value, "value") and callable(value.value) else value
    if isinstance(value, dict):
        return {plain(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def says(spec, scope):
    for condition in spec.get("matchConditions", []):
        if evaluate(condition["expression"], scope, cel.Type.BOOL) is not True:
            return []
    variables = dict(scope.get("variables", {}))
    for variable in spec.get("variables", []):
        variables[variable["name"]] = evaluate(variable["expression"], {**scope, "variables": variables})
    scope = {**scope, "variables": variables}
    failed = [rule for rule in spec["validations"] if evaluate(rule["expression"], scope, cel.Type.BOOL) is not True]
    counts["cel"] += 1
    return [evaluate(rule["messageExpression"], scope, cel.Type.STRING) for rule in failed]


def request_of(document):
    """A pod or a review as what the API server is asked."""
    if document["kind"] == "AdmissionReview":
        request = document["request"]
        # What goes stands where what comes stands: as Gatekeeper has it.
        return {"object": request.get("oldObject"), **request}
    return {"operation": "CREATE", "namespace": document["metadata"].get("namespace"), "object": document}


def scope_of(document):
    request = request_of(document)
    return {"request": request, "object": request["object"], "oldObject": request.get("oldObject")}


def rego(template, constraint, document):
    source = next(code for code in template["spec"]["targets"][0]["code"] if code["engine"] == "Rego")["source"]["rego"]
    package = re.search(r"^package (\S+)", source, re.M).group(1)
    asked = {
        "source": source,
        "input": {"review": request_of(document), "parameters": constraint["spec"]["parameters"]},
        "query": f"x := [m | data.{package}.violation[m]]",
    }
    run = [sys.executable, __file__, "--rego"]
    answer = subprocess.run(run, input=json.dumps(asked), capture_output=True, text=True, check=True).stdout
    found = json.loads(answer)
    counts["rego"] += 1
    return sorted(violation["msg"] for violation in found["bindings"]["x"])


def native(template, constraint, document):
    source = next(code for code in template["spec"]["targets"][0]["code"] if code["engine"] != "Rego")["source"]
    scope = scope_of(document)
    given = {"anyObject": scope["object"], "params": constraint["spec"]["parameters"]}
    return says(source, {**scope, "variables": given})


def check_suites():
    for suite in top.rglob("suite.yaml"):
        for test in documents(suite)[0]["tests"]:
            template, constraint = (documents(suite.parent / test[part])[0] for part in ("template", "constraint"))
            for case in test["cases"]:
                document = documents(suite.parent / case["object"])[0]
                [assertion] = case["assertions"]
                expected = [] if assertion["violations"] == "no" else [assertion["message"]]
                for engine in (rego, native):
                    found = engine(template, constraint, document)
                    if found != expected:
                        fail(f"{engine.__name__}: {case['name']}: expected {expected}, found {found}")


def check_admission(objects, pod):
    named = {(value["kind"], value["metadata"]["name"]): value for value in objects}
    for (kind, name), binding in named.items():
        if kind == "MutatingAdmissionPolicy":
            tests = top / "tests" / name
            check_mutation(binding, *(documents(tests / f"{when}.yaml")[0] for when in ("before", "after")))
        if kind != "ValidatingAdmissionPolicyBinding":
            continue
        spec = named["ValidatingAdmissionPolicy", binding["spec"]["policyName"]]["spec"]
        tests = sorted((top / "tests" / name).rglob("*.yaml"))
        if not tests:
            fail(f"no test of {name}")
        for path in tests:
            found = says(spec, scope_of(documents(path)[0]))
            if bool(found) != path.name.startswith("reject-"):
                fail(f"{path}: {found}")
            words = [line[2:] for line in path.read_text().splitlines() if line.startswith("# ")]
            if found and found != words[1:]:
                fail(f"{path}: expected {words[1:]}, found {found}")
        if pod:
            found = says(spec, scope_of(pod))
            if found:
                fail(f"{name} does not accept the pod that kiln writes: {found}")


def check_mutation(policy, before, after):
    """The policy touches the pod as it is before, and not what it makes of it: it is called again."""
    for pod, expected in ((before, True), (after, False)):
        conditions = policy["spec"]["matchConditions"]
        found = all(evaluate(one["expression"], scope_of(pod), cel.Type.BOOL) for one in conditions)
        if found != expected:
            fail(f"{policy['metadata']['name']}: {pod['metadata']['name']}: touched: {found}")
        strict(pod)
    counts["cel"] += 1


def check_kyverno(pod):
    path = top / "kyverno-test.yaml"
    if not path.exists():
        return
    test = documents(path)[0]
    policies = {value["metadata"]["name"]: value for name in test["policies"] for value in documents(top / name)}
    pods = {value["metadata"]["name"]: value for name in test["resources"] for value in documents(top / name)}
    for result in test["results"]:
        policy = policies[result["policy"]]
        if policy["kind"] == "MutatingPolicy":
            [after] = documents(top / result["patchedResources"])
            [name] = result["resources"]
            check_mutation(policy, pods[name], after)
            continue
        if policy["kind"] == "ClusterPolicy":
            [rule] = policy["spec"]["rules"]
            given = rule["validate"]["cel"]
            spec = {
                "matchConditions": rule.get("celPreconditions", []),
                "variables": given["variables"],
                "validations": given["expressions"],
            }
        else:
            spec = policy["spec"]
        for name in result["resources"]:
            found = says(spec, scope_of(pods[name]))
            if bool(found) != (result["result"] == "fail"):
                fail(f"{result['policy']}: {name}: {found}")
        if pod and says(spec, scope_of(pod)):
            fail(f"{result['policy']} does not accept the pod that kiln writes")


def main():
    pod = documents(Path(sys.argv[3]))[0] if len(sys.argv) > 3 else None
    objects = []
    for path in sorted(top.rglob("*.yaml")):
        for value in documents(path):
            if not isinstance(value, dict) or "kind" not in value:
                continue
            group = value["apiVersion"].rpartition("/")[0]
            if group in ("", "admissionregistration.k8s.io"):
                strict(value)
            elif group == "policies.kyverno.io":
                # The stable kinds, in the newest version.
                strict(as_kubernetes(value), kubernetes_validate.latest_version())
            elif value["kind"] == "AdmissionReview":
                strict(request_of(value)["object"])
                strict(value["request"]["oldObject"])
            if not {"tests", "samples"} & set(path.relative_to(top).parts):
                objects.append(value)
    check_suites()
    check_admission(objects, pod)
    check_kyverno(pod)
    told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    print(f"{top.name}: {told}")


main()
