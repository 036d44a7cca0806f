"""Lists of class names, given in Python or in a config."""

from collections.abc import Sequence


def class_names(classes: Sequence[str]) -> list[str]:
    """Return the names of a list of classes.

    Raises:
        ValueError: ``classes`` is a str, which Python would take for a list of letters; or an entry
            is no str, or is there twice.
    """
    if isinstance(classes, str):
        raise ValueError(
            f'expected classes to be a list or a tuple of names, got the str {classes!r}: a single '
            f'class is written ({classes!r},), with a comma'
        )
    names = list(classes)
    for place, name in enumerate(names):
        if not isinstance(name, str):
            raise ValueError(f'expected classes to be names, got {name!r}')
        if name in names[:place]:
            raise ValueError(f'expected unique class names, got {name!r} twice in {names}')
    return names
