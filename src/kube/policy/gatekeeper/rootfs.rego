package k8srequirereadonlyrootfilesystem

violation[{"msg": msg}] {
    brought[item]
    is_mutable(item.container)
    msg := sprintf(
        "%v '%v' must set securityContext.readOnlyRootFilesystem to true",
        [item.label, item.container.name]
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

