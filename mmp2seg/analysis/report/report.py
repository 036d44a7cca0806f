"""Write the report of a work dir: configuration, curves, metrics, and its pseudo labels."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmp2seg.analysis.plots import figure_png, plot_curves, plot_histogram
from mmp2seg.analysis.report import html_parts as html
from mmp2seg.analysis.report.label_pictures import LabelPictures
from mmp2seg.analysis.report.scored_points import (
    ScoredPoint,
    best_and_worst,
    mean_or_none,
    scored_points,
)
from mmp2seg.analysis.report.settings import describe_settings, find_config, read_settings
from mmp2seg.analysis.training_logs import TrainingLog, read_training_log, summarize_metrics
from mmp2seg.codecs import DROP_REASONS
from mmp2seg.evaluation.functional.pseudo_masks import summarize_ious, summarize_sizes
from mmp2seg.evaluation.functional.truth_file import TruthFile, compare_files, object_areas
from mmp2seg.files.atomic_write import write_text
from mmp2seg.files.text_reading import read_text
from mmp2seg.pseudo_labels.coco_json import load

# Anchor, heading and HTML of a part of the page.
Section = tuple[str, str, str]

_TRUTH_FIGURES = {
    'num_objects': 'objects',
    'mean_iou': 'mean IoU',
    'num_iou50': 'objects with IoU > .50',
    'num_iou70': 'objects with IoU > .70',
    'num_iou90': 'objects with IoU > .90',
    'num_touching': 'touching objects',
    'mean_iou_touching': 'mean IoU of touching objects',
    'found_touching_iou50': 'share of touching objects found at IoU .50',
    'mean_iou_small': 'mean IoU of the smaller half',
    'mean_iou_large': 'mean IoU of the larger half',
}


@dataclass(frozen=True)
class LabelFiles:
    """What a report shows of pseudo labels.

    Attributes:
        labels: pseudo label json.
        images: folder of its images. None: the report has no pictures of points.
        truth: COCO json with the true instances. None: masks are sorted by their score.
        semantic_maps: folder of the maps ``NAME.png`` that the masks were cut from, see
            :class:`mmp2seg.analysis.report.label_pictures.LabelPictures`.
        match: how to find the true object of a point, see
            :func:`mmp2seg.evaluation.functional.pseudo_masks.point_matched_ious`.
    """

    labels: str
    images: str | None = None
    truth: str | None = None
    semantic_maps: str | None = None
    match: str = 'point'


def write_report(
    work_dir: str | Path,
    out: str | Path,
    *,
    files: LabelFiles | None = None,
    num: int = 12,
    max_failed: int = 200,
) -> list[str]:
    """Write a report as one HTML file, which contains its pictures and needs no network.

    Args:
        work_dir: folder of a training; a folder without config and logs gives sections that say so.
        out: the file to write.
        files: pseudo labels to show. None: only the training is shown.
        num: number of best and of worst masks with a picture.
        max_failed: number of points without a mask that get a picture. All are listed.

    Returns:
        list: the headings of the report.

    Raises:
        FileNotFoundError: the work dir or a file is missing.
        ValueError: a file is malformed, files do not fit together, or ``out`` is no .html file;
            the message names the file.
    """
    if Path(out).suffix.lower() not in ('.html', '.htm'):
        raise ValueError(f'expected a .html file to write, got {out}')
    log = read_training_log(work_dir)
    sections = [configuration_section(work_dir), training_section(log), metrics_section(log)]
    if files is not None:
        sections += label_sections(files, num=num, max_failed=max_failed)
    write_text(out, html.page(f'Report of {log.name}', sections))
    return [name for _, name, _ in sections]


def configuration_section(work_dir: str | Path) -> Section:
    """Return the main settings of a work dir's newest config, and its whole text, folded."""
    path = find_config(work_dir)
    if path is None:
        body = html.paragraph('The work dir has no config.')
    else:
        try:
            body = html.table(['setting', 'value'], describe_settings(read_settings(path)))
        except ValueError as error:  # of a run that was killed while it wrote, or no config
            body = html.paragraph(f'Not read: {error}')
        body += html.folded(path.name, read_text(path))
    return 'configuration', 'Configuration', body


def training_section(log: TrainingLog) -> Section:
    """Return the curves of a training."""
    if not log.curves:
        body = html.paragraph('The work dir has no log of a training.')
    else:
        names = [*log.losses, *log.metrics, 'lr']
        shown = names if set(names) & set(log.curves) else list(log.curves)
        picture = figure_png(plot_curves([log], names=shown))
        body = html.figure(picture, [], alt='curves of losses, metrics and the learning rate')
    return 'training', 'Training', body


def metrics_section(log: TrainingLog) -> Section:
    """Return the metrics of validation and of all tests, and the files that cannot be read."""
    parts = []
    rows = summarize_metrics(log)
    if rows:
        parts.append(html.table(['validation', 'last', 'largest', 'at step'], rows))
    names = list(dict.fromkeys(name for test in log.tests for name in test))
    if names:
        head = ['test', *(f'run {number}' for number in range(1, len(log.tests) + 1))]
        parts.append(
            html.table(head, [[name, *(test.get(name) for test in log.tests)] for name in names])
        )
    parts += [html.paragraph(f'Not read: {reason}') for reason in log.unread]
    return 'metrics', 'Metrics', '\n'.join(parts) or html.paragraph('No metrics were logged.')


def label_sections(files: LabelFiles, *, num: int, max_failed: int) -> list[Section]:
    """Return the sections of pseudo labels: figures, best and worst masks, failed points.

    Args:
        files: what to show.
        num, max_failed: see :func:`write_report`.
    """
    labels = load(files.labels)
    truth = None if files.truth is None else TruthFile(files.truth)
    try:
        points = scored_points(labels, truth, match=files.match)
    except ValueError as error:
        raise ValueError(f'{files.labels}: {error}') from error
    pictures = None
    if files.images is not None:
        pictures = LabelPictures(labels, files.images, files.semantic_maps)
    caption = _Captions(labels)
    sections = [
        (
            'labels',
            'Pseudo labels',
            '\n'.join(_label_figures(labels, points, truth, match=files.match)),
        )
    ]
    best, worst = best_and_worst(points, num)
    order = 'IoU with the truth' if any(p.iou is not None for p in points) else 'score'
    for name, chosen in (('Best', best), ('Worst', worst)):
        body = [html.paragraph(f'By {order}.')]
        body.append(_objects(chosen, pictures, caption))
        sections.append((name.lower(), f'{name} masks', '\n'.join(body)))
    without = [point for point in points if point.iou is None] if truth is not None else []
    if without:
        body = [
            html.paragraph(
                f'{len(without)} points have a mask, but the truth has no object of their class '
                f'there. {_shown(len(without), num)}'
            ),
            _objects(without[:num], pictures, caption),
        ]
        sections.append(('unknown', 'Masks without a true object', '\n'.join(body)))
    sections.append(_failed_section(labels['dropped_points'], pictures, caption, max_failed))
    return sections


class _Captions:
    """Text about a point: class, figures, image and place."""

    def __init__(self, labels: Mapping[str, Any]) -> None:
        self.classes = {c['id']: str(c['name']) for c in labels['categories']}
        self.images = {image['id']: str(image['file_name']) for image in labels['images']}

    def place(self, entry: Mapping[str, Any]) -> str:
        x, y = entry['point']
        return f'point {entry["point_id"]} at x {x:g}, y {y:g}'

    def of_object(self, point: ScoredPoint) -> list[str]:
        entry = point.entry
        figures = f'{self.classes[entry["category_id"]]}, score {entry["score"]:.2f}'
        if point.iou is not None:
            figures += f', IoU {point.iou:.2f}'
        return [figures, self.images[entry['image_id']], self.place(entry)]

    def of_failure(self, entry: Mapping[str, Any]) -> list[str]:
        reason = f'{entry["reason"]}: {DROP_REASONS[entry["reason"]]}'
        name = self.classes[entry['category_id']]
        return [f'{name}, {self.place(entry)}', self.images[entry['image_id']], reason]


def _label_figures(
    labels: Mapping[str, Any],
    points: Sequence[ScoredPoint],
    truth: TruthFile | None,
    *,
    match: str,
) -> list[str]:
    dropped = labels['dropped_points']
    reasons = Counter(entry['reason'] for entry in dropped)
    rows = [
        ('images', len(labels['images'])),
        ('points with a mask', len(points)),
        ('points without a mask', len(dropped)),
        *((f'{reason}: {text}', reasons[reason]) for reason, text in DROP_REASONS.items()),
    ]
    parts = [html.table(['figure', 'value'], rows)]
    scores = [float(point.entry['score']) for point in points]
    histograms = [plot_histogram(scores, title=f'scores of {len(scores)} masks')]
    if truth is not None:
        ious, touching = compare_files(labels, truth, match=match)
        figures = summarize_ious(ious, touching)
        figures |= summarize_sizes(ious, object_areas(labels, truth))
        parts.append(
            html.table(
                ['comparison with the truth, an object without a mask has IoU 0', 'value'],
                [(text, _none_for_nan(figures[name])) for name, text in _TRUTH_FIGURES.items()],
            )
        )
        histograms.append(plot_histogram(ious, title=f'IoU of {len(ious)} true objects'))
    parts.append(
        html.sheet([html.figure(figure_png(figure), [], alt='histogram') for figure in histograms])
    )
    parts.append(_class_table(labels, points, with_iou=truth is not None))
    return parts


def _class_table(
    labels: Mapping[str, Any], points: Sequence[ScoredPoint], *, with_iou: bool
) -> str:
    rows = []
    for category in labels['categories']:
        of_class = [p for p in points if p.entry['category_id'] == category['id']]
        failed = sum(e['category_id'] == category['id'] for e in labels['dropped_points'])
        row = [str(category['name']), len(of_class), failed]
        row.append(mean_or_none([p.entry['score'] for p in of_class]))
        if with_iou:
            row.append(mean_or_none([p.iou for p in of_class if p.iou is not None]))
        rows.append(row)
    head = ['class', 'with a mask', 'without', 'mean score']
    return html.table(head + ['mean IoU of the masks'] * with_iou, rows)


def _objects(
    points: Sequence[ScoredPoint], pictures: LabelPictures | None, caption: _Captions
) -> str:
    if not points:
        return html.paragraph('There are none.')
    lines = [caption.of_object(point) for point in points]
    if pictures is None:
        return html.table(['mask', 'image', 'point'], lines)
    return _sheet(pictures.of_objects(points), lines)


def _failed_section(
    dropped: Sequence[Mapping[str, Any]],
    pictures: LabelPictures | None,
    caption: _Captions,
    max_failed: int,
) -> Section:
    body = []
    if not dropped:
        body.append(html.paragraph('Every point has a mask.'))
    lines = [caption.of_failure(entry) for entry in dropped]
    shown = 0 if pictures is None else min(max_failed, len(dropped))
    if pictures is not None and shown:
        body.append(html.paragraph(_shown(len(dropped), max_failed)))
        if pictures.has_maps:
            body.append(
                html.paragraph(
                    'The semantic maps are those of the folder that the report was given. A '
                    "network's own map, which its masks are cut from, can differ."
                )
            )
        body.append(_sheet(pictures.of_failures(dropped[:shown]), lines[:shown]))
    if shown < len(dropped):
        body.append(html.table(['point', 'image', 'reason'], lines[shown:]))
    return 'failed', 'Points without a mask', '\n'.join(body)


def _sheet(pictures: Sequence[np.ndarray], lines: Sequence[Sequence[str]]) -> str:
    return html.sheet(
        [
            html.figure(picture, caption, alt=caption[0])
            for picture, caption in zip(pictures, lines, strict=True)
        ]
    )


def _shown(total: int, limit: int) -> str:
    return (
        f'The first {limit} of {total} are drawn.' if total > limit else f'All {total} are drawn.'
    )


def _none_for_nan(value: float) -> float | None:
    return None if math.isnan(value) else value
