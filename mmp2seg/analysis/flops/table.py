"""Tables of the cost of stage-1 networks for one image."""

from collections.abc import Sequence

from mmp2seg.analysis.flops.formula import dense_propagation_macs
from mmp2seg.analysis.flops.network_cost import TOTAL, FlopsCase, NetworkCost, PartCost
from mmp2seg.analysis.flops.parts import PROPAGATION
from mmp2seg.analysis.tables import format_table

_FIGURES = ('params (M)', 'GMACs', 'GFLOPs', 'ms')
LEGEND = (
    'Per image. GMACs: multiply-adds of convolutions and matrix products. GFLOPs: twice that, plus '
    'one for each element of each other operation.'
)


def make_report(case: FlopsCase, costs: Sequence[NetworkCost], machine: str | None) -> str:
    """Summary, then the parts of each network; ``machine`` measured the times, None = no times."""
    (height, width), (input_height, input_width) = case.shape, costs[0].input_shape
    lines = [
        f'{case.phase}: image {height} x {width}, network input {input_height} x {input_width}, '
        f'{case.points} points, batch {case.batch}'
    ]
    if machine is not None:
        lines.append(f'ms: {machine}')
    lines += [LEGEND, '', make_summary(costs)]
    for cost in costs:
        lines += ['', f'{cost.name}:', '', make_part_table(cost)]
        if description := describe_propagation(cost):
            lines += ['', description]
    return '\n'.join(lines)


def make_summary(costs: Sequence[NetworkCost]) -> str:
    """Markdown table with a row per network."""
    rows = [(cost.name, *_figures(cost.part(TOTAL))) for cost in costs]
    return format_table(('network', *_FIGURES), rows)


def make_part_table(cost: NetworkCost) -> str:
    """Markdown table of a network's parts, each followed by its terms."""
    rows = []
    for part in cost.parts:
        rows.append((part.name, *_figures(part)))
        for term, count in part.terms.items():
            rows.append((f'- including {term}', '', _giga(count), _giga(2 * count), ''))
    return format_table(('part', *_FIGURES), rows)


def describe_propagation(cost: NetworkCost) -> str:
    """A round of propagation, counted and by formula for all pairs; empty without propagation."""
    if cost.embedding_shape is None or cost.rounds == 0:
        return ''
    channels, height, width = cost.embedding_shape
    num_pixels = height * width
    dense = dense_propagation_macs(num_pixels, channels, cost.num_scores)
    run = cost.part(PROPAGATION).macs / cost.rounds
    return (
        f'A round of propagation, N = {num_pixels} pixels, D = {channels} channels, '
        f'C = {cost.num_scores} scores: {_giga(run)} GMACs counted. With the N x N matrix, '
        f'N^2 D + N^2 C: {_giga(dense.logits)} + {_giga(dense.products)} GMACs.'
    )


def _figures(part: PartCost) -> tuple[str, ...]:
    params = f'{part.params / 1e6:.3f}' if part.params else ''
    seconds = '-' if part.seconds is None else f'{1000 * part.seconds:.1f}'
    return params, _giga(part.macs), _giga(part.flops), seconds


def _giga(count: float) -> str:
    """Format in units of 1e9, with more decimals for small numbers."""
    value = count / 1e9
    if value == 0:
        return '0'
    return f'{value:.2f}' if value >= 1 else f'{value:.4f}'
