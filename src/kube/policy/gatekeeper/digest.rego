package k8srequireimagedigest

violation[{"msg": msg}] {
    not is_update
    container := input.review.object.spec.containers[_]
    is_unpinned(container)
    msg := sprintf("Container '%v' must pin its image by digest, found '%v'", [container.name, image(container)])
}

violation[{"msg": msg}] {
    not is_update
    container := input.review.object.spec.initContainers[_]
    is_unpinned(container)
    msg := sprintf("Init container '%v' must pin its image by digest, found '%v'", [container.name, image(container)])
}

violation[{"msg": msg}] {
    container := input.review.object.spec.ephemeralContainers[_]
    not is_there_already(container)
    is_unpinned(container)
    msg := sprintf("Ephemeral container '%v' must pin its image by digest, found '%v'", [container.name, image(container)])
}

is_unpinned(container) {
    not is_exempt(container)
    not regex.match(`@sha256:[0-9a-f]{64}$`, image(container))
}

image(container) = object.get(container, "image", "")

