"""Plots of curves and distributions, drawn without a display."""

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mmp2seg.analysis.training_logs import TrainingLog
from mmp2seg.files.atomic_write import replaced_file

_COLUMNS = 3


def plot_curves(logs: Sequence[TrainingLog], *, names: Sequence[str] | None = None) -> Figure:
    """Plot the scalars of one or several runs, a field for each scalar.

    Args:
        logs: runs, each with its own colour; their names are the legend.
        names: scalars to plot. None: losses, metrics and the learning rate.

    Raises:
        ValueError: no run has any of the scalars; the message names those that there are.
    """
    if names is None:
        names = [n for log in logs for n in log.losses] + [n for log in logs for n in log.metrics]
        names = [*names, 'lr']
    known = {name for log in logs for name in log.curves}
    found = [name for name in dict.fromkeys(names) if name in known]
    if not found:
        wanted = f' {", ".join(names)}' if known else ''
        raise ValueError(f'expected scalars{wanted}, got {", ".join(sorted(known)) or "none"}')
    columns = min(_COLUMNS, len(found))
    rows = math.ceil(len(found) / columns)
    figure = new_figure(4.2 * columns, 3 * rows + 0.3)
    for place, name in enumerate(found, start=1):
        axes = figure.add_subplot(rows, columns, place)
        for number, log in enumerate(logs):
            if name in log.curves:
                steps, values = log.curves[name]
                # a single validation is a dot
                marker = 'o' if len(steps) < 25 else ''
                axes.plot(steps, values, color=f'C{number % 10}', marker=marker, markersize=3)
        axes.set_title(name, fontsize=9, parse_math=False)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
    if len(logs) > 1:
        _add_legend(figure, [log.name for log in logs])
    return figure


def plot_histogram(values: Sequence[float], *, title: str, bins: int = 20) -> Figure:
    """Plot the distribution of values in [0, 1], with their mean as a line."""
    figure = new_figure(4.2, 2.8)
    axes = figure.add_subplot()
    axes.hist(np.clip(values, 0, 1), bins=bins, range=(0, 1), color='C0')
    if len(values):
        axes.axvline(float(np.mean(values)), color='C3', linewidth=1)
    axes.set_title(title, fontsize=9, parse_math=False)
    axes.tick_params(labelsize=8)
    return figure


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches; it needs no display and no global state."""
    figure = Figure(figsize=(width, height), dpi=100, layout='tight')
    FigureCanvasAgg(figure)
    return figure


def figure_png(figure: Figure) -> bytes:
    """Return a figure as the content of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png')
    return buffer.getvalue()


def write_figure(path: str | Path, figure: Figure) -> None:
    """Write a figure atomically in the format of the suffix: .png, .svg or .pdf.

    Raises:
        ValueError: another suffix.
        OSError: the file cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in ('.png', '.svg', '.pdf'):
        raise ValueError(f'expected a .png, .svg or .pdf file to write, got {path}')
    with replaced_file(path) as temporary:
        figure.savefig(temporary, format=suffix[1:])


def _add_legend(figure: Figure, names: Sequence[str]) -> None:
    lines = [
        figure.axes[0].plot([], [], color=f'C{number % 10}')[0] for number in range(len(names))
    ]
    # matplotlib leaves out names that begin with an underscore
    labels = [f' {name}' for name in names]
    legend = figure.axes[0].legend(lines, labels, fontsize=7)
    for text in legend.get_texts():
        text.set_parse_math(False)
