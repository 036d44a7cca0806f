"""Predict semantic maps with an mmseg model, and convert them to our class numbering."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.runner import load_checkpoint
from mmseg.apis import inference_model, init_model
from torch import Tensor, nn

from mmp2seg.converters.point_json import read_point_json
from mmp2seg.files.folders import complete_folder
from mmp2seg.files.image_folder import find_images, relative_stem, shorten_names
from mmp2seg.files.index_png import write_palette_png
from mmp2seg.files.safe_checkpoints import require_weights
from mmp2seg.files.weights_only import is_weights_only
from mmp2seg.ops.components import IGNORE
from mmp2seg.ops.semantic_map import count_values


@dataclasses.dataclass(frozen=True)
class MmsegMapsReport:
    """Counts of the written maps.

    Attributes:
        num_maps: number of maps written.
        background_names: names of the model's classes that became background.
        num_pixels: (K + 2,) int64 numbers of pixels: background, each class, ignore.
    """

    num_maps: int
    background_names: tuple[str, ...]
    num_pixels: np.ndarray


@dataclasses.dataclass(frozen=True)
class _Source:
    """An image to predict; ``present`` holds the map values of the classes it can contain."""

    path: Path
    name: str
    size: tuple[int, int] | None = None
    present: tuple[int, ...] | None = None


def write_mmseg_maps(
    config: str | Path,
    checkpoint: str | Path,
    image_dir: str | Path,
    out_dir: str | Path,
    *,
    classes: Sequence[str],
    rename: Mapping[str, str] | None = None,
    model_classes: Sequence[str] | None = None,
    points: str | Path | None = None,
    min_score: float = 0.0,
    device: str = 'cpu',
    overwrite: bool = False,
    track: Callable[[Iterable], Iterable] = iter,
) -> MmsegMapsReport:
    """Predict a semantic map for each image of a folder, as a palette PNG with the image's name.

    Args:
        config: config of the mmseg model, with a ``test_pipeline``.
        checkpoint: checkpoint with all weights of the model.
        image_dir: folder of the images.
        out_dir: folder to create; it is written atomically.
        classes: names of our K classes, in the order of their map values 1..K.
        rename: maps a class name of the model to our name, where they differ.
        model_classes: the model's class names; None = the names in the checkpoint.
        points: point json. If given, only its images are predicted, and in each image only
            background and the classes of the image's points.
        min_score: pixels whose predicted class has a lower probability become 255 (ignore).
        device: device to predict on.
        overwrite: replace a folder that is not empty.
        track: function that wraps the list of images, e.g. to show a progress bar.

    Raises:
        FileNotFoundError: a folder, image or file is missing.
        ValueError: the classes do not match, the checkpoint is from another model, the point json
            has other classes or sizes, or an image is broken. The message names the command-line
            options.
        FileExistsError: ``out_dir`` is not empty and ``overwrite`` is False.
    """
    if not 0 <= min_score <= 1:
        raise ValueError(f'expected --min-score in 0..1, got {min_score}')
    sources = _list_images(image_dir, points, classes)
    model, names = load_segmentor(config, checkpoint, model_classes=model_classes, device=device)
    values = match_classes(names, classes, rename=rename)
    channels = torch.tensor(values, device=device)
    num_pixels = np.zeros(len(classes) + 2, np.int64)
    with complete_folder(out_dir, overwrite=overwrite, inputs=[image_dir]) as folder:
        for source in track(sources):
            logits = _predict(model, source, num_channels=len(values))
            semantic_map = map_of_logits(
                logits, channels, present=source.present, min_score=min_score
            )
            semantic_map = semantic_map.cpu().numpy()
            num_pixels += count_values(semantic_map, num_classes=len(classes))
            write_palette_png(folder / f'{source.name}.png', semantic_map)
    unmatched = tuple(name for name, value in zip(names, values, strict=True) if value == 0)
    return MmsegMapsReport(len(sources), unmatched, num_pixels)


def match_classes(
    model_classes: Sequence[str],
    classes: Sequence[str],
    *,
    rename: Mapping[str, str] | None = None,
) -> list[int]:
    """Return the map value of each of a model's classes, matched by name.

    Args:
        model_classes: names of the model's C channels.
        classes: names of our K classes, in the order of the values 1..K.
        rename: maps a name of the model to our name; several names may map to one.

    Returns:
        list: C map values, 0 (background) for a class that is not one of ours.

    Raises:
        ValueError: the model lacks one of our classes, or ``rename`` has an unknown name.
    """
    rename = dict(rename or {})
    for old, new in rename.items():
        if old not in model_classes:
            raise ValueError(
                f"--rename: expected one of the model's classes {list(model_classes)}, got {old!r}"
            )
        if new not in classes:
            raise ValueError(
                f'--rename: expected {old!r} to become one of {list(classes)}, got {new!r}'
            )
    value_of = {name: value for value, name in enumerate(classes, start=1)}
    values = [value_of.get(rename.get(name, name), 0) for name in model_classes]
    missing = [name for name, value in value_of.items() if value not in values]
    if missing:
        raise ValueError(
            f'expected a model with all of our classes, it lacks {missing} (--rename MODEL=OURS '
            f"matches different names); ours: {list(classes)}; the model's: {list(model_classes)}"
        )
    return values


def map_of_logits(
    logits: Tensor,
    values: Tensor,
    *,
    present: Sequence[int] | None = None,
    min_score: float = 0.0,
) -> Tensor:
    """Convert a model's logits to a semantic map.

    A pixel gets the value of its highest channel. Channels of classes that are not ``present`` are
    excluded if the model has a background channel; otherwise they become background.

    Args:
        logits: (C, H, W) floats, one channel per class of the model.
        values: (C,) int64, the map value of each channel, 0 = background; values may repeat.
        present: map values of the classes to use in addition to background; None = all.
        min_score: a pixel becomes 255 (ignore) if the probabilities of the channels with its value
            sum to less. The probabilities are a softmax over the channels in use.

    Returns:
        (H, W) uint8.
    """
    if present is not None:
        is_present = torch.isin(values, torch.tensor([0, *present], device=values.device))
        if (values == 0).any():
            logits, values = logits[is_present], values[is_present]
        else:
            values = torch.where(is_present, values, 0)
    semantic_map = values[logits.argmax(0)]
    if min_score > 0:
        probs = logits.float().softmax(0)
        is_of_value = values[:, None, None] == semantic_map  # (C, H, W)
        score = (probs * is_of_value).sum(0)
        semantic_map = semantic_map.masked_fill(score < min_score, IGNORE)
    return semantic_map.to(torch.uint8)


def load_segmentor(
    config: str | Path,
    checkpoint: str | Path,
    *,
    model_classes: Sequence[str] | None = None,
    device: str = 'cpu',
) -> tuple[nn.Module, list[str]]:
    """Load an mmseg model with its weights, and the names of its classes.

    If a checkpoint has no class names, mmseg guesses them from the number of classes; if it lacks
    weights, mmseg continues without them. This function treats both as errors.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the config has no ``test_pipeline``, or the checkpoint lacks weights or class
            names.
    """
    for path in (config, checkpoint):
        if ':' not in str(path) and not Path(path).is_file():
            raise FileNotFoundError(f'{path}: no such file')
    if is_weights_only() and Path(checkpoint).is_file():
        require_weights(checkpoint)
    model = init_model(config, device=device)
    if 'test_pipeline' not in model.cfg:
        raise ValueError(f'{config}: expected a test_pipeline, got none')
    content = load_checkpoint(model, str(checkpoint), map_location='cpu')
    weights = content.get('state_dict', content)
    known = {name.removeprefix('module.') for name in weights}
    known |= {name for name in model.state_dict() if name.endswith('num_batches_tracked')}
    missing = [name for name in model.state_dict() if name not in known]
    if missing:
        raise ValueError(
            f"{checkpoint}: lacks weights of the config's model: {shorten_names(missing)}"
        )
    meta = content.get('meta', {})
    dataset_meta = meta.get('dataset_meta') or {}
    names = model_classes or dataset_meta.get('classes') or meta.get('CLASSES')
    if not names:
        raise ValueError(
            f'{checkpoint}: expected a checkpoint with class names, got none (--model-classes '
            'names them)'
        )
    return model, list(names)


def _list_images(
    image_dir: str | Path, points: str | Path | None, classes: Sequence[str]
) -> list[_Source]:
    if points is None:
        return [_Source(path, name) for name, path in find_images(image_dir).items()]
    images, point_classes = read_point_json(points)
    unknown = [name for name in point_classes if name not in classes]
    if unknown:
        raise ValueError(f'{points}: expected categories among {list(classes)}, got {unknown}')
    value_of = {name: value for value, name in enumerate(classes, start=1)}
    sources = []
    for image in images:
        path = Path(image_dir) / image.file_name
        if not path.is_file():
            raise FileNotFoundError(f'{path}: no such image ({image.where})')
        present = sorted({value_of[point.label] for point in image.points})
        size = (image.height, image.width)
        sources.append(_Source(path, relative_stem(image.file_name), size, tuple(present)))
    return sources


def _predict(model: nn.Module, source: _Source, *, num_channels: int) -> Tensor:
    """Predict the (C, H, W) logits of an image."""
    try:
        logits = inference_model(model, str(source.path)).seg_logits.data
    except AssertionError as error:  # raised by LoadImageFromFile
        raise ValueError(f'{source.path}: {error}') from error
    if len(logits) != num_channels:
        raise ValueError(
            f'expected a model with a channel per class name, got {len(logits)} channels and '
            f'{num_channels} names'
        )
    size = tuple(logits.shape[1:])
    if source.size not in (None, size):
        raise ValueError(
            f'{source.path}: expected {source.size[1]} x {source.size[0]} as in the point json, '
            f'got {size[1]} x {size[0]}'
        )
    return logits
