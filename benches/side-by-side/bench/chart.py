"""Bar charts as SVG, without a library."""

import html

COLOURS = ("#9aa5b1", "#1768ac", "#6ab0de", "#f0a202", "#c0392b")
BAR, GAP, LABELS, PLOT, TOP, RIGHT = 11, 12, 170, 520, 64, 70


def grouped_bars(title, groups, titles, line=None, digits=2):
    """`groups`: (name, {series: value or None}, mark or None). `line` marks a value through all groups."""
    groups = [
        (name, {key: value for key, value in values.items() if value is not None}, mark) for name, values, mark in groups
    ]
    largest = max([line or 0.0, *(value for _, values, _ in groups for value in values.values())] or [0.0])
    scale = PLOT / (largest * 1.05 or 1.0)
    heights = [max(1, len(values)) * BAR + GAP for _, values, _ in groups]
    height, width = TOP + sum(heights) + 24, LABELS + PLOT + RIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="20" font-size="14" fill="#222222">{html.escape(title)}</text>',
        *legend(titles),
    ]
    top = TOP
    for (name, values, mark), group_height in zip(groups, heights):
        middle = top + (group_height - GAP) / 2 + 4
        label = html.escape(name)
        parts.append(f'<text x="{LABELS - 8}" y="{middle:.0f}" text-anchor="end" fill="#222222">{label}</text>')
        for number, (key, value) in enumerate(values.items()):
            colour = COLOURS[list(titles).index(key) % len(COLOURS)]
            y, length = top + number * BAR, max(0.0, value) * scale
            parts.append(f'<rect x="{LABELS}" y="{y}" width="{length:.1f}" height="{BAR - 2}" fill="{colour}"/>')
            text = f"{value:,.{digits}f}"
            parts.append(
                f'<text x="{LABELS + length + 4:.1f}" y="{y + BAR - 3}" font-size="9" fill="#444444">{text}</text>'
            )
        if mark is not None:
            x = LABELS + mark * scale
            parts.append(
                f'<line x1="{x:.1f}" y1="{top - 2}" x2="{x:.1f}" y2="{top + group_height - GAP}"'
                ' stroke="#2e8b57" stroke-width="2"/>'
            )
        top += group_height
    if line is not None:
        x = LABELS + line * scale
        parts.append(f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{top - 4}" stroke="#222222" stroke-dasharray="3 3"/>')
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def legend(titles):
    x, parts = 10, []
    for number, title in enumerate(titles.values()):
        parts.append(f'<rect x="{x}" y="34" width="10" height="10" fill="{COLOURS[number % len(COLOURS)]}"/>')
        parts.append(f'<text x="{x + 14}" y="43" fill="#222222">{html.escape(title)}</text>')
        x += 30 + 7 * len(title)
    return parts
