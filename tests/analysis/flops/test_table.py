import pytest

from mmp2seg.analysis.flops.network_cost import FlopsCase, NetworkCost, PartCost
from mmp2seg.analysis.flops.table import make_report

BACKBONE = PartCost('backbone', 2_000_000, 3e9, 5e8, 0.012)
PROPAGATION = PartCost('propagation', 0, 2e9, 0, 0.5, {'F^T F': 1.5e9, 'A^beta C': 5e8})
ALL = PartCost('all', 2_000_000, 5e9, 5e8, 0.6)


def _report(*parts, rounds=1, embedding=(256, 104, 104), machine='a machine'):
    cost = NetworkCost('a network', (416, 416), embedding, 21, rounds, parts)
    return make_report(FlopsCase('config.py', shape=(400, 410)), [cost], machine)


def _cells(report, name):
    """Cells of the last row of this name."""
    rows = [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in report.splitlines()
        if line.startswith('|')
    ]
    return next(row[1:] for row in reversed(rows) if row[0] == name)


def test_rows():
    report = _report(BACKBONE, PROPAGATION, ALL)
    assert 'image 400 x 410, network input 416 x 416, 12 points, batch 1' in report
    assert 'ms: a machine' in report
    assert _cells(report, 'part') == ['params (M)', 'GMACs', 'GFLOPs', 'ms']
    assert _cells(report, 'backbone') == ['2.000', '3.00', '6.50', '12.0']
    assert _cells(report, 'propagation') == ['', '2.00', '4.00', '500.0']
    assert _cells(report, '- including F^T F') == ['', '1.50', '3.00', '']
    assert _cells(report, '- including A^beta C') == ['', '0.5000', '1.00', '']
    assert (
        _cells(report, 'a network') == _cells(report, 'all') == ['2.000', '5.00', '10.50', '600.0']
    )


@pytest.mark.parametrize('rounds', [1, 2])
def test_a_round_beside_the_whole_matrix(rounds):
    """10816 pixels: 10816^2 x 256 and x 21 multiply-adds."""
    report = _report(BACKBONE, PROPAGATION, ALL, rounds=rounds)
    assert f'{2 / rounds:.2f} GMACs counted' in report
    assert '29.95 + 2.46 GMACs' in report


def test_without_propagation_or_times():
    untimed = PartCost('all', 7, 5e9, 0)
    report = _report(untimed, rounds=0, machine=None)
    assert 'A round' not in report
    assert 'ms: ' not in report
    assert _cells(report, 'all')[-1] == '-'
    assert 'A round' not in _report(untimed, embedding=None)
