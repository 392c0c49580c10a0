# A pod that is there already cannot be changed; checking it again would only keep its finalizers.
is_update {
    input.review.operation == "UPDATE"
}

# An ephemeral container cannot be changed or taken away either.
is_there_already(container) {
    is_update
    input.review.oldObject.spec.ephemeralContainers[_].name == container.name
}
