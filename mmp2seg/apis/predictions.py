"""Predict masks for the points of a user's own images with a trained stage-1 network."""

import copy
import os
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope

from mmp2seg.apis.arguments import CommandError
from mmp2seg.apis.point_masks import build_point_segmenter, write_point_masks
from mmp2seg.apis.pseudo_labels import label_dataset, stage1_model
from mmp2seg.codecs import DROP_REASONS
from mmp2seg.converters.points_file import read_points
from mmp2seg.datasets.class_list import class_names
from mmp2seg.datasets.coco_content import (
    check_coco_content,
    check_image_files,
    ordered_class_names,
    split_categories,
)
from mmp2seg.evaluation.functional.truth_maps import decode_masks
from mmp2seg.files.image_folder import names_a_file, relative_stem, shorten_names
from mmp2seg.files.image_reading import read_rgb
from mmp2seg.files.json_reading import read_json_object
from mmp2seg.files.text_reading import read_text
from mmp2seg.registry import DATASETS
from mmp2seg.visualization.mask_pictures import point_mask_row
from mmp2seg.visualization.panels import (
    distinct_colors,
    draw_instances,
    draw_points,
    panel_grid,
    picture_path,
    write_png,
)

_LOADING = 'LoadPointAnnotations'


def set_prediction_data(
    cfg: Config, *, images: str, points: str, semantic_maps: str | None = None
) -> None:
    """Make the test of a config read these files instead of the config's own data.

    The batch size is 1, so that the result of an image does not depend on other images. Without
    maps, only the network's output is used.

    Args:
        cfg: config of stage 1, changed in place; its classes must equal the classes of ``points``.
        images: folder of the images.
        points: COCO json in which every annotation has a ``point``.
        semantic_maps: folder of weak semantic maps named ``<name of the image>.png``; None = no
            maps.

    Raises:
        CommandError: ``cfg`` is not a stage-1 config, or maps are given and its model reads none.
        FileNotFoundError: images or maps are missing; the message names the first ones.
        ValueError: the json is broken, or its classes differ from the config's.
    """
    model = stage1_model(cfg)
    test_cfg = model.get('test_cfg') or {}
    if semantic_maps is not None and not test_cfg.get('use_weak_map', False):
        raise CommandError(
            '--semantic-maps: the model reads no maps: leave the option out, or set --cfg-options '
            'model.test_cfg.use_weak_map=True'
        )
    content = read_json_object(
        points, lists=('images', 'annotations', 'categories'), drop=('segmentation',)
    )
    check_coco_content(
        points,
        content,
        image_keys=('height', 'width'),
        annotation_keys=('id',),
        integer_ids=True,
    )
    found = ordered_class_names(split_categories(content)[0])
    classes = model_classes(cfg, found)
    _check_classes(points, found, classes)
    names = [image['file_name'] for image in content['images']]
    _check_files(images, names, 'images')
    check_image_files(points, content['images'], images)
    if semantic_maps is not None:
        _check_files(semantic_maps, [f'{relative_stem(name)}.png' for name in names], 'maps')
    pipeline = _prediction_pipeline(cfg, with_map=semantic_maps is not None)
    prefix = dict(img=images) if semantic_maps is None else dict(img=images, seg_map=semantic_maps)
    cfg.test_dataloader.dataset = ConfigDict(
        type='mmp2seg.PointCocoDataset',
        ann_file=points,
        data_prefix=prefix,
        metainfo=dict(classes=classes),
        pipeline=pipeline,
        test_mode=True,
    )
    cfg.test_dataloader.batch_size = 1
    cfg.test_evaluator = []  # the config's own writer only fits the config's own data
    model.test_cfg = {**test_cfg, 'use_weak_map': semantic_maps is not None}


def write_point_maps(
    cfg: Config,
    *,
    images: str,
    points: str,
    folder: str,
    device: str = 'cpu',
    track: Callable[[list], Iterable] = iter,
) -> bool:
    """Write the weak maps of a config's ``point_segmenter`` for images without maps.

    Nothing is done if the config has no ``point_segmenter`` or its model reads no maps.

    Args:
        cfg: config of stage 1; it is not changed.
        images: folder of the images.
        points: COCO json in which every annotation has a ``point``. Points outside of their image
            and repeated points are left out.
        folder: folder of the maps.
        device: torch's name of a device.
        track: function that wraps the list of images, e.g. to show a progress bar.

    Returns:
        bool: whether maps were written, for all images.

    Raises:
        CommandError, FileNotFoundError, ValueError: see :func:`set_prediction_data` and
            :func:`mmp2seg.apis.point_masks.build_point_segmenter`.
    """
    use_map = (stage1_model(cfg).get('test_cfg') or {}).get('use_weak_map', False)
    if not use_map or cfg.get('point_segmenter') is None:
        return False
    set_prediction_data(copy.deepcopy(cfg), images=images, points=points)  # checks both
    content = read_points(points, images, skip_refused=True)
    classes = model_classes(cfg, ordered_class_names(content['categories']))
    content = read_points(points, images, classes=classes, skip_refused=True)
    segmenter = build_point_segmenter(cfg, device=device, setting='point_segmenter')
    write_point_masks(segmenter, content, images, maps=folder, track=track)
    return True


def describe_dropped(labels: Mapping) -> list[str]:
    """Return a line for each point without a mask: image, id, class, position and reason.

    Args:
        labels: content of the pseudo label json.
    """
    images = {image['id']: image['file_name'] for image in labels['images']}
    classes = {category['id']: category['name'] for category in labels['categories']}
    return [
        f'{images[entry["image_id"]]}: point {entry["point_id"]} '
        f'({classes[entry["category_id"]]}, x {entry["point"][0]:g}, y {entry["point"][1]:g}): '
        f'{entry["reason"]}, {DROP_REASONS[entry["reason"]]}'
        for entry in labels['dropped_points']
    ]


def draw_labels(
    labels: Mapping,
    images: str,
    folder: str,
    *,
    track: Callable[[Iterable], Iterable] = iter,
) -> int:
    """Draw every image to ``<folder>/<image>.png``: masks, points, and crosses for dropped points.

    Args:
        labels: content of the pseudo label json.
        images: folder of the json's images.
        folder: folder of the pictures; it is created with its subfolders.
        track: function that wraps the list of images, e.g. to show a progress bar.

    Returns:
        int: number of pictures.
    """
    classes = {category['id']: k for k, category in enumerate(labels['categories'])}
    parts = {image['id']: ([], []) for image in labels['images']}
    for index, key in enumerate(('annotations', 'dropped_points')):
        for entry in labels[key]:
            parts[entry['image_id']][index].append(entry)
    for image in track(labels['images']):
        pixels = read_rgb(os.path.join(images, image['file_name']))
        picture = _draw(pixels, *parts[image['id']], classes, where=f'image {image["file_name"]}')
        write_png(picture_path(folder, image['file_name']), picture)
    return len(labels['images'])


def label_sheet(
    labels: Mapping, images: str, names: Sequence[str], *, height: int = 220
) -> np.ndarray:
    """Draw some images of a pseudo label json below each other: image, points and masks.

    Args:
        labels: content of the pseudo label json.
        images: folder of the json's images.
        names: the images to draw, at least one.
        height: height of an image on the sheet.

    Returns:
        ndarray: ``(H, W, 3)`` uint8 RGB.

    Raises:
        FileNotFoundError, ValueError: an image is missing or cannot be read, or a mask has another
            size; the message names the file.
    """
    classes = {category['id']: k for k, category in enumerate(labels['categories'])}
    image_of = {image['file_name']: image for image in labels['images']}
    rows = []
    for name in names:
        image = image_of[name]
        found, missing = (
            [entry for entry in labels[key] if entry['image_id'] == image['id']]
            for key in ('annotations', 'dropped_points')
        )
        pixels = read_rgb(os.path.join(images, name))
        masks = decode_masks(found, *pixels.shape[:2], where=f'image {name}')
        instance_map = np.zeros(pixels.shape[:2], np.int32)
        for number, mask in enumerate(masks, start=1):
            instance_map[mask] = number
        rows.append(
            point_mask_row(
                pixels,
                np.array([entry['point'] for entry in [*found, *missing]]),
                [classes[entry['category_id']] for entry in [*found, *missing]],
                instance_map,
                num_classes=len(classes),
                background_xy=np.array(image.get('background_points', [])),
                height=height,
            )
        )
    return panel_grid(rows)


def _draw(
    pixels: np.ndarray,
    annotations: list[dict],
    dropped: list[dict],
    classes: Mapping[int, int],
    *,
    where: str,
) -> np.ndarray:
    palette = distinct_colors(len(classes))
    kinds, points = zip(
        *(
            ([classes[entry['category_id']] for entry in group], [p['point'] for p in group])
            for group in (annotations, dropped)
        )
    )
    masks = decode_masks(annotations, *pixels.shape[:2], where=where)
    picture = draw_instances(pixels, masks, kinds[0], points[0], palette=palette)
    return draw_points(picture, points[1], kinds[1], palette, crossed=True)


def model_classes(cfg: Config, found: Sequence[str]) -> list[str]:
    """Return the model's class names in order, from the config's data or else ``found``."""
    dataset = label_dataset(cfg, 'test')
    classes = (dataset.get('metainfo') or {}).get('classes')
    if classes is None:
        with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmdet')):
            kind = DATASETS.get(dataset.type)
        classes = getattr(kind, 'METAINFO', {}).get('classes', found)
    if isinstance(classes, str) and os.path.isfile(classes):
        classes = read_text(classes).splitlines()
    classes = class_names(classes)
    num_classes = stage1_model(cfg).get('semantic_head', {}).get('num_classes', len(classes))
    if len(classes) != num_classes:
        raise ValueError(f'expected {num_classes} classes, as the model has, got {classes}')
    return classes


def _check_classes(points: str, found: Sequence[str], classes: Sequence[str]) -> None:
    missing = [name for name in classes if name not in found]
    unknown = [name for name in found if name not in classes]
    if missing or unknown:
        parts = [f'the config has {shorten_names(classes)}']
        parts += [f'not in the json: {shorten_names(missing)}'] if missing else []
        parts += [f'not in the config: {shorten_names(unknown)}'] if unknown else []
        raise ValueError(f'{points}: expected categories with the classes: {"; ".join(parts)}')


def _check_files(folder: str, names: Sequence[str], kind: str) -> None:
    outside = [name for name in names if not names_a_file(name)]
    if outside:
        raise ValueError(f'{folder}: expected {kind} below it, got {outside[0]!r:.200}')
    missing = [name for name in names if not os.path.isfile(os.path.join(folder, name))]
    if missing:
        raise FileNotFoundError(
            f'{folder}: {len(missing)} of {len(names)} {kind} are missing: {shorten_names(missing)}'
        )


def _prediction_pipeline(cfg: Config, *, with_map: bool) -> list[dict]:
    """Return a config's test pipeline, with or without maps; points may be outside the images."""
    pipeline = copy.deepcopy(label_dataset(cfg, 'test').pipeline)
    loading = [step for step in pipeline if step.type.split('.')[-1] == _LOADING]
    if not loading:
        raise CommandError(f'{cfg.filename}: expected {_LOADING} in the test pipeline')
    for step in loading:
        step.update(with_seg=with_map, allow_outside=True)
    return pipeline
