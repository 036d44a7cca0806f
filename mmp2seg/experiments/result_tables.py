"""Tables of the measured figures, per config over the seeds."""

import math
from collections.abc import Iterable, Mapping, Sequence

from mmp2seg.analysis.tables import format_mean, format_table, mean_and_spread
from mmp2seg.experiments.stage1_run import Stage1Run
from mmp2seg.experiments.stage2_run import Stage2Run

# Keys of the figures, all fractions, by column of the table.
COLUMNS = {
    'mean IoU': 'mean_iou',
    'mean IoU, touching': 'mean_iou_touching',
    'touching found': 'found_touching_iou50',
    'IoU > .50': 'share_iou50',
    'IoU > .70': 'share_iou70',
    'IoU > .90': 'share_iou90',
}
# The same with figures that need true semantic maps.
MAP_COLUMNS = {
    'mean IoU': 'mean_iou',
    'smaller half': 'mean_iou_small',
    'larger half': 'mean_iou_large',
    'touching': 'mean_iou_touching',
    'IoU > .50': 'share_iou50',
    'mIoU': 'miou',
}
# The same for a segmentor's test, with a factor: COCO's metric gives fractions, the others percent.
REFINE_COLUMNS = {
    'AP': ('coco/segm_mAP', 1),
    'AP50': ('coco/segm_mAP_50', 1),
    'AP75': ('coco/segm_mAP_75', 1),
    'mAP25': ('voc/mAP25', 0.01),
    'mAP50': ('voc/mAP50', 0.01),
    'mAP70': ('voc/mAP70', 0.01),
    'mAP75': ('voc/mAP75', 0.01),
    'missing': ('objects/missing_rate_iou50', 0.01),
    'adjacent found': ('objects/adjacent_rate_iou50', 0.01),
}
# By config and seed; None = nothing was measured.
Results = Mapping[str, Mapping[int, Mapping[str, float] | None]]


def collect_results(runs: Sequence[Stage1Run], names: Sequence[str]) -> dict[str, dict[int, dict]]:
    """Return the figures of every config and seed, with shares of the objects added.

    Args:
        names: the configs, in the order of the table.
    """
    results = {name: {} for name in names}
    for run in runs:
        for variant in run.variants:
            figures = run.figures(variant)
            results[variant.name][run.seed] = figures and with_shares(figures)
    return results


def collect_refine_results(
    runs: Sequence[Stage1Run], names: Sequence[str]
) -> dict[str, dict[int, dict]]:
    """Return the test results of the segmentors by config and seed; fractions by column."""
    results = {name: {} for name in names}
    for run in runs:
        for variant in run.variants:
            results[variant.name][run.seed] = test_results(run.stage2_run(variant))
    return results


def test_results(run: Stage2Run) -> dict[str, float | None] | None:
    """Return a segmentor's test results; fractions by column of the table, None without a test."""
    figures = run.figures()
    return figures and {
        column: _measured(figures[key], factor)
        for column, (key, factor) in REFINE_COLUMNS.items()
        if key in figures
    }


def with_shares(figures: Mapping[str, float]) -> dict[str, float]:
    """Add ``share_iou50`` and so on, shares of all objects, to figures of ``summarize_ious``."""
    total = figures['num_objects']
    shares = {
        f'share_iou{percent}': figures[f'num_iou{percent}'] / total if total else None
        for percent in (50, 70, 90)
    }
    return {**figures, **shares}


def make_table(results: Results, columns: Mapping[str, str] = COLUMNS) -> str:
    """Return a Markdown table: mean and standard deviation over the seeds in percent, per config.

    Args:
        columns: keys of the figures by column of the table.
    """
    rows = [
        (name, str(_count(of_seed)), *(format_mean(_values(of_seed, k)) for k in columns.values()))
        for name, of_seed in results.items()
    ]
    return format_table(('config', 'seeds', *columns), rows)


def make_refine_table(results: Results) -> str:
    """Return the table of :func:`collect_refine_results`, with the measured columns alone."""
    return make_table(results, measured_columns(results))


def measured_columns(results: Results) -> dict[str, str]:
    """Return the columns of :data:`REFINE_COLUMNS` with a result, for :func:`make_table`."""
    known = {
        column
        for of_seed in results.values()
        for figures in of_seed.values()
        for column in figures or ()
    }
    return {column: column for column in REFINE_COLUMNS if column in known}


def make_difference_table(results: Results, columns: Mapping[str, str] = COLUMNS) -> str | None:
    """Return a table of each config minus the first one, seed by seed.

    All configs share the data of a seed, and most of the difference between seeds is in the data.

    Args:
        columns: see :func:`make_table`.

    Returns:
        None if there is nothing to compare.
    """
    (first, base), *others = results.items()
    rows = []
    for name, of_seed in others:
        common = {seed: _minus(of_seed[seed], base.get(seed), columns.values()) for seed in of_seed}
        cells = [format_mean(_values(common, key), sign=True) for key in columns.values()]
        rows.append((name, str(_count(common)), *cells))
    if all(row[1] == '0' for row in rows):
        return None
    return format_table((f'minus {first}', 'seeds', *columns), rows)


def summarize(results: Results, columns: Mapping[str, str] = COLUMNS) -> dict[str, dict]:
    """Return the content of the results json: values by seed, mean and spread of every config.

    Args:
        columns: see :func:`make_table`.
    """
    summary = {}
    for name, of_seed in results.items():
        pairs = {key: mean_and_spread(_values(of_seed, key)) for key in columns.values()}
        summary[name] = {
            'mean': {key: mean for key, (mean, _) in pairs.items()},
            'standard_deviation': {key: spread for key, (_, spread) in pairs.items()},
            'seeds': {str(seed): figures for seed, figures in of_seed.items()},
        }
    return summary


def _measured(value: float, factor: float) -> float | None:
    """Return a scaled value, None for nan or pycocotools' -1: there was nothing to measure."""
    return None if math.isnan(value) or value < 0 else value * factor


def _count(of_seed: Mapping) -> int:
    return sum(figures is not None for figures in of_seed.values())


def _values(of_seed: Mapping, key: str) -> list[float]:
    found = (figures.get(key) for figures in of_seed.values() if figures is not None)
    return [value for value in found if value is not None]


def _minus(figures: Mapping | None, base: Mapping | None, keys: Iterable[str]) -> dict | None:
    if figures is None or base is None:
        return None
    pairs = {key: (figures.get(key), base.get(key)) for key in keys}
    return {key: None if None in pair else pair[0] - pair[1] for key, pair in pairs.items()}
