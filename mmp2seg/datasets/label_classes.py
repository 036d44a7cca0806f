"""The classes of a COCO json that mmdet reads, against those of a config.

mmdet's ``CocoDataset`` and ``CocoMetric`` find the categories of the classes by name, and number
them in the order of the *file* (``get_cat_ids`` of mmdet/datasets/api_wrappers/coco_api.py). A
class that the file lacks shifts the numbers of those after it, and another order exchanges classes,
both without a word. Without any category of the classes, mmdet stops with "need at least one array
to concatenate".
"""

import json
import re
from collections.abc import Sequence

_CATEGORIES = re.compile(r'"categories"\s*:\s*(?=\[)')


def category_names(text: str) -> list[str] | None:
    """Return the names of the categories of a COCO json, in the order of the file.

    Only the categories are parsed: the file of COCO's train2017 has 450 MB.

    Args:
        text: content of the file.

    Returns:
        list: the names; None if there are no categories with names, for the reader to report.
    """
    names = None
    for found in _CATEGORIES.finditer(text):
        try:
            entries, _ = json.JSONDecoder().raw_decode(text, found.end())
        except (ValueError, RecursionError):
            continue
        if all(isinstance(entry, dict) and isinstance(entry.get('name'), str) for entry in entries):
            names = [entry['name'] for entry in entries]
    return names


def require_label_classes(path: str, names: Sequence[str], classes: Sequence[str]) -> None:
    """Check that mmdet gives the categories of a file the numbers of a config's classes.

    Other categories of the file are allowed; mmdet leaves their annotations out.

    Args:
        path: the file, for errors.
        names: names of its categories, in the order of the file.
        classes: names of the classes, in order.

    Raises:
        ValueError: a class is no category of the file, or the order differs; the message has both
            lists.
    """
    both = f'the file has {list(names)}, the config {list(classes)}'
    missing = [name for name in classes if name not in names]
    if missing:
        raise ValueError(
            f'{path}: expected a category for each class of metainfo.classes: {both}; not in the '
            f'file: {missing}'
        )
    if [name for name in names if name in classes] != list(classes):
        raise ValueError(
            f'{path}: expected its categories in the order of metainfo.classes, as mmdet numbers '
            f'classes in the order of the file: {both}'
        )
