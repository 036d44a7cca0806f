import io

import numpy as np
import pytest
from PIL import Image

from mmp2seg.analysis.plots import figure_png, plot_curves, plot_histogram, write_figure
from mmp2seg.analysis.training_logs import TrainingLog

CURVES = {'lr': ([1, 2], [1, 1]), 'acc': ([1], [9]), 'loss_a': ([1, 2], [3, 2])}


def test_a_field_for_each_scalar_and_a_line_for_each_run():
    first = TrainingLog('_a $x$', {**CURVES, 'coco/mAP': ([2], [0.5])})
    second = TrainingLog('b', CURVES)
    figure = plot_curves([first, second])
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ['loss_a', 'coco/mAP', 'lr']
    # the legend has two empty lines in the first field
    assert [len(axes.lines) for axes in figure.axes] == [2 + 2, 1, 2]
    assert figure.axes[0].lines[0].get_xydata().tolist() == [[1, 3], [2, 2]]
    legend = [text.get_text().strip() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == ['_a $x$', 'b']
    assert figure_png(figure).startswith(b'\x89PNG')  # no formula is parsed
    assert [axes.get_title() for axes in plot_curves([first], names=['acc']).axes] == ['acc']


def test_scalars_that_no_run_has():
    with pytest.raises(ValueError, match='expected scalars x, got acc, loss_a, lr'):
        plot_curves([TrainingLog('a', CURVES)], names=['x'])
    with pytest.raises(ValueError, match='expected scalars, got none'):
        plot_curves([TrainingLog('a')])


def test_histogram():
    figure = plot_histogram([0.1, 0.1, 0.9, 1.0], title='IoU', bins=2)
    (axes,) = figure.axes
    assert [patch.get_height() for patch in axes.patches] == [2, 2]
    assert np.allclose(axes.lines[0].get_xdata(), 0.525)
    assert len(plot_histogram([], title='none').axes[0].lines) == 0


def test_the_suffix_is_the_format(tmp_path):
    figure = plot_histogram([0.5], title='x')
    write_figure(tmp_path / 'a.PNG', figure)
    assert Image.open(tmp_path / 'a.PNG').size == (420, 280)
    assert Image.open(io.BytesIO(figure_png(figure))).size == (420, 280)
    write_figure(tmp_path / 'a.svg', figure)
    assert '<svg' in (tmp_path / 'a.svg').read_text()
    with pytest.raises(ValueError, match='expected a .png, .svg or .pdf file to write, got a.gif'):
        write_figure('a.gif', figure)
