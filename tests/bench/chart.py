"""The chart of what `harden` measured: who takes how long, and how kiln grows. SVG, by hand: it is bars and lines."""

from xml.sax.saxutils import escape

WIDTH, LEFT = 760, 190
INK, SOFT, CLAY, STONE = "#222", "#777", "#b5532a", "#b9b2a6"


def text(x, y, what, anchor="start", size=13, fill=INK):
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-size="{size}" fill="{fill}">{escape(what)}</text>'


def bars(title, costs, key, y):
    """Bars with their numbers; gives what was drawn, and where the next thing goes."""
    out = [text(0, y, title, size=15)]
    most = max(cost[key] for _, cost in costs)
    for name, cost in costs:
        y += 24
        width = (WIDTH - LEFT - 90) * cost[key] / most
        out.append(text(LEFT - 10, y + 13, name, "end"))
        out.append(f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="17" fill="{CLAY if name == "kiln" else STONE}"/>')
        out.append(text(LEFT + width + 8, y + 13, f"{cost[key]:.2f} s"))
    return out, y + 54


def line(title, points, unit, x, y, width, height, fill):
    """Points from the origin, joined; each with its number."""
    out = [text(x, y, title, size=15)]
    y += 20
    right, top = max(point[0] for point in points), max(point[1] for point in points) * 1.15
    place = lambda point: (x + width * point[0] / right, y + height - height * point[1] / top)
    out.append(f'<path d="M{x} {y}V{y + height}H{x + width}" fill="none" stroke="{SOFT}"/>')
    out.append('<polyline fill="none" stroke="{}" stroke-width="2" points="{}"/>'.format(fill, " ".join("{:.1f},{:.1f}".format(*place(point)) for point in points)))
    for point in points:
        at = place(point)
        out.append(f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="3" fill="{fill}"/>')
    last = place(points[-1])
    out.append(text(last[0], last[1] - 9, f"{points[-1][1]:.0f} {unit}" if points[-1][1] >= 10 else f"{points[-1][1]:.1f} {unit}", "end"))
    out.append(text(x + width, y + height + 17, f"{points[-1][2]}", "end", 12, SOFT))
    return out


def draw(document):
    sections, out, y = document["sections"], [], 24
    if one := sections.get("one"):
        names = ["floor", "kiln", "skopeo copy", "gzip -dc | sha256sum", "pigz -dc | pigz -6", "umoci", "buildah"]
        shown = [(name if name != "floor" else f"floor: {one['floor']}", one["costs"][name]) for name in names]
        drawn, y = bars(f"Processor time, one gzip layer of {one['tar'] / 1e6:.0f} MB", shown, "cpu", y)
        out += drawn
    if large := sections.get("large"):
        names = ["floor", "kiln", "skopeo copy", "gzip -dc | sha256sum", "pigz -dc | pigz -6", "umoci", "buildah"]
        drawn, y = bars(f"Wall time, {large['tar'] / 1e9:.1f} GB in {large['image']['layers']} layers", [(name, large[name]) for name in names], "wall", y)
        out += drawn
    if growth := sections.get("growth"):
        sizes = [(size["bytes"] / 1e9, size["wall"], f"{size['bytes'] / 1e9:.1f} GB") for size in growth["sizes"]]
        peaks = [(size["bytes"] / 1e9, size["peak_mib"], f"{size['bytes'] / 1e9:.1f} GB") for size in growth["sizes"]]
        layers = [(size["layers"], size["wall"], f"{size['layers']} layers") for size in growth["layers"]]
        for number, (title, points, unit) in enumerate((("Wall time by size", sizes, "s"), ("Peak memory by size", peaks, "MiB"), ("Wall time by layers", layers, "s"))):
            out += line(title, points, unit, number * 260, y, 220, 130, CLAY)
        y += 190
    style = "font-family='Helvetica, Arial, sans-serif'"
    body = "\n".join(out)
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-8 0 {WIDTH + 24} {y}" {style}>\n<rect x="-8" width="100%" height="100%" fill="#fff"/>\n{body}\n</svg>\n'
