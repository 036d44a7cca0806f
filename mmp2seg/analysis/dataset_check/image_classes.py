"""The classes of each image, in the format of ``train_cls.txt`` of BESTIE's and P2Seg's data."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from mmp2seg.files.text_reading import read_text


def read_image_classes(path: str | Path, *, num_classes: int) -> dict[str, tuple[int, ...]]:
    """Read a file with a line ``<id> <class> <class> ...`` per image.

    Args:
        path: text file; blank lines are ignored.
        num_classes: number K of classes without background.

    Returns:
        Image id -> classes 0..K-1, ascending and unique, in the order of the lines; no classes for
        an image without objects. Empty for an empty file.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: a word is not a class 0..K-1, or an image has two lines; the message begins with
            ``path:line``.
    """
    classes: dict[str, tuple[int, ...]] = {}
    line_of: dict[str, int] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        name, *words = line.split()
        where = f'{path}:{number}'
        if name in line_of:
            raise ValueError(f'{where}: image {name} duplicates line {line_of[name]}')
        line_of[name] = number
        classes[name] = tuple(sorted({_parse_class(word, num_classes, where) for word in words}))
    return classes


def compare_image_classes(
    image_classes: Mapping[str, Iterable[int]], point_classes: Mapping[str, Iterable[int]]
) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """Find images whose classes differ from the classes of their points.

    Args:
        image_classes: see :func:`read_image_classes`; images that are not in ``point_classes`` are
            ignored, as the file may list more images than the split.
        point_classes: image id -> classes of its points, may repeat.

    Returns:
        Image id -> (classes that have points but are not in ``image_classes``, classes of
        ``image_classes`` without a point), both ascending; an image without a line has no classes.
        Empty if all agree.
    """
    differing = {}
    for name, labels in point_classes.items():
        listed, pointed = set(image_classes.get(name, ())), {int(label) for label in labels}
        if listed != pointed:
            differing[name] = (tuple(sorted(pointed - listed)), tuple(sorted(listed - pointed)))
    return differing


def _parse_class(word: str, num_classes: int, where: str) -> int:
    try:
        value = float(word)  # some files write classes as '3.0'
    except ValueError:
        value = float('nan')
    if not (value.is_integer() and 0 <= value < num_classes):
        raise ValueError(f'{where}: expected a class 0..{num_classes - 1}, got {word!r:.60}')
    return int(value)
