"""What becomes of shapes that are no points."""

OTHER_SHAPES = ('error', 'skip', 'center')


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Check an option.

    Raises:
        ValueError: ``value`` is not one of ``choices``.
    """
    if value not in choices:
        raise ValueError(f'expected {name} to be one of {choices}, got {value!r}')


def takes_center(
    kind: str,
    *,
    centered: tuple[str, ...],
    other_shapes: str,
    where: str,
    point: str = 'point',
) -> bool:
    """Whether a shape counts as a point at its centre (True) or is left out (False).

    Args:
        kind: the shape's type in the source.
        centered: types with a centre that lies in them for certain; a polygon has none.
        other_shapes: one of :data:`OTHER_SHAPES`.
        where: the place of the shape.
        point: what points are called in the source.

    Raises:
        ValueError: shapes that are no points are an error, or this one has no centre.
    """
    if other_shapes == 'skip':
        return False
    if other_shapes == 'center' and kind in centered:
        return True
    wanted = [point, *centered] if other_shapes == 'center' else [point]
    raise ValueError(
        f'{where}: expected a {" or ".join(wanted)}, got a {kind} (other_shapes: '
        f'{" or ".join(repr(c) for c in OTHER_SHAPES if c != other_shapes)})'
    )
