# The containers that a request brings. Of a pod that is there already those that are new or get another image: nothing else of
# them can change, and to look at them again would only keep its finalizers. Of a pod that goes, none.
brought[item] {
    not is_delete
    label := labels[field]
    container := input.review.object.spec[field][_]
    not is_there_already(field, container)
    item := {"label": label, "container": container}
}

labels = {
    "containers": "Container",
    "initContainers": "Init container",
    "ephemeralContainers": "Ephemeral container"
}

is_delete {
    input.review.operation == "DELETE"
}

is_there_already(field, container) {
    input.review.operation == "UPDATE"
    old := input.review.oldObject.spec[field][_]
    old.name == container.name
    object.get(old, "image", "") == object.get(container, "image", "")
}
