"""Check one image of a point dataset: its files, its points and its semantic map."""

import dataclasses
import hashlib
import io
from collections import Counter
from collections.abc import Callable

import numpy as np
from mmengine.fileio import get
from PIL import Image, UnidentifiedImageError

from mmp2seg.analysis.dataset_check.point_positions import (
    PLACES,
    places_of_points,
    regions_and_points,
)
from mmp2seg.datasets.point_supervision import draw_true_classes
from mmp2seg.datasets.transforms.loading import read_semantic_map
from mmp2seg.ops.coords import points_inside
from mmp2seg.ops.image_edge import onto_last_pixel
from mmp2seg.ops.rle import decode_rle
from mmp2seg.ops.semantic_map import count_values, is_scaled, lacks_classes, resize_nearest

# Ranges of the number of points of a region, by the name of the count.
POINTS_PER_REGION = {'1': (1, 1), '2': (2, 2), '3-5': (3, 5), '6+': (6, np.inf)}


@dataclasses.dataclass
class ImageFindings:
    """The findings of an image.

    Attributes:
        counts: figures to sum over the images; see :mod:`mmp2seg.analysis.dataset_check.report`.
        problems: kind of each problem, and a line that names the file.
        notes: like ``problems``, for what is usual in weak maps.
        digest: of the image file's content, '' if not requested.
    """

    counts: Counter = dataclasses.field(default_factory=Counter)
    problems: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    notes: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    digest: str = ''


@dataclasses.dataclass(frozen=True)
class ImageChecker:
    """Checks an entry of a dataset; a call does not raise for problems of the entry.

    Attributes:
        load_image: transform of the dataset's pipeline that adds ``img`` to an entry.
        classes: names of the K classes.
        sizes: (H, W) by image id, from the annotation file; may lack images.
        ann_file: named if a size differs from the image.
        backend_args: of :mod:`mmengine.fileio`, for maps.
        resize_seg_map: whether the dataset resizes maps with the aspect ratio of the image.
        min_region_area: of the labeler.
        max_snap_distance: of the labeler.
        with_digest: compute a digest of each image file.
    """

    load_image: Callable[[dict], dict]
    classes: tuple[str, ...]
    sizes: dict[int, tuple[int, int]] = dataclasses.field(default_factory=dict)
    ann_file: str = ''
    backend_args: dict | None = None
    resize_seg_map: bool = False
    min_region_area: int = 0
    max_snap_distance: float = 0.0
    with_digest: bool = False

    def __call__(self, entry: dict) -> ImageFindings:
        findings = ImageFindings()
        points = np.array([i['point'] for i in entry['instances']], np.float64).reshape(-1, 2)
        labels = np.array([i['bbox_label'] for i in entry['instances']], np.int64)
        findings.counts.update({'points': len(labels), 'images': 1, 'empty': int(len(labels) == 0)})
        clicks = np.array(entry.get('background_points', []), np.float64).reshape(-1, 2)
        findings.counts['background_points'] += len(clicks)
        findings.counts.update(('class', label) for label in labels.tolist())
        kinds = [instance.get('supervision', 'point') for instance in entry['instances']]
        findings.counts.update(('supervision', kind) for kind in kinds)
        findings.counts['complete'] += entry.get('complete', False)
        self._find_duplicates(entry, findings)
        size = self._check_image(entry, findings)
        semantic_map = self._check_map(entry, size, findings)
        if size is None and semantic_map is not None:
            size = semantic_map.shape
        if size is not None:
            points, clicks = (onto_last_pixel(values, *size) for values in (points, clicks))
            names = [f'point {instance["point_id"]}' for instance in entry['instances']]
            self._find_outside(entry, points, names, size, findings)
            self._find_outside(entry, clicks, ['background click'] * len(clicks), size, findings)
            self._find_off_mask(entry, points, size, findings)
        if semantic_map is not None:
            if all(tuple(one['mask']['size']) == semantic_map.shape for one in _given(entry)):
                semantic_map = draw_true_classes(
                    semantic_map, entry['instances'], complete=entry.get('complete', False)
                )
            self._compare(entry, points, labels, semantic_map, findings)
        return findings

    def _find_duplicates(self, entry: dict, findings: ImageFindings) -> None:
        seen: dict[tuple, dict] = {}
        for instance in entry['instances']:
            x, y = place = tuple(instance['point'])
            earlier = seen.setdefault(place, instance)
            if earlier is instance:
                continue
            names = [self.classes[i['bbox_label']] for i in (earlier, instance)]
            line = (
                f'{_where(entry)}: points {earlier["point_id"]} ({names[0]}) and '
                f'{instance["point_id"]} ({names[1]}) are both at ({x:g}, {y:g})'
            )
            findings.problems.append(('duplicate_points', line))

    def _check_image(self, entry: dict, findings: ImageFindings) -> tuple[int, int] | None:
        """Return the size (H, W) of an image, None if it cannot be read."""
        path = entry['img_path']
        try:
            size = tuple(self.load_image(dict(img_path=path))['img'].shape[:2])
            data = get(path, backend_args=getattr(self.load_image, 'backend_args', None))
        except FileNotFoundError:
            findings.problems.append(('missing', f'{path}: the image does not exist'))
            return None
        except Exception as error:  # decoders raise anything for broken data
            findings.problems.append(('unreadable', _named(path, error)))
            return None
        reason = _why_incomplete(data)
        if reason:
            findings.problems.append(('unreadable', f'{path}: {reason}'))
        if self.with_digest:
            findings.digest = hashlib.sha1(data).hexdigest()
        stated = self.sizes.get(entry['img_id'], size)
        if stated != size:
            line = f'{path}: {_format(size)} pixels, {self.ann_file} says {_format(stated)}'
            findings.problems.append(('sizes', line))
        return size

    def _check_map(
        self, entry: dict, size: tuple[int, int] | None, findings: ImageFindings
    ) -> np.ndarray | None:
        """Return the semantic map (H, W) of an image, None if it cannot be used."""
        path = entry['seg_map_path']
        if path is None:
            return None
        try:
            semantic_map = read_semantic_map(path, backend_args=self.backend_args)
        except FileNotFoundError as error:
            findings.problems.append(('missing', _named(path, error)))
            return None
        except Exception as error:
            findings.problems.append(('unreadable', _named(path, error)))
            return None
        findings.counts['maps'] += 1
        try:
            values = count_values(semantic_map, num_classes=len(self.classes))
        except ValueError as error:
            findings.problems.append(('map_values', f'{path}: {error}'))
            return None
        findings.counts['maps_with_class'] += bool(values[1:-1].any())
        findings.counts['maps_only_ignored'] += lacks_classes(values)
        if size is None or semantic_map.shape == size:
            return semantic_map
        if self.resize_seg_map and is_scaled(semantic_map.shape, size):
            return resize_nearest(semantic_map, size)
        line = f'{path}: {_format(semantic_map.shape)} pixels, its image has {_format(size)}'
        findings.problems.append(('sizes', line))
        return None

    def _find_outside(
        self,
        entry: dict,
        points: np.ndarray,
        names: list[str],
        size: tuple[int, int],
        findings: ImageFindings,
    ) -> None:
        for index in np.flatnonzero(~points_inside(points, *size)):
            x, y = points[index]
            line = (
                f'{_where(entry)}: {names[index]} at ({x:g}, {y:g}), the image is {_format(size)}'
            )
            findings.problems.append(('outside', line))

    def _find_off_mask(
        self,
        entry: dict,
        points: np.ndarray,
        size: tuple[int, int],
        findings: ImageFindings,
    ) -> None:
        inside = points_inside(points, *size)
        for index, instance in enumerate(entry['instances']):
            is_mask = instance.get('supervision') == 'mask'
            if not (is_mask and inside[index] and tuple(instance['mask']['size']) == size):
                continue
            column, row = np.floor(points[index]).astype(int)
            if not decode_rle(instance['mask'])[row, column]:
                line = f'{_where(entry)}: point {instance["point_id"]} is outside of its true mask'
                findings.notes.append(('off_mask', line))

    def _compare(
        self,
        entry: dict,
        points: np.ndarray,
        labels: np.ndarray,
        semantic_map: np.ndarray,
        findings: ImageFindings,
    ) -> None:
        places = places_of_points(points, labels, semantic_map)
        found = regions_and_points(
            points,
            labels,
            semantic_map,
            min_area=self.min_region_area,
            max_snap_distance=self.max_snap_distance,
        )
        counts, num_points = findings.counts, found.num_points
        counts.update(('place', PLACES[place]) for place in places)
        off_class = (places != PLACES.index('on_class')) & (places != PLACES.index('outside'))
        lost = (places != PLACES.index('outside')) & (found.point_regions == 0)
        counts['snapped'] += int((off_class & ~lost).sum())
        counts['lost'] += int(lost.sum())
        counts['regions'] += len(num_points)
        counts['regions_small'] += found.num_small
        counts['regions_without_points'] += int((num_points == 0).sum())
        counts['pixels'] += found.num_pixels
        counts['pixels_without_points'] += int(found.areas[num_points == 0].sum())
        for name, (least, most) in POINTS_PER_REGION.items():
            among = (num_points >= least) & (num_points <= most)
            counts['points_per_region', name] += int(among.sum())
        for index in np.flatnonzero(off_class | lost):
            number = entry['instances'][index]['point_id']
            line = (
                f'{_where(entry)}: point {number} ({self.classes[labels[index]]}) '
                f'is {PLACES[places[index]]}'
            )
            findings.notes.append(('lost' if lost[index] else 'off_class', line))
        absent = np.setdiff1d(found.labels, labels)
        if absent.size:
            names = ', '.join(self.classes[label] for label in absent)
            findings.notes.append(('classes_without_points', f'{entry["seg_map_path"]}: {names}'))


def _given(entry: dict) -> list[dict]:
    """Return the instances with a true mask or box."""
    return [instance for instance in entry['instances'] if 'supervision' in instance]


def _where(entry: dict) -> str:
    return f'{entry["points_path"]}: {entry["file_name"]}'


def _format(size: tuple[int, int]) -> str:
    return f'{size[1]} x {size[0]}'


def _named(path: str, error: Exception) -> str:
    """Format an error in one line that begins with the file."""
    text = _one_line(error)
    return text if text.startswith(path) else f'{path}: {text.replace(f": {path}", "")}'


def _one_line(error: Exception) -> str:
    text = ' '.join(str(error).split())
    return text or type(error).__name__


def _why_incomplete(data: bytes) -> str | None:
    """Pillow's error for truncated data, which some versions of OpenCV accept; else None."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.draft('L', (1, 1))  # JPEG: reads all data, but decodes an eighth of the size
            image.load()
    except (UnidentifiedImageError, Image.DecompressionBombError):
        return None  # a format that only OpenCV reads, or a large image
    except (OSError, SyntaxError, ValueError) as error:
        return _one_line(error)
    return None
