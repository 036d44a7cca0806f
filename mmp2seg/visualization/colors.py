"""Colours of classes, without any import of a framework."""

import colorsys


def distinct_colors(num: int) -> list[tuple[int, int, int]]:
    """Return ``num`` saturated RGB colours; consecutive colours differ clearly in hue."""
    golden_ratio = 0.618034  # spreads any number of hues evenly
    hues = [(index * golden_ratio) % 1 for index in range(num)]
    values = [(1.0, 0.75)[index // 5 % 2] for index in range(num)]
    colors = [
        colorsys.hsv_to_rgb(hue, 0.85, value) for hue, value in zip(hues, values, strict=True)
    ]
    return [tuple(round(255 * channel) for channel in color) for color in colors]
