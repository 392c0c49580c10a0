package k8sallowwritablemounts

violation[{"msg": msg}] {
    checked[[label, container]]
    not container.securityContext.readOnlyRootFilesystem == true
    msg := sprintf("%v '%v' must set securityContext.readOnlyRootFilesystem to true", [label, container.name])
}

violation[{"msg": msg}] {
    checked[[label, container]]
    paths := [mount.mountPath | mount := container.volumeMounts[_]; is_undeclared(mount)]
    count(paths) > 0
    msg := sprintf("%v '%v' mounts %v writable, where its image does not write", [label, container.name, concat(", ", paths)])
}

violation[{"msg": msg}] {
    checked[[label, container]]
    paths := [mount.mountPath | mount := container.volumeMounts[_]; is_of_host(mount)]
    count(paths) > 0
    msg := sprintf("%v '%v' mounts the host's files at %v", [label, container.name, concat(", ", paths)])
}

# The image's containers that the request brings.
checked[["Container", container]] {
    not is_update
    container := input.review.object.spec.containers[_]
    is_of_image(container)
}

checked[["Init container", container]] {
    not is_update
    container := input.review.object.spec.initContainers[_]
    is_of_image(container)
}

checked[["Ephemeral container", container]] {
    container := input.review.object.spec.ephemeralContainers[_]
    not is_there_already(container)
    is_of_image(container)
}

is_of_image(container) {
    container.image == input.parameters.repositories[_]
}

is_of_image(container) {
    repository := input.parameters.repositories[_]
    startswith(container.image, concat("", [repository, [":", "@"][_]]))
}

is_undeclared(mount) {
    not mount.readOnly == true
    not is_of_read_only_kind(mount)
    not is_declared(mount)
}

is_of_read_only_kind(mount) {
    volume := input.review.object.spec.volumes[_]
    volume.name == mount.name
    volume[["configMap", "secret", "projected", "downwardAPI", "image"][_]]
}

# A path that means another one is declared nowhere.
is_declared(mount) {
    not regex.match(`(^|/)[.][.]?(/|$)|//`, mount.mountPath)
    path := input.parameters.writablePaths[_]
    is_at_or_below(mount.mountPath, path)
}

is_at_or_below(path, top) {
    path == top
}

is_at_or_below(path, top) {
    startswith(path, concat("", [top, "/"]))
}

is_of_host(mount) {
    volume := input.review.object.spec.volumes[_]
    volume.name == mount.name
    volume.hostPath
}

