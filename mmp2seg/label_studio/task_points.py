"""The keypoints of a task, as Label Studio sends them.

https://labelstud.io/guide/ml_create describes the request. In an interactive one, ``context`` holds
all keypoints of the annotation with the label that was clicked; Label Studio leaves out those
of other labels (``getConnectedDynamicRegions`` in web/libs/editor/src/mixins/Regions.js of
https://github.com/HumanSignal/label-studio; also observed with 1.23.2). A click with Alt has
``is_positive`` false. A keypoint that was loaded from a draft has no ``is_positive``.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from mmp2seg.converters.point_formats.label_studio import (
    read_region,
    region_label,
    region_point,
    require_upright,
    stated_size,
)
from mmp2seg.datasets.coco_content import BACKGROUND
from mmp2seg.label_studio.label_config import LabelConfig


@dataclasses.dataclass(frozen=True, slots=True)
class Click:
    """A keypoint.

    Attributes:
        x: in pixels of the image, continuous.
        y: like ``x``.
        label: its class; of a background click ``'background'``.
        region_id: its id in Label Studio.
    """

    x: float
    y: float
    label: str
    region_id: str | None = None


def is_interactive(context: Any) -> bool:
    """Return whether a user has just clicked: the context lists regions, perhaps none."""
    return isinstance(context, dict) and isinstance(context.get('result'), list)


def stored_results(task: dict[str, Any], config: LabelConfig) -> list[dict[str, Any]]:
    """Return the keypoints that are stored with a task.

    They are those of the newest annotation with keypoints that is not cancelled, or else of the
    newest such draft, or else of the newest such prediction.
    """
    for key in ('annotations', 'drafts', 'predictions'):
        found = newest_results(task, key, config)
        if found:
            return found
    return []


def newest_results(task: dict[str, Any], key: str, config: LabelConfig) -> list[dict[str, Any]]:
    """Return the keypoints of the newest entry of a list of a task that has any.

    Args:
        key: ``'annotations'``, ``'drafts'`` or ``'predictions'``.
    """
    entries = [entry for entry in task.get(key) or () if isinstance(entry, dict)]
    entries = [entry for entry in entries if not entry.get('was_cancelled')]
    # stable: without times, the last of the list is the newest
    entries.sort(key=lambda entry: str(entry.get('updated_at') or entry.get('created_at') or ''))
    for entry in reversed(entries):
        found = keypoint_results(entry.get('result') or (), config)
        if found:
            return found
    return []


def keypoint_results(results: Any, config: LabelConfig) -> list[dict[str, Any]]:
    """Return the keypoints of the tags that the backend uses among regions."""
    if not isinstance(results, list | tuple):
        return []
    return [
        result
        for result in results
        if isinstance(result, dict)
        and result.get('type') == 'keypointlabels'
        and result.get('from_name') in config.point_tags
    ]


def read_clicks(
    results: Sequence[dict[str, Any]], config: LabelConfig, *, size: tuple[int, int], where: str
) -> list[Click]:
    """Convert keypoints to pixels.

    Args:
        results: see :func:`keypoint_results`.
        size: ``(H, W)`` of the image after the EXIF rotation, which browsers apply as well.
        where: the task, for messages.

    Raises:
        ValueError: a keypoint has another size of the image or a label that is none of the tags,
            or is not as Label Studio writes it; or the image was rotated by the user.
    """
    clicks = []
    for index, result in enumerate(results):
        region = read_region(result, f'{where}: keypoint {index}')
        if region is None:
            continue
        require_upright(region)
        if stated_size([region]) not in (None, size):
            raise ValueError(
                f'{region.where}: expected an image of {region.width} x {region.height} pixels, as '
                f'Label Studio showed, got one of {size[1]} x {size[0]}'
            )
        label = region_label(region)
        if result.get('is_positive') in (False, 0):  # not None
            label = BACKGROUND
        if label != BACKGROUND and label not in config.labels:
            raise ValueError(
                f'{region.where}: expected a label of the labelling config, got {label!r:.60}'
            )
        region_id = result.get('id')
        clicks.append(
            Click(
                *region_point(region, *size),
                label,
                None if region_id is None else str(region_id),
            )
        )
    return clicks
