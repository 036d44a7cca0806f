"""The report of a check of a point dataset, as one page and as json."""

import dataclasses
import textwrap
from collections import Counter

from mmp2seg.analysis.dataset_check.image import POINTS_PER_REGION
from mmp2seg.analysis.dataset_check.point_positions import PLACES
from mmp2seg.analysis.tables import format_count
from mmp2seg.datasets.point_supervision import SUPERVISION_KINDS

SHOWN_PROBLEMS = 10
# Titles by kind of problem, in the order of the page.
PROBLEMS = {
    'missing': 'missing files',
    'unreadable': 'files that cannot be read',
    'images': 'entries of images that cannot be read',
    'points': 'points that cannot be read',
    'sizes': 'sizes that disagree',
    'map_values': 'maps with values that are not a class',
    'outside': 'points outside of their image',
    'duplicate_points': 'points at the same place',
    'duplicate_images': 'images listed more than once',
    'same_content': 'image files with the same content',
    'image_classes': 'images whose classes differ from those of their points',
    'classes': 'classes of the points and of the maps do not match',
}
_PLACE_NAMES = {
    'on_class': 'on their class',
    'other_class': 'on another class',
    'background': 'on background',
    'ignore': 'on ignore',
    'outside': 'outside of the image',
}


@dataclasses.dataclass(frozen=True)
class DatasetReport:
    """Figures and problems of a dataset.

    Attributes:
        title: split and file of the dataset.
        classes: names of the K classes.
        counts: sums of ``ImageFindings.counts``.
        problems: all lines by kind; a line names its file.
        notes: like ``problems``, for what is usual in weak maps: points off their class with a
            region nearby (``'off_class'``) and without one (``'lost'``), and maps with classes that
            no point of their image has (``'classes_without_points'``); and for points outside of
            their true mask (``'off_mask'``).
        max_snap_distance: of the labeler, in pixels.
        min_region_area: of the labeler, in pixels.
    """

    title: str
    classes: tuple[str, ...]
    counts: Counter
    problems: dict[str, list[str]]
    notes: dict[str, list[str]]
    max_snap_distance: float
    min_region_area: int

    @property
    def num_problems(self) -> int:
        """Number of problems of all kinds."""
        return sum(map(len, self.problems.values()))

    def to_json(self) -> dict:
        """Return all figures, problems and notes as plain json types."""
        counts = self.counts
        names = ('images', 'empty', 'points', 'background_points', 'maps', 'snapped', 'lost')
        names += ('regions', 'regions_small', 'regions_without_points')
        names += ('pixels', 'pixels_without_points')
        return dict(
            title=self.title,
            counts={name: counts[name] for name in names},
            points_per_class={
                name: counts['class', label] for label, name in enumerate(self.classes)
            },
            places={place: counts['place', place] for place in PLACES},
            supervision={kind: counts['supervision', kind] for kind in SUPERVISION_KINDS},
            images_with_all_masks=counts['complete'],
            points_per_region={
                name: counts['points_per_region', name] for name in POINTS_PER_REGION
            },
            problems=self.problems,
            notes=self.notes,
        )

    def __str__(self) -> str:
        """Format one page for a terminal."""
        counts = self.counts
        per_class = [f'{name} {counts["class", i]}' for i, name in enumerate(self.classes)]
        lines = [
            self.title,
            f'{format_count(counts["images"], "image")}, {counts["empty"]} without points; '
            f'{format_count(counts["maps"], "map")}',
            f'{format_count(counts["points"], "point")} in '
            f'{format_count(len(self.classes), "class", "classes")}:',
            *_wrapped(per_class),
        ]
        lines += self._supervision()
        if counts['background_points']:
            lines.append(format_count(counts['background_points'], 'background click'))
        if counts['maps']:
            lines += [*self._points_on_maps(), *self._regions()]
        return '\n'.join([*lines, *self._problems()])

    def _supervision(self) -> list[str]:
        """Count the kinds of supervision, if there are others than points."""
        counts = self.counts
        numbers = {kind: counts['supervision', kind] for kind in SUPERVISION_KINDS}
        if not numbers['mask'] + numbers['box']:
            return []
        off_mask = len(self.notes.get('off_mask', ()))
        return [
            f'supervision: {numbers["mask"]} with a true mask, {numbers["box"]} with a true box, '
            f'{numbers["point"]} by the point alone; all masks in '
            f'{format_count(counts["complete"], "image")}',
            *([f'  points outside of their true mask: {off_mask}'] if off_mask else []),
        ]

    def _points_on_maps(self) -> list[str]:
        counts = self.counts
        total = sum(counts['place', place] for place in PLACES)
        lines = [f'{format_count(total, "point")} on maps:']
        for place in PLACES:
            number = counts['place', place]
            lines.append(f'  {_PLACE_NAMES[place]:<24}{number:>8}  {_percent(number, total)}')
        distance = f'{self.max_snap_distance:g} px'
        return [
            *lines,
            f'  off their class, but a region of it is within {distance}: {counts["snapped"]}',
            f'  no region of their class within {distance}, so no mask: {counts["lost"]}',
        ]

    def _regions(self) -> list[str]:
        counts = self.counts
        without = counts['regions_without_points']
        share = _percent(counts['pixels_without_points'], counts['pixels'])
        regions = format_count(counts['regions'], 'region')
        lines = [f'{regions} of the maps:', *self._small_regions()]
        for name in POINTS_PER_REGION:
            number = counts['points_per_region', name]
            title = f'with {name} point' + ('s' if name != '1' else '')
            lines.append(f'  {title:<24}{number:>8}')
        shared = sum(counts['points_per_region', name] for name in POINTS_PER_REGION if name != '1')
        absent = len(self.notes.get('classes_without_points', ()))
        return [
            *lines,
            f'  {"without points":<24}{without:>8}, {share.strip()} of the pixels of all classes',
            f'  split by distance separation: {shared}',
            f'maps with a class that no point of their image has: {absent}',
        ]

    def _small_regions(self) -> list[str]:
        number = self.counts['regions_small']
        if not number:
            return []
        return [f'  (and {number} of fewer than {self.min_region_area} pixels, left out)']

    def _problems(self) -> list[str]:
        if not self.num_problems:
            return ['no problems found']
        lines = [f'{format_count(self.num_problems, "problem")} found']
        for kind, title in PROBLEMS.items():
            found = self.problems.get(kind, [])
            if found:
                lines.append(f'{title}: {len(found)}')
                lines += [f'  {line}' for line in found[:SHOWN_PROBLEMS]]
            if len(found) > SHOWN_PROBLEMS:
                lines.append(f'  ... and {len(found) - SHOWN_PROBLEMS} more')
        return lines


def _wrapped(words: list[str]) -> list[str]:
    """Wrap to lines without breaking a word that holds spaces, like 'potted plant 3'."""
    text = ', '.join(word.replace(' ', '\xa0') for word in words)
    lines = textwrap.wrap(text, 96, initial_indent='  ', subsequent_indent='  ')
    return [line.replace('\xa0', ' ') for line in lines]


def _percent(part: int, total: int) -> str:
    return f'{100 * part / total:5.1f} %' if total else '    - '
