"""Draw Shapes scenes: textures, backgrounds, clutter, shaded objects, camera effects.

All images are float32 BGR in 0..255 until ``photograph`` rounds them. Lengths are in pixels.
``unit`` is the length of a small detail: 1 in an image with sides of 128 pixels.
"""

import cv2
import numpy as np

from mmp2seg.ops.noise import smooth_noise

# Ranges of saturation. Objects are more saturated than backgrounds and clutter, because objects
# that people annotate usually stand out a little.
DULL = (0.0, 0.3)
VIVID = (0.4, 0.9)


def random_colour(
    rng: np.random.Generator,
    *,
    saturation: tuple[float, float] = VIVID,
    hue: float | None = None,
) -> np.ndarray:
    """Draw a random colour (3,) float32 BGR that is not close to black or white.

    Args:
        rng: random generator.
        saturation: range of the saturation, in 0..1.
        hue: in degrees; three of four colours have a hue close to it. None = any hue.
    """
    if hue is None or rng.random() < 0.25:
        hue = rng.uniform(0, 360)
    else:
        hue = (hue + rng.normal(0, 20)) % 360
    hsv = np.array([[[hue, rng.uniform(*saturation), rng.uniform(0.35, 0.9)]]])
    return 255 * cv2.cvtColor(hsv.astype(np.float32), cv2.COLOR_HSV2BGR)[0, 0]


def _soft_step(values: np.ndarray, sharpness: float) -> np.ndarray:
    """Map values around 0 to 0..1 with a sigmoid."""
    return 1 / (1 + np.exp(-sharpness * values))


def _grid(shape: tuple[int, int], *, centre_xy=(0.0, 0.0), angle: float = 0.0):
    """Return pixel coordinates u, v (H, W) around ``centre_xy``, rotated by ``angle`` (radians)."""
    x = np.arange(shape[1], dtype=np.float32)[None] + 0.5 - centre_xy[0]
    y = np.arange(shape[0], dtype=np.float32)[:, None] + 0.5 - centre_xy[1]
    cos, sin = np.cos(angle), np.sin(angle)
    return cos * x + sin * y, -sin * x + cos * y


def texture(
    family: str,
    shape: tuple[int, int],
    *,
    centre_xy: tuple[float, float],
    angle: float,
    period: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return a pattern (H, W) float32 in 0..1 of a texture family.

    Args:
        family: 'spots', 'stripes', 'grain', 'spokes' or 'plain' (hardly any pattern).
        shape: (H, W).
        centre_xy: origin of the pattern, where the spokes meet.
        angle: direction of the pattern in radians.
        period: distance between spots, stripes or grains; ignored for spokes, of which there are 6
            to 9.
        rng: random generator of phase, distortion and grain.

    Raises:
        ValueError: the family is unknown.
    """
    u, v = _grid(shape, centre_xy=centre_xy, angle=angle)
    wobble = 0.12 * period * smooth_noise(shape, cell=2 * period, rng=rng)
    phase = rng.uniform(0, 2 * np.pi, size=2)
    sharpness = rng.uniform(2, 5)
    wave = 2 * np.pi / period
    if family == 'spots':
        waves = np.cos(wave * (u + wobble) + phase[0]) + np.cos(wave * (v - wobble) + phase[1])
        return _soft_step(waves - 0.5, sharpness)
    if family == 'stripes':
        return _soft_step(np.sin(wave * (u + wobble) + phase[0]), sharpness)
    if family == 'grain':
        return _soft_step(smooth_noise(shape, cell=max(0.5 * period, 2), rng=rng), sharpness)
    if family == 'spokes':
        return _soft_step(np.sin(rng.integers(6, 10) * np.arctan2(v, u) + phase[0]), sharpness)
    if family == 'plain':
        return 0.2 * _soft_step(smooth_noise(shape, cell=period, rng=rng), sharpness)
    raise ValueError(f'expected spots, stripes, grain, spokes or plain, got {family!r}')


def background(shape: tuple[int, int], *, unit: float, rng: np.random.Generator) -> np.ndarray:
    """Return a textured background (H, W, 3): three tones mixed by patterns of several sizes.

    Object textures occur here too, so that texture alone does not identify an object.
    """
    height, width = shape
    tones = [random_colour(rng, saturation=DULL) for _ in range(3)]
    u, _ = _grid(shape, angle=rng.uniform(0, 2 * np.pi))
    kind = rng.choice(['clouds', 'gradient', 'pattern', 'patches'])
    if kind == 'clouds':
        mix = _soft_step(smooth_noise(shape, cell=rng.uniform(12, 40) * unit, rng=rng), 1.5)
    elif kind == 'gradient':
        mix = (u - u.min()) / np.ptp(u)
    elif kind == 'pattern':
        mix = 0.6 * texture(
            rng.choice(['spots', 'stripes', 'grain']),
            shape,
            centre_xy=(width * rng.random(), height * rng.random()),
            angle=rng.uniform(0, 2 * np.pi),
            period=rng.uniform(6, 24) * unit,
            rng=rng,
        )
    else:
        mix = (smooth_noise(shape, cell=rng.uniform(16, 40) * unit, rng=rng) > 0).astype(np.float32)
    image = tones[0] + (tones[1] - tones[0]) * mix[..., None]
    # Add finer detail in the third tone and in brightness.
    detail = _soft_step(smooth_noise(shape, cell=rng.uniform(3, 9) * unit, rng=rng), 2)
    image += rng.uniform(0.05, 0.35) * (tones[2] - image) * detail[..., None]
    image *= 1 + rng.uniform(0.02, 0.08) * smooth_noise(shape, cell=2 * unit, rng=rng)[..., None]
    return image.astype(np.float32)


def add_clutter(image: np.ndarray, *, unit: float, rng: np.random.Generator) -> None:
    """Draw strokes and irregular patches that belong to no class, in place."""
    height, width = image.shape[:2]
    for _ in range(rng.poisson(1.5)):
        distance = np.hypot(*_grid((height, width), centre_xy=rng.random(2) * (width, height)))
        radius = rng.uniform(4, 13) * unit
        noise = smooth_noise((height, width), cell=0.8 * radius, rng=rng)
        alpha = _soft_step(radius - distance + 0.5 * radius * noise, 1.5)[..., None]
        tint = random_colour(rng, saturation=DULL) * (
            1 + 0.15 * smooth_noise((height, width), cell=3 * unit, rng=rng)[..., None]
        )
        image += rng.uniform(0.5, 1) * alpha * (tint - image)
    for _ in range(rng.poisson(3)):
        start = rng.random(2) * (width, height)
        turns = np.cumsum(rng.normal(0, 0.4, size=8)) + rng.uniform(0, 2 * np.pi)
        steps = rng.uniform(2, 8) * unit * np.stack([np.cos(turns), np.sin(turns)], 1)
        line = (16 * (start + np.cumsum(steps, 0))).astype(np.int32)
        alpha = np.zeros((height, width), np.uint8)
        thickness = max(round(rng.uniform(1, 3) * unit), 1)
        cv2.polylines(alpha, [line], False, 255, thickness, cv2.LINE_AA, 4)
        alpha = rng.uniform(0.4, 1) * alpha[..., None].astype(np.float32) / 255
        image += alpha * (random_colour(rng, saturation=DULL) - image)


def paint_object(
    image: np.ndarray,
    alpha: np.ndarray,
    *,
    family: str,
    colour: np.ndarray,
    centre_xy: tuple[float, float],
    radius: float,
    angle: float,
    unit: float,
    rng: np.random.Generator,
) -> None:
    """Draw a textured, shaded object with a soft shadow over the image, in place.

    Args:
        image: (H, W, 3) float32 BGR.
        alpha: (H, W) float32 in 0..1, the share of each pixel that the object covers.
        family: texture family of the object's class.
        colour: (3,) the object's main colour.
        centre_xy, radius, angle: position, size and direction of the object.
        unit: length of a small detail (1 in an image with sides of 128 pixels).
        rng: random generator of the variation within the class.
    """
    shape = alpha.shape
    pattern = texture(
        family,
        shape,
        centre_xy=centre_xy,
        angle=angle + rng.normal(0, 0.15),
        period=rng.uniform(0.4, 0.55) * max(radius, 11 * unit),
        rng=rng,
    )
    if rng.random() < 0.5 and family != 'plain':
        pattern = 1 - pattern
    # The second tone is a darker first tone, mixed with a random tint.
    second = rng.uniform(0.3, 0.55) * (0.75 * colour + 0.25 * random_colour(rng))
    surface = colour + (second - colour) * pattern[..., None]
    # Light from one side, and a darker rim that fades within about 2 pixels of the edge.
    u, _ = _grid(shape, centre_xy=centre_xy, angle=rng.uniform(0, 2 * np.pi))
    light = 1 + rng.uniform(0.1, 0.3) * np.clip(u / radius, -1, 1)
    inside = np.pad(alpha >= 0.5, 1, mode='edge').astype(np.uint8)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1] if not inside.all() else 9
    rim = 1 - rng.uniform(0.25, 0.5) * np.exp(-np.square(depth / (1.5 * unit)))
    wear = 1 + rng.uniform(0.02, 0.08) * smooth_noise(shape, cell=2 * unit, rng=rng)
    surface = surface * (light * rim * wear)[..., None]
    # The shadow separates the object from a similar object below it.
    drop = rng.uniform(0.5, 2, size=2) * unit
    shadow = cv2.warpAffine(
        alpha, np.float32([[1, 0, drop[0]], [0, 1, drop[1]]]), (shape[1], shape[0])
    )
    shadow = cv2.GaussianBlur(shadow, (0, 0), 1.2 * unit)
    image *= 1 - rng.uniform(0.25, 0.5) * shadow[..., None]
    image += alpha[..., None] * (surface - image)


def photograph(image: np.ndarray, *, unit: float, rng: np.random.Generator) -> np.ndarray:
    """Add uneven light, lens blur, contrast and sensor noise; return (H, W, 3) uint8."""
    shape = image.shape[:2]
    u, _ = _grid(shape, angle=rng.uniform(0, 2 * np.pi))
    ramp = 2 * (u - u.min()) / max(np.ptp(u), 1) - 1
    spot = smooth_noise(shape, cell=60 * unit, rng=rng)
    image = image * (1 + rng.uniform(0, 0.25) * ramp + 0.05 * spot)[..., None]
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.35, 0.8) * unit)
    mean = image.mean()
    image = mean * rng.uniform(0.85, 1.15) + (image - mean) * rng.uniform(0.7, 1.1)
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    image = image + rng.uniform(2, 8) * noise
    return np.clip(np.round(image), 0, 255).astype(np.uint8)
