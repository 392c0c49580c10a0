package k8sallowwritablemounts

violation[{"msg": msg}] {
    checked[item]
    container := item.container
    not container.securityContext.readOnlyRootFilesystem == true
    msg := sprintf("%v '%v' must set securityContext.readOnlyRootFilesystem to true", [item.label, container.name])
}

violation[{"msg": msg}] {
    checked[item]
    container := item.container
    paths := [mount.mountPath | mount := container.volumeMounts[_]; is_undeclared(mount)]
    count(paths) > 0
    who := sprintf("%v '%v' mounts ", [item.label, container.name])
    msg := concat("", [who, concat(", ", paths), " writable, where its image does not write"])
}

violation[{"msg": msg}] {
    checked[item]
    container := item.container
    paths := [mount.mountPath | mount := container.volumeMounts[_]; is_of_host(mount)]
    count(paths) > 0
    who := sprintf("%v '%v' mounts the host's files at ", [item.label, container.name])
    msg := concat("", [who, concat(", ", paths)])
}

# The image's containers that the request brings.
checked[item] {
    brought[item]
    is_of_image(item.container)
}

# Behind the name there is nothing, a tag or a digest: a port is followed by a path. Hosts are the same in any case.
is_of_image(container) {
    image := lower(container.image)
    repository := input.parameters.repositories[_]
    startswith(image, repository)
    regex.match(`^([:@][^/]*)?$`, substring(image, count(repository), -1))
}

is_undeclared(mount) {
    not mount.readOnly == true
    not is_of_read_only_kind(mount)
    not is_declared(mount)
}

is_of_read_only_kind(mount) {
    volume := input.review.object.spec.volumes[_]
    volume.name == mount.name
    kind := read_only_kinds[_]
    object.get(volume, kind, null) != null
}

read_only_kinds = {"configMap", "secret", "projected", "downwardAPI", "image"}

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

