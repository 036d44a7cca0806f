"""Lists of class names on a command line."""

from collections.abc import Sequence
from pathlib import Path

from mmdet.datasets import CocoDataset, VOCDataset

_KNOWN = {'voc': VOCDataset.METAINFO['classes'], 'coco': CocoDataset.METAINFO['classes']}


def resolve_classes(names: Sequence[str]) -> list[str]:
    """Class names without background, in the order of the map values 1..K.

    Args:
        names: the names themselves, or one word alone: 'voc' (20), 'coco' (80), or the path of a
            UTF-8 text file with a name per line.

    Raises:
        ValueError: no names, or a name twice.
    """
    if len(names) == 1 and names[0] in _KNOWN:
        return list(_KNOWN[names[0]])
    if len(names) == 1 and Path(names[0]).is_file():
        lines = Path(names[0]).read_text(encoding='utf-8-sig').splitlines()
        names = [line.strip() for line in lines if line.strip()]
    if not names:
        raise ValueError('expected at least one class name, got none')
    twice = [name for place, name in enumerate(names) if name in names[:place]]
    if twice:
        raise ValueError(f'expected class names that differ, got {twice[0]!r} twice')
    return list(names)
