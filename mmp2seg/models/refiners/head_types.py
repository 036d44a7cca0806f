"""Put a head of ours in the place of mmdet's within a detector's config."""

import copy


def with_type(head: dict, name: str, *, instead_of: str) -> dict:
    """A copy of a head's config with the type ``mmp2seg.<name>``.

    Args:
        head: the config; its ``type`` is a string, with or without a scope, or a class.
        name: of our head, which takes the arguments of the other one.
        instead_of: name of mmdet's head.

    Raises:
        ValueError: ``head`` is of neither type.
    """
    given = head['type'] if isinstance(head['type'], str) else head['type'].__name__
    if given.split('.')[-1] not in (name, instead_of):
        raise ValueError(
            f'the options for pseudo labels expected a head of type {instead_of}, got {given}'
        )
    head = copy.deepcopy(head)
    head['type'] = f'mmp2seg.{name}'
    return head
