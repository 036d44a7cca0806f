"""Figures of instance segmentation as percentages and as tables."""

import math
from collections.abc import Sequence

import numpy as np
from terminaltables import AsciiTable

from mmp2seg.evaluation.functional.missing_adjacent import AdjacentObjects
from mmp2seg.evaluation.functional.voc_instance_ap import mean_over_classes


def threshold_name(iou: float) -> str:
    """Format an IoU threshold for the name of a figure: 0.5 -> ``'50'``, 0.725 -> ``'72.5'``."""
    return f'{100 * iou:.6g}'


def percent(value: float) -> float:
    """Convert a fraction to percent with two decimals; nan stays nan."""
    return round(100 * float(value), 2)


def voc_figures(
    aps: np.ndarray, iou_thresholds: Sequence[float], classes: Sequence[str] | None = None
) -> dict[str, float]:
    """Convert VOC APs to figures in percent with names.

    Args:
        aps: ``(K, T)`` fractions, nan for a class without objects.
        iou_thresholds: ``T`` IoU thresholds.
        classes: names of the ``K`` classes, to include the figures of each class. None: only means.

    Returns:
        dict: the means as ``mAP50`` etc., and the classes as ``AP50/<class>`` etc.
    """
    figures = {}
    means = mean_over_classes(aps)
    for iou, mean in zip(iou_thresholds, means, strict=True):
        figures[f'mAP{threshold_name(iou)}'] = percent(mean)
    for iou, column in zip(iou_thresholds, aps.T, strict=True):
        for name, ap in zip(classes or [], column if classes else [], strict=True):
            figures[f'AP{threshold_name(iou)}/{name}'] = percent(ap)
    return figures


def class_table(
    aps: np.ndarray, iou_thresholds: Sequence[float], classes: Sequence[str] | None = None
) -> str:
    """Format VOC APs as a table of percentages; for the arguments see :func:`voc_figures`."""
    head = ['category', *(f'AP{threshold_name(iou)}' for iou in iou_thresholds)]
    rows = zip(classes or [], aps if classes else [], strict=True)
    body = [[name, *map(_cell, row)] for name, row in rows]
    table = AsciiTable([head, *body, ['mean', *map(_cell, mean_over_classes(aps))]])
    table.inner_footing_row_border = True
    return table.table


def row_table(figures: dict[str, float]) -> str:
    """Format named fractions as a table with one row of percentages."""
    return AsciiTable([list(figures), [_cell(value) for value in figures.values()]]).table


def found_figures(figures: dict[str, float]) -> dict[str, float]:
    """Convert the rates of table 8 to percent; counts are kept."""
    return {key: percent(v) if 'rate' in key else v for key, v in figures.items()}


def missing_adjacent_table(figures: dict[str, float], adjacent: AdjacentObjects) -> str:
    """Format the figures of table 8 as a table, followed by their definition.

    Args:
        figures: result of :func:`~mmp2seg.evaluation.functional.missing_adjacent.summarize_found`.
        adjacent: rule of adjacent objects that the figures are based on.
    """
    rows = [
        ['figure', '%', 'objects'],
        [
            'missing rate at IoU 50',
            _cell(figures['missing_rate_iou50']),
            f'{figures["num_missing_iou50"]} of {figures["num_objects"]}',
        ],
        [
            'adjacent rate at IoU 50',
            _cell(figures['adjacent_rate_iou50']),
            f'{figures["num_adjacent_found_iou50"]} of {figures["num_adjacent"]}',
        ],
    ]
    across = '' if adjacent.void_dir is None else ' or across the void band'
    return (
        f'{AsciiTable(rows).table}\n'
        'The paper gives no formula for these rates, the definition is ours: missing = no '
        'prediction of the class\nreaches IoU 50; adjacent = another object of the class is at '
        f'most {adjacent.gap} px away{across};\nadjacent rate = share of adjacent objects that are '
        'found.'
    )


def _cell(fraction: float) -> str:
    return '-' if math.isnan(fraction) else f'{100 * fraction:.2f}'
