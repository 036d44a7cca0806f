"""Which tags of a project's labelling config the points come from, and the masks go to.

https://labelstud.io/tags describes the tags ``Image``, ``KeyPointLabels``, ``BrushLabels`` and
``PolygonLabels``.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from mmp2seg.datasets.coco_content import BACKGROUND
from mmp2seg.files.image_folder import shorten_names
from mmp2seg.visualization.colors import distinct_colors

_POINTS = 'keypointlabels'
BRUSH, POLYGON = 'brushlabels', 'polygonlabels'


@dataclasses.dataclass(frozen=True)
class LabelConfig:
    """The tags that the backend uses.

    Attributes:
        point_tags: names of the ``KeyPointLabels``.
        mask_tag: name of the ``BrushLabels`` or the ``PolygonLabels``.
        mask_kind: :data:`BRUSH` or :data:`POLYGON`.
        image_tag: name of the ``Image``.
        image_key: the field of a task's data that holds the image.
        labels: the classes, without background.
    """

    point_tags: frozenset[str]
    mask_tag: str
    mask_kind: str
    image_tag: str
    image_key: str
    labels: tuple[str, ...]


def read_label_config(tags: Mapping[str, Mapping[str, Any]]) -> LabelConfig:
    """Find the tags of points, masks and image in a parsed labelling config.

    The masks go to the first ``BrushLabels``, or else to the first ``PolygonLabels``. The points
    are those of the ``KeyPointLabels`` of the same image that share a label with it.

    Args:
        tags: see :func:`mmp2seg.label_studio.sdk.parse_config`.

    Raises:
        ValueError: a tag is missing, or a label of the points is not one of the masks.
    """
    kinds = {name: str(tag.get('type')).lower() for name, tag in tags.items()}
    masks = [name for kind in (BRUSH, POLYGON) for name in tags if kinds[name] == kind]
    if not masks:
        raise _missing('<BrushLabels> or <PolygonLabels>', tags)
    mask_tag = masks[0]
    image_tag, image_key = _image(mask_tag, tags[mask_tag])
    known = list(tags[mask_tag]['labels'])
    found = {
        name: list(tags[name]['labels'])
        for name in tags
        if kinds[name] == _POINTS and image_tag in tags[name]['to_name']
    }
    used = {name: labels for name, labels in found.items() if set(labels) & set(known)}
    if not used:
        raise _missing(f'<KeyPointLabels toName="{image_tag}"> with labels of {mask_tag}', tags)
    labels = list(dict.fromkeys(label for part in used.values() for label in part))
    objects = tuple(label for label in labels if label != BACKGROUND)
    unknown = [label for label in objects if label not in known]
    if unknown:
        raise ValueError(
            f'labelling config: expected the labels of the points also in {mask_tag}, got '
            f'{shorten_names(unknown)} in {shorten_names(list(used))} alone'
        )
    return LabelConfig(
        frozenset(used), mask_tag, kinds[mask_tag], image_tag, image_key, labels=objects
    )


def example_label_config(classes: Sequence[str]) -> str:
    """Return a labelling config for points and masks of some classes.

    It has no label for background: after a click on one, Label Studio would show the masks of that
    label alone, which are none. A click with Alt is on background.
    """
    colors = ['#{:02x}{:02x}{:02x}'.format(*rgb) for rgb in distinct_colors(len(classes))]
    labels = [
        f'    <Label value={quoteattr(name)} background="{color}"/>'
        for name, color in zip(classes, colors, strict=True)
        if name != BACKGROUND
    ]
    return '\n'.join(
        [
            '<View>',
            '  <Image name="image" value="$image" zoom="true"/>',
            '  <KeyPointLabels name="point" toName="image" smart="true">',
            *labels,
            '  </KeyPointLabels>',
            '  <BrushLabels name="mask" toName="image">',
            *labels,
            '  </BrushLabels>',
            '</View>',
        ]
    )


def _image(name: str, tag: Mapping[str, Any]) -> tuple[str, str]:
    """Return the name and the field of the image of a tag."""
    for image_tag, source in zip(tag['to_name'], tag['inputs']):
        if str(source.get('type')).lower() == 'image' and source.get('value'):
            return image_tag, source['value']
    raise ValueError(
        f'labelling config: expected {name} to belong to an <Image> with value="$FIELD", got '
        f'{shorten_names(tag["to_name"])}'
    )


def _missing(what: str, tags: Mapping[str, Mapping[str, Any]]) -> ValueError:
    got = [f'{tag.get("type")} {name}' for name, tag in tags.items()]
    return ValueError(f'labelling config: expected {what}, got {shorten_names(got) or "no tags"}')
