package k8srequirereadonlyrootfilesystem

violation[{"msg": msg}] {
    not is_update
    container := input.review.object.spec.containers[_]
    is_mutable(container)
    msg := sprintf(
        "Container '%v' must set securityContext.readOnlyRootFilesystem to true",
        [container.name]
    )
}

violation[{"msg": msg}] {
    not is_update
    container := input.review.object.spec.initContainers[_]
    is_mutable(container)
    msg := sprintf(
        "Init container '%v' must set securityContext.readOnlyRootFilesystem to true",
        [container.name]
    )
}

violation[{"msg": msg}] {
    container := input.review.object.spec.ephemeralContainers[_]
    not is_there_already(container)
    is_mutable(container)
    msg := sprintf(
        "Ephemeral container '%v' must set securityContext.readOnlyRootFilesystem to true",
        [container.name]
    )
}

is_mutable(container) {
    not is_exempt(container)
    not is_read_only(container)
}

# The text "true" is not true, and neither is what is not there.
is_read_only(container) {
    container.securityContext.readOnlyRootFilesystem == true
}

