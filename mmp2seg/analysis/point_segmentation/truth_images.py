"""Images with their points and their true masks, in the frame in which methods are compared.

Dimensions: ``H, W`` pixels of this frame; ``n`` points; ``m`` clicks on background; ``M`` objects.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from mmp2seg.converters.coco_maps import draw_semantic_map
from mmp2seg.datasets.coco_content import (
    annotation_place,
    check_coco_content,
    check_image_sizes,
    ordered_class_names,
)
from mmp2seg.datasets.point_reading import read_annotation_point
from mmp2seg.evaluation.functional.truth_file import TruthFile
from mmp2seg.evaluation.functional.truth_maps import is_crowd
from mmp2seg.files.image_folder import relative_stem
from mmp2seg.files.image_reading import read_rgb
from mmp2seg.files.json_reading import read_json_object
from mmp2seg.ops.adjacency import touching_objects
from mmp2seg.ops.components import IGNORE
from mmp2seg.ops.coords import points_inside
from mmp2seg.ops.image_edge import onto_last_pixel
from mmp2seg.ops.point_sampling import center_inside
from mmp2seg.ops.rle import decode_rle, encode_rle
from mmp2seg.ops.semantic_map import resize_nearest

# Category of a point json whose points are clicks on background.
BACKGROUND = 'background'


@dataclasses.dataclass(frozen=True)
class TruthSource:
    """Where the truth of some images is.

    Attributes:
        truth: COCO json with polygons or RLE.
        images: folder of its images.
        points: point json. The id of an annotation is the id of its object; points with another id
            belong to no object. None: the point of an object is the pixel of its mask nearest to
            the centre of mass.
    """

    truth: Path
    images: Path
    points: Path | None = None


@dataclasses.dataclass(frozen=True)
class TruthImage:
    """An image with what a method gets and what it is compared with.

    Attributes:
        name: file name in the json.
        place: json, id and name of the image, for messages.
        image_rgb: ``(H, W, 3)`` uint8.
        points_xy: ``(n, 2)`` float64, continuous ``(x, y)``.
        labels: ``(n,)`` int64 ``0..K-1``.
        background_xy: ``(m, 2)`` float64.
        object_points: ``(M,)`` int64, index of each object's point; -1 for an object without.
        object_labels: ``(M,)`` int64.
        object_rles: ``M`` compressed RLEs, none of them empty.
        object_touching: ``(M,)`` bool, objects with another one of their class at most 2 pixels
            away.
        semantic_map: ``(H, W)`` uint8, 0 background, ``k + 1`` class ``k``, 255 void.
        num_void: objects and crowds that are not compared.
    """

    name: str
    place: str
    image_rgb: np.ndarray
    points_xy: np.ndarray
    labels: np.ndarray
    background_xy: np.ndarray
    object_points: np.ndarray
    object_labels: np.ndarray
    object_rles: list[dict]
    object_touching: np.ndarray
    semantic_map: np.ndarray
    num_void: int


class TruthImages(Sequence[TruthImage]):
    """The images of one or several COCO jsons; an image is read when it is asked for.

    Crowds, annotations with ``ignore`` and objects of fewer than ``min_area`` pixels are void: they
    have no point and are not compared, and their pixels outside other objects are not counted. The
    same holds for an object that has no pixel left after its mask was resized.

    Args:
        sources: at least one; categories of the same name are one class.
        long_side: images, points and masks are resized to this long side before anything else. 0
            keeps their sizes.
        min_area: smallest area of an object that is compared, in pixels of the file.

    Attributes:
        classes: names of the classes, in the order of the first json's category ids, followed by
            the names that only later jsons have.

    Raises:
        FileNotFoundError: a json is missing.
        ValueError: a json is malformed, or there are no sources, no classes or more than 254; the
            message names the file.
    """

    def __init__(
        self, sources: Sequence[TruthSource], *, long_side: int = 352, min_area: int = 0
    ) -> None:
        if not sources:
            raise ValueError('expected a COCO json with its folder of images, got none')
        self.long_side = long_side
        self.min_area = min_area
        self._sources = sources
        self._truths = [TruthFile(source.truth) for source in sources]
        self._points = [source.points and _PointFile(source.points) for source in sources]
        names: list[str] = []
        for truth in self._truths:
            check_image_sizes(truth.path, list(truth.images.values()))
            names += ordered_class_names(truth.categories)
        self.classes = list(dict.fromkeys(names))
        if not 0 < len(self.classes) < IGNORE:
            raise ValueError(
                f'{sources[0].truth}: expected 1..{IGNORE - 1} classes, got {len(self.classes)}'
            )
        self._index = [
            (number, image_id)
            for number, truth in enumerate(self._truths)
            for image_id in truth.images
        ]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._index)

    @property
    def files(self) -> list[Path]:
        """The jsons and the folders of images."""
        paths = [(s.truth, s.images, s.points) for s in self._sources]
        return [path for of_source in paths for path in of_source if path is not None]

    @property
    def unique_stems(self) -> list[str]:
        """A file name without suffix for each image, for one folder of all images.

        They are the names in the jsons, without folders. If two of these are the same, each name
        begins with the image's number.
        """
        names = [self._truths[n].images[image_id]['file_name'] for n, image_id in self._index]
        stems = [Path(relative_stem(name)).name for name in names]
        if len({stem.lower() for stem in stems}) == len(stems):
            return stems
        return [f'{number:04d}_{stem}' for number, stem in enumerate(stems, start=1)]

    def __getitem__(self, index: int) -> TruthImage:
        """Read an image.

        Raises:
            FileNotFoundError: the image is missing.
            ValueError: the image has another size than in the json, a mask is malformed, or a point
                is outside the image; the message names the file and the place.
        """
        number, image_id = self._index[index]
        source, truth, points = self._sources[number], self._truths[number], self._points[number]
        entry = truth.images[image_id]
        file_size = (entry['height'], entry['width'])
        size = frame_size(*file_size, long_side=self.long_side)
        objects, voids = self._read_masks(truth, image_id, size)
        label_of = truth.labels_of(self.classes)
        object_labels = np.array([label_of[ann['category_id']] for ann, _ in objects], np.int64)
        rles = [rle for _, rle in objects]
        if points is None:
            centers = [center_inside(decode_rle(rle)) for rle in rles]
            clicks = _Clicks(_points_array(centers), object_labels, np.zeros((0, 2)))
            object_points = np.arange(len(objects))
        else:
            clicks, index_of = points.clicks_of(image_id, self.classes, file_size, size)
            found = [index_of.get(ann['id'], -1) for ann, _ in objects]
            object_points = np.array(found, np.int64)
        semantic_map, _ = draw_semantic_map(
            rles, (object_labels + 1).tolist(), crowds=voids, size=size
        )
        return TruthImage(
            name=entry['file_name'],
            place=truth.place_of(image_id),
            image_rgb=_read_image(Path(source.images, entry['file_name']), file_size, size),
            points_xy=clicks.points_xy,
            labels=clicks.labels,
            background_xy=clicks.background_xy,
            object_points=object_points,
            object_labels=object_labels,
            object_rles=rles,
            object_touching=touching_objects(rles, object_labels.tolist()),
            semantic_map=semantic_map,
            num_void=len(voids),
        )

    def _read_masks(
        self, truth: TruthFile, image_id: int, size: tuple[int, int]
    ) -> tuple[list[tuple[dict, dict]], list[dict]]:
        """Return the objects of an image as (annotation, RLE), and the RLEs of what is void."""
        objects, voids = [], []
        for annotation in truth.annotations_of(image_id):
            mask = decode_rle(truth.rle_of(annotation))
            is_void = is_crowd(annotation) or annotation.get('ignore', 0)
            is_void = is_void or np.count_nonzero(mask) < self.min_area
            if mask.shape != size:
                mask = resize_nearest(mask.view(np.uint8), size).astype(bool)
            rle = encode_rle(mask)
            if is_void or not mask.any():
                voids.append(rle)
            else:
                objects.append((annotation, rle))
        return objects, voids


def frame_size(height: int, width: int, *, long_side: int) -> tuple[int, int]:
    """Return ``(H, W)`` of an image after its long side became ``long_side``; 0 = no change."""
    if long_side == 0:
        return height, width
    scale = long_side / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


@dataclasses.dataclass(frozen=True)
class _Clicks:
    """``(n, 2)`` points, their ``(n,)`` labels, and ``(m, 2)`` clicks on background."""

    points_xy: np.ndarray
    labels: np.ndarray
    background_xy: np.ndarray


class _PointFile:
    """The points of a point json by image."""

    def __init__(self, path: Path) -> None:
        content = read_json_object(path, lists=('images', 'categories', 'annotations'))
        check_coco_content(path, content, annotation_keys=('id',))
        self.path = path
        self._names = {entry['id']: entry['name'] for entry in content['categories']}
        self._annotations: dict[int, list[dict]] = defaultdict(list)
        for annotation in content['annotations']:
            self._annotations[annotation['image_id']].append(annotation)

    def clicks_of(
        self,
        image_id: int,
        classes: Sequence[str],
        file_size: tuple[int, int],
        size: tuple[int, int],
    ) -> tuple[_Clicks, Mapping[int, int]]:
        """Return the clicks of an image in a frame of ``size``, and each point's index by its id.

        Raises:
            ValueError: an annotation has no point, its point is outside the image, or its category
                is neither a class of the truth nor 'background'.
        """
        points, labels, background, index_of = [], [], [], {}
        for position, annotation in enumerate(self._annotations[image_id]):
            where = annotation_place(self.path, position, annotation)
            point = read_annotation_point(annotation, where=where)
            point = onto_last_pixel(point, *file_size)[0].tolist()
            if not points_inside(point, *file_size).all():
                raise ValueError(
                    f'{where}: expected a point inside the image of {file_size[1]} x '
                    f'{file_size[0]} pixels, got {point}'
                )
            name = self._names[annotation['category_id']]
            if name in classes:
                index_of[annotation['id']] = len(points)
                points.append(point)
                labels.append(classes.index(name))
            elif name == BACKGROUND:
                background.append(point)
            else:
                raise ValueError(f'{where}: expected a class of the truth, got {name!r}')
        scale = np.array([size[1] / file_size[1], size[0] / file_size[0]])
        clicks = _Clicks(
            _points_array(points) * scale,
            np.array(labels, np.int64),
            _points_array(background) * scale,
        )
        return clicks, index_of


def _points_array(points: Sequence) -> np.ndarray:
    return np.array(points, np.float64).reshape(-1, 2)


def _read_image(path: Path, file_size: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Read an image as ``(*size, 3)`` uint8 RGB, after the EXIF rotation."""
    image_rgb = read_rgb(path)
    if image_rgb.shape[:2] != file_size:
        raise ValueError(
            f'{path}: expected {file_size[1]} x {file_size[0]} pixels as in the json, '
            f'got {image_rgb.shape[1]} x {image_rgb.shape[0]}'
        )
    if size == file_size:
        return image_rgb
    mode = cv2.INTER_AREA if max(size) < max(file_size) else cv2.INTER_LINEAR
    return cv2.resize(image_rgb, (size[1], size[0]), interpolation=mode)
