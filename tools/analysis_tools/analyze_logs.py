"""Draw the losses and metrics of one or several trainings as curves, and print the metrics.

Example: python tools/analysis_tools/analyze_logs.py work_dirs/a work_dirs/b --out curves.png
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import FILE_ERRORS, CommandError, make_parser, run_command


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('work_dirs', nargs='+', metavar='WORK_DIR', help='folder of a training')
    parser.add_argument(
        '--out',
        default='curves.png',
        metavar='FILE',
        help='picture to write: .png, .svg or .pdf (default: curves.png)',
    )
    parser.add_argument(
        '--keys',
        nargs='+',
        metavar='NAME',
        help='scalars to draw (default: losses, metrics and the learning rate)',
    )
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    args = parse_args(argv)
    from mmp2seg.analysis.plots import plot_curves, write_figure
    from mmp2seg.analysis.tables import format_table
    from mmp2seg.analysis.training_logs import (
        distinct_names,
        read_training_log,
        summarize_metrics,
    )

    logs = [read_training_log(folder) for folder in args.work_dirs]
    for log, folder, name in zip(logs, args.work_dirs, distinct_names(args.work_dirs)):
        log.name = name
        if not log.curves:
            raise CommandError(f'{folder}: expected logs */vis_data/scalars.json, got none')
    write_figure(args.out, plot_curves(logs, names=args.keys))
    rows = [
        [log.name, metric, f'{last:.4g}', f'{best:.4g}', str(step)]
        for log in logs
        for metric, last, best, step in summarize_metrics(log)
    ]
    if rows:
        print(format_table(['run', 'metric', 'last', 'largest', 'at step'], rows))
    print(args.out)


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
