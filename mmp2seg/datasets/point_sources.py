"""Where the point of a COCO annotation comes from."""

from collections.abc import Callable, Mapping

from mmp2seg.datasets.point_dataset import parse_point


def check_point_source(point_source: str) -> None:
    """Refuse the name of a source that does not exist.

    Raises:
        ValueError: it is none of ``'point'``, ``'bbox'`` and ``'keypoints'``.
    """
    if point_source not in _READERS:
        raise ValueError(
            f'expected point_source to be one of {tuple(_READERS)}, got {point_source!r}'
        )


def read_annotation_point(
    annotation: Mapping, *, point_source: str = 'point', where: str
) -> list[float]:
    """The point of an annotation.

    Args:
        annotation: an entry of a COCO json.
        point_source: ``'point'`` (its ``[x, y]`` in continuous coordinates), ``'bbox'`` (the centre
            of its box ``[x, y, w, h]``) or ``'keypoints'`` (its first labelled keypoint, ``v > 0``;
            COCO counts keypoints in pixel indices, so that .5 is added).
        where: file and place, for errors.

    Returns:
        ``[x, y]``, finite floats, continuous; perhaps outside of the image.

    Raises:
        ValueError: there is no such point; begins with ``where``.
    """
    return _READERS[point_source](annotation, where)


def _given_point(annotation: Mapping, where: str) -> list[float]:
    point = annotation.get('point')
    if isinstance(point, str | dict):  # '12' is not the point (1, 2)
        raise ValueError(f'{where}: expected a point of two finite numbers x y, got {point!r:.60}')
    return parse_point(point, where=where)


def _center_of_bbox(annotation: Mapping, where: str) -> list[float]:
    bbox = annotation.get('bbox')
    try:
        if isinstance(bbox, str | dict):
            raise TypeError
        x, y, width, height = map(float, bbox)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{where}: expected a 'bbox' of four numbers, got {bbox!r:.60}") from None
    return parse_point((x + width / 2, y + height / 2), where=where)


def _first_keypoint(annotation: Mapping, where: str) -> list[float]:
    keypoints = annotation.get('keypoints')
    try:
        numbers = [float(number) for number in keypoints]
    except (TypeError, ValueError, OverflowError):
        numbers = []
    for x, y, visibility in zip(numbers[::3], numbers[1::3], numbers[2::3]):
        if visibility > 0:
            return parse_point((x + 0.5, y + 0.5), where=where)
    raise ValueError(f"{where}: expected 'keypoints' with a labelled one, got {keypoints!r:.60}")


_READERS: dict[str, Callable[[Mapping, str], list[float]]] = {
    'point': _given_point,
    'bbox': _center_of_bbox,
    'keypoints': _first_keypoint,
}
