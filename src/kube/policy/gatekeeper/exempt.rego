
is_exempt(container) {
    container.image == exempt_images[_]
}

is_exempt(container) {
    exemption := exempt_images[_]
    endswith(exemption, "*")
    startswith(container.image, trim_suffix(exemption, "*"))
}

exempt_images = object.get(object.get(input, "parameters", {}), "exemptImages", [])
