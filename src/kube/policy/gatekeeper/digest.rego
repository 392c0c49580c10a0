package k8srequireimagedigest

violation[{"msg": msg}] {
    brought[item]
    container := item.container
    is_unpinned(container)
    msg := sprintf(
        "%v '%v' must pin its image by digest, found '%v'",
        [item.label, container.name, image(container)]
    )
}

is_unpinned(container) {
    not is_exempt(container)
    not regex.match(`@sha256:[0-9a-f]{64}$`, image(container))
}

image(container) = object.get(container, "image", "")

