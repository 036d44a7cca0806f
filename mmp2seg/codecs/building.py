"""Labeler and decoder from the config of a model."""

from collections.abc import Mapping
from typing import Any

from mmp2seg.codecs.instance_decoder import InstanceDecoder
from mmp2seg.codecs.point_pseudo_labeler import PointPseudoLabeler
from mmp2seg.deprecation import warn_deprecated
from mmp2seg.registry import TASK_UTILS

# Before version 0.1, these were options of the labeler.
_MOVED_OPTIONS = ('grouping', 'landing_weight', 'anchor', 'max_landing_distance')


def build_codecs(
    labeler: Mapping[str, Any] | None, decoder: Mapping[str, Any] | None
) -> tuple[PointPseudoLabeler, InstanceDecoder]:
    """Build the labeler of a model, and its decoder with this labeler.

    Args:
        labeler: ``model.labeler``; the type is optional. Options of the decoder in it, as in
            configs from before version 0.1, go to the decoder, with a warning.
        decoder: ``model.test_cfg.decoder``; the type is optional.

    Raises:
        ValueError: if the decoder's config has a labeler.
    """
    labeler, decoder = dict(labeler or {}), dict(decoder or {})
    require_no_labeler(decoder, 'model.test_cfg.decoder')
    moved = {key: labeler.pop(key) for key in _MOVED_OPTIONS if key in labeler}
    if moved:
        warn_deprecated(
            f'{", ".join(moved)} in model.labeler is deprecated: write '
            f'model.test_cfg.decoder=dict({", ".join(f"{k}={v!r}" for k, v in moved.items())})'
        )
    built = TASK_UTILS.build({'type': 'mmp2seg.PointPseudoLabeler', **labeler})
    options = {'type': 'mmp2seg.InstanceDecoder', **moved, **decoder, 'labeler': built}
    return built, TASK_UTILS.build(options)


def require_no_labeler(config: Mapping[str, Any], name: str) -> None:
    """Refuse a second labeler.

    Raises:
        ValueError: if ``config`` has a labeler; names its place ``name``.
    """
    if 'labeler' in config:
        raise ValueError(f'expected the labeler in model.labeler alone, got one in {name}')
