"""What the chains of an ablation measured, per config over the seeds."""

import math
from collections.abc import Iterable, Mapping, Sequence

from mmp2seg.analysis.tables import format_mean, format_table, mean_and_spread
from mmp2seg.experiments.chain import Chain
from mmp2seg.experiments.segmentor_run import SegmentorRun

# Fractions, by what they are called in the table.
COLUMNS = {
    'mean IoU': 'mean_iou',
    'mean IoU, touching': 'mean_iou_touching',
    'touching found': 'found_touching_iou50',
    'IoU > .50': 'share_iou50',
    'IoU > .70': 'share_iou70',
    'IoU > .90': 'share_iou90',
}
# Of a segmentor's test: COCO's metric gives fractions, the others percent.
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
# By config and seed; None where nothing was measured.
Results = Mapping[str, Mapping[int, Mapping[str, float] | None]]


def collect_results(chains: Sequence[Chain], names: Sequence[str]) -> dict[str, dict[int, dict]]:
    """Figures of every config and seed, with shares of the objects added to the counts.

    Args:
        names: the configs, in the order of the table.
    """
    results = {name: {} for name in names}
    for chain in chains:
        for variant in chain.variants:
            figures = chain.figures(variant)
            results[variant.name][chain.seed] = figures and with_shares(figures)
    return results


def collect_refine_results(
    chains: Sequence[Chain], names: Sequence[str]
) -> dict[str, dict[int, dict]]:
    """What the segmentors' tests measured of every config and seed; fractions by column."""
    results = {name: {} for name in names}
    for chain in chains:
        for variant in chain.variants:
            results[variant.name][chain.seed] = test_results(chain.refinement(variant))
    return results


def test_results(run: SegmentorRun) -> dict[str, float | None] | None:
    """What the test of a segmentor measured; fractions by column of the table, None for no test."""
    figures = run.figures()
    return figures and {
        column: _measured(figures[key], factor)
        for column, (key, factor) in REFINE_COLUMNS.items()
        if key in figures
    }


def with_shares(figures: Mapping[str, float]) -> dict[str, float]:
    """Figures of ``summarize_ious``, with ``share_iou50`` and so on: parts of all objects."""
    total = figures['num_objects']
    shares = {
        f'share_iou{percent}': figures[f'num_iou{percent}'] / total if total else None
        for percent in (50, 70, 90)
    }
    return {**figures, **shares}


def make_table(results: Results, columns: Mapping[str, str] = COLUMNS) -> str:
    """Mean and standard deviation over the seeds in percent, a row per config, in Markdown.

    Args:
        columns: keys of the figures by what they are called in the table.
    """
    rows = [
        (name, str(_count(of_seed)), *(format_mean(_values(of_seed, k)) for k in columns.values()))
        for name, of_seed in results.items()
    ]
    return format_table(('config', 'seeds', *columns), rows)


def make_refine_table(results: Results) -> str:
    """As :func:`make_table`, of :func:`collect_refine_results`; columns that were measured."""
    return make_table(results, measured_columns(results))


def measured_columns(results: Results) -> dict[str, str]:
    """The columns of :data:`REFINE_COLUMNS` that any test measured, as :func:`make_table` asks."""
    known = {
        column
        for of_seed in results.values()
        for figures in of_seed.values()
        for column in figures or ()
    }
    return {column: column for column in REFINE_COLUMNS if column in known}


def make_difference_table(results: Results, columns: Mapping[str, str] = COLUMNS) -> str | None:
    """As :func:`make_table`, each config minus the first one, seed by seed.

    The data of a seed are common to all configs, and with them most of what differs between seeds.

    Args:
        columns: as :func:`make_table`.

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


def summarize(results: Results) -> dict[str, dict]:
    """What goes into the json: per config its values by seed, their mean and spread."""
    summary = {}
    for name, of_seed in results.items():
        pairs = {key: mean_and_spread(_values(of_seed, key)) for key in _keys()}
        summary[name] = {
            'mean': {key: mean for key, (mean, _) in pairs.items()},
            'standard_deviation': {key: spread for key, (_, spread) in pairs.items()},
            'seeds': {str(seed): figures for seed, figures in of_seed.items()},
        }
    return summary


def _measured(value: float, factor: float) -> float | None:
    """None where there was nothing to measure: nan, or pycocotools' -1."""
    return None if math.isnan(value) or value < 0 else value * factor


def _keys() -> list[str]:
    return list(COLUMNS.values())


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
