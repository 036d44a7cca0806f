"""Import a folder of semantic maps into the form that the point datasets read."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from mmp2seg.files.folders import complete_folder
from mmp2seg.files.image_folder import find_images, image_size, is_hidden, shorten_names
from mmp2seg.files.index_png import Colour, read_index_png, write_palette_png
from mmp2seg.ops.semantic_map import count_values, is_scaled, lacks_classes, resize_nearest

ONLY_IGNORED = (
    'no pixel of a class, only 0 and 255 (ignore): is 255 the class? --map-values 255=1 of '
    'tools/dataset_converters/import_semantic_maps.py makes it 1'
)


@dataclasses.dataclass(frozen=True)
class SemanticFolderReport:
    """Counts of an import.

    Attributes:
        num_maps: number of maps written.
        num_resized: number of these maps whose size differed from their image's.
        missing: names of the images without a map.
        unused: names of the maps of the source folder without an image.
        num_pixels: (K + 2,) int64 numbers of pixels: background, each class, ignore.
        without_class: names of the maps that have 255 and no pixel of a class.
    """

    num_maps: int
    num_resized: int
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    num_pixels: np.ndarray
    without_class: tuple[str, ...] = ()


def import_semantic_maps(
    source_dir: str | Path,
    out_dir: str | Path,
    *,
    image_dir: str | Path,
    num_classes: int,
    from_palette: bool = False,
    colours: Mapping[Colour, int] | None = None,
    map_values: Mapping[int, int] | None = None,
    map_suffix: str = '.png',
    names: Sequence[str] | None = None,
    allow_missing: bool = False,
    overwrite: bool = False,
    track: Callable[[Iterable], Iterable] = iter,
) -> SemanticFolderReport:
    """Write a palette PNG with the size and the name of the image for each image of a folder.

    A map is named like its image and is in the same subfolder: ``<source_dir>/<name><map_suffix>``
    for ``<image_dir>/<name>.jpg``. A map of another size is resized with nearest-neighbour
    interpolation if it has the aspect ratio of the image (to within a pixel).

    Args:
        source_dir: folder of palette or grey maps: 0 background, k + 1 = class k, 255 ignore.
        out_dir: folder to create; it is written atomically.
        image_dir: folder of the images.
        num_classes: number K of classes without background.
        from_palette: read the maps' colours with VOC's palette instead of their numbers, for RGB
            maps and for palettes in another order.
        colours: read the colours of the maps: value by colour, see
            :func:`mmp2seg.converters.colour_table.read_colour_table`.
        map_values: new values by old value; the other values stay. ``{255: 1}`` makes class 1 of a
            binary mask of 0 and 255.
        map_suffix: text after the image's name in the map's file name, such as '_mask.png'.
        names: names of the images, without suffix; None = all images of the folder.
        allow_missing: list images without a map in the report, instead of raising an error.
        overwrite: replace a folder that is not empty.
        track: function that wraps the list of images, e.g. to show a progress bar.

    Raises:
        FileNotFoundError: a folder, image or map is missing.
        ValueError: a file is not a map or not an image, or a map has another aspect ratio or a
            value that is not a class; the message names the files. Also if no map has a pixel of a
            class, while some have 255.
        FileExistsError: ``out_dir`` is not empty and ``overwrite`` is False.
    """
    source_dir = Path(source_dir)
    if not source_dir.is_dir():
        raise FileNotFoundError(f'{source_dir}: no such folder')
    images = _named(find_images(image_dir), names, image_dir)
    maps = {name: source_dir / f'{name}{map_suffix}' for name in images}
    missing = tuple(name for name, path in maps.items() if not path.is_file())
    if len(missing) == len(images) or (missing and not allow_missing):
        advice = ' (--allow-missing goes on without them)' if len(missing) < len(images) else ''
        raise FileNotFoundError(
            f'{source_dir}: expected a map <name>{map_suffix} for each of {len(images)} images, '
            f'{len(missing)} are missing: {shorten_names(missing)}{advice}'
        )
    num_resized, num_pixels = 0, np.zeros(num_classes + 2, np.int64)
    without_class: list[str] = []
    values = np.arange(256, dtype=np.uint8)
    values[list(map_values or ())] = list((map_values or {}).values())
    with complete_folder(out_dir, overwrite=overwrite, inputs=[source_dir, image_dir]) as folder:
        for name in track([name for name in images if name not in set(missing)]):
            semantic_map = read_index_png(maps[name], from_palette=from_palette, colours=colours)
            semantic_map = values[semantic_map]
            size = image_size(images[name])
            num_resized += semantic_map.shape != size
            semantic_map = _of_size(semantic_map, size, path=maps[name], image=images[name])
            try:
                counts = count_values(semantic_map, num_classes=num_classes)
            except ValueError as error:
                raise ValueError(f'{maps[name]}: {error}') from error
            num_pixels += counts
            if lacks_classes(counts):
                without_class.append(name)
            write_palette_png(folder / f'{name}.png', semantic_map)
        if lacks_classes(num_pixels):
            raise ValueError(f'{source_dir}: {ONLY_IGNORED}')
    unused = _without_image(source_dir, map_suffix, set(maps.values()))
    return SemanticFolderReport(
        len(images) - len(missing),
        int(num_resized),
        missing,
        unused,
        num_pixels,
        tuple(without_class),
    )


def _named(
    images: Mapping[str, Path], names: Sequence[str] | None, image_dir: str | Path
) -> dict[str, Path]:
    if names is None:
        return dict(images)
    missing = [name for name in names if name not in images]
    if missing:
        raise FileNotFoundError(f'{image_dir}: no images named {shorten_names(missing)}')
    return {name: images[name] for name in names}


def _of_size(
    semantic_map: np.ndarray, size: tuple[int, int], *, path: Path, image: Path
) -> np.ndarray:
    if semantic_map.shape == size:
        return semantic_map
    if not is_scaled(semantic_map.shape, size):
        raise ValueError(
            f'{path}: expected the aspect ratio of the image {image}, {size[1]} x {size[0]}, '
            f'got {semantic_map.shape[1]} x {semantic_map.shape[0]}'
        )
    return resize_nearest(semantic_map, size)


def _without_image(source_dir: Path, map_suffix: str, used: set[Path]) -> tuple[str, ...]:
    found = sorted(path for path in source_dir.rglob(f'*{map_suffix}') if path not in used)
    names = [path.relative_to(source_dir) for path in found]
    return tuple(name.as_posix() for name in names if not is_hidden(name))
