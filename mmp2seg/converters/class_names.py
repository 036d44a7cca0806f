"""Class names given on a command line."""

from collections.abc import Sequence
from pathlib import Path

from mmp2seg.files.text_reading import read_text

_KNOWN = {'voc': 'VOCDataset', 'coco': 'CocoDataset'}


def resolve_classes(names: Sequence[str]) -> list[str]:
    """Return class names without background, in the order of their map values 1..K.

    Args:
        names: the names themselves, or a single word: 'voc' (20 classes), 'coco' (80 classes), or
            the path of a UTF-8 text file with one name per line.

    Raises:
        ValueError: there are no names, a name is repeated, or the file is not UTF-8; the message
            names the file, if the names are in one.
    """
    if len(names) == 1 and names[0] in _KNOWN:
        import mmdet.datasets  # takes seconds, and most names need it not

        return list(getattr(mmdet.datasets, _KNOWN[names[0]]).METAINFO['classes'])
    where = ''
    if len(names) == 1 and Path(names[0]).is_file():
        where = f'{names[0]}: '
        lines = read_text(names[0]).splitlines()
        names = [line.strip() for line in lines if line.strip()]
    if not names:
        raise ValueError(f'{where}expected at least one class name, got none')
    twice = [name for place, name in enumerate(names) if name in names[:place]]
    if twice:
        raise ValueError(f'{where}expected unique class names, got {twice[0]!r:.60} twice')
    return list(names)
