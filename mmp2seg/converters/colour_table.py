"""The colours of classes in maps that are stored as colours: CVAT's ``labelmap.txt``."""

from collections.abc import Sequence
from pathlib import Path

from mmp2seg.datasets.coco_content import BACKGROUND
from mmp2seg.files.index_png import Colour
from mmp2seg.files.text_reading import read_text, whole_number
from mmp2seg.ops.components import IGNORE

_IGNORE_NAME = 'ignore'
_BLACK = (0, 0, 0)


def read_colour_table(
    words: Sequence[str], *, classes: Sequence[str] | None = None
) -> tuple[dict[Colour, int], list[str]]:
    """Return the map value of each colour.

    The name ``background`` has the value 0 and ``ignore`` 255. Black is background unless the table
    says otherwise.

    Args:
        words: the path of a ``labelmap.txt`` of CVAT alone, with a line ``NAME:R,G,B:...`` per
            class and comments after ``#``; or ``NAME=R,G,B`` for each class.
        classes: names of the classes in the order of their values 1..K; None = the order of the
            table.

    Returns:
        tuple: value by colour, and the names of the classes.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: an entry is malformed, a name or a colour is repeated, or ``classes`` has a name
            that the table lacks; the message names the file and the line, or the entry.
    """
    is_file = len(words) == 1 and '=' not in words[0]
    entries = _file_entries(words[0]) if is_file else [(word, *_split(word, '=')) for word in words]
    place = words[0] if is_file else '--labelmap'
    colour_of: dict[str, Colour] = {}
    for where, name, text in entries:
        colour = _colour(name, text, where=where)
        if name in colour_of:
            raise ValueError(f'{where}: expected each name once, got {name!r} again')
        if colour in colour_of.values():
            raise ValueError(f'{where}: expected each colour once, got {colour} again')
        colour_of[name] = colour
    special = {BACKGROUND: 0, _IGNORE_NAME: IGNORE}
    names = [name for name in colour_of if name not in special]
    if classes is not None:
        missing = [name for name in classes if name not in names]
        if missing:
            raise ValueError(f'{place}: expected a colour of {missing[0]!r}, got those of {names}')
        names = list(classes)
    if not 0 < len(names) < IGNORE:
        raise ValueError(f'{place}: expected colours of 1..{IGNORE - 1} classes, got {len(names)}')
    values = {name: value for value, name in enumerate(names, start=1)} | special
    # other classes of the table are background
    table = {colour: values.get(name, 0) for name, colour in colour_of.items()}
    return {_BLACK: 0} | table, names


def _file_entries(path: str) -> list[tuple[str, str, str]]:
    """Return the place, the name and the colour of each line."""
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path}: no such file (--labelmap NAME=R,G,B ... needs none)')
    entries = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith('#'):
            entries.append((f'{path}:{number}', *_split(line.strip(), ':')))
    return entries


def _split(text: str, separator: str) -> tuple[str, str]:
    name, _, rest = text.partition(separator)
    return name.strip(), rest.partition(':')[0].strip()


def _colour(name: str, text: str, *, where: str) -> Colour:
    numbers = [whole_number(word) for word in text.split(',')]
    if (
        not name
        or len(numbers) != 3
        or not all(number is not None and number <= 255 for number in numbers)
    ):
        raise ValueError(
            f'{where}: expected a name and a colour R,G,B of 0..255, got {name!r}, {text!r:.60}'
        )
    red, green, blue = numbers
    return red, green, blue
