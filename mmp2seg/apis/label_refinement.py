"""Refine pseudo labels with SAM's candidates: the steps of ``mmp2seg refine-labels``."""

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from mmp2seg.apis.arguments import CommandError
from mmp2seg.pseudo_labels.coco_json import Entry
from mmp2seg.pseudo_labels.refinement import CandidateRefiner
from mmp2seg.registry import TASK_UTILS


def build_label_refiner(cfg: Config) -> CandidateRefiner:
    """Build the ``label_refiner`` of a config.

    Raises:
        CommandError: the config has none, or one that takes no labels and candidates.
    """
    options = cfg.get('label_refiner') or {}
    kind = TASK_UTILS.get(options['type']) if 'type' in options else None
    if not (isinstance(kind, type) and issubclass(kind, CandidateRefiner)):
        raise CommandError(
            f'{cfg.filename}: expected a label_refiner, as in configs/point_segmenter/sam.py, got '
            f'{options.get("type")}'
        )
    refiner: CandidateRefiner = TASK_UTILS.build(dict(options))
    return refiner


def points_of_labels(labels: Mapping[str, Any]) -> Entry:
    """Return the points of pseudo labels as the content of a point json.

    The ids of the points are their ``point_id``; an image has each of them once.

    Args:
        labels: content of a pseudo label json.
    """
    entries = [*labels['annotations'], *labels['dropped_points']]
    keys = ('image_id', 'category_id', 'point')
    return {
        'images': labels['images'],
        'categories': labels['categories'],
        'annotations': [
            {'id': entry['point_id'], **{key: entry[key] for key in keys}} for entry in entries
        ],
    }
