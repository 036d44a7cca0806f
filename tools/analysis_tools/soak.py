"""Train stage 1 on generated images for some time, and fail if memory, handles or processes grow.

Prints resident memory, open files and processes of the training and its data workers over time.
Needs Linux.

Example: python tools/analysis_tools/soak.py --minutes 30
"""

import argparse
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    CommandError,
    add_cfg_options,
    add_device_argument,
    add_json_argument,
    at_least,
    make_parser,
    run_command,
)
from mmp2seg.apis.device import select_device

CONFIG = Path(__file__).resolve().parents[2] / 'configs' / 'p2seg' / 'tiny_shapes.py'
_NUM_VALUES = 120  # lines that are printed


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument(
        '--config',
        default=str(CONFIG),
        help='stage-1 config of four classes (default: p2seg/tiny_shapes.py)',
    )
    parser.add_argument(
        '--minutes', type=float, default=30.0, help='how long to train (default: 30)'
    )
    parser.add_argument(
        '--num-workers', type=at_least(0), default=2, help='data workers (default: 2)'
    )
    add_json_argument(parser)
    add_cfg_options(parser)
    add_device_argument(parser)
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    select_device(argv)
    args = parse_args(argv)
    # these import mmengine: after select_device
    from mmp2seg.analysis.soak.training import soak_training
    from mmp2seg.analysis.soak.usage import Usage, find_growth
    from mmp2seg.apis.runner import load_config
    from mmp2seg.files.atomic_write import write_json

    cfg = load_config(args.config, cfg_options=args.cfg_options)

    def report(usage: Usage) -> None:
        print(
            f'{usage.seconds / 60:7.2f} min {usage.steps:8d} steps {usage.resident_mb:8.0f} MiB '
            f'{usage.open_files:5d} files {usage.processes:3d} processes',
            flush=True,
        )

    with tempfile.TemporaryDirectory() as folder:
        usages = soak_training(
            cfg,
            folder,
            minutes=args.minutes,
            interval=60 * args.minutes / _NUM_VALUES,
            num_workers=args.num_workers,
            report=report,
        )
    if args.json:
        write_json(args.json, [asdict(usage) for usage in usages])
    growth = find_growth(usages)
    if growth:
        raise CommandError('; '.join(growth))
    print(f'flat over {usages[-1].seconds / 60:.1f} minutes and {usages[-1].steps} steps')


if __name__ == '__main__':
    run_command(main, mistakes=(ValueError,))
