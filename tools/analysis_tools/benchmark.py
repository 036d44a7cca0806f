"""Measure mmp2seg on this machine: affinity streamed and dense, training steps, targets, decoding,
the data pipeline and inference. Prints one table.

Example: python tools/analysis_tools/benchmark.py --growth --memory --json figures.json
"""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import CommandError, add_device_argument, run_command
from mmp2seg.apis.device import select_device

ROOT = Path(__file__).resolve().parents[2]
PARTS = ('affinity', 'propagation', 'step', 'targets', 'pipeline', 'inference')


def parse_args(argv: list[str]) -> argparse.Namespace:
    from mmengine.config import DictAction  # imports mmengine: after select_device

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--config',
        default=str(ROOT / 'configs' / 'p2seg' / 'hrnet48_voc.py'),
        help='of the network and the pipeline (default: the released HRNet-48 for VOC)',
    )
    parser.add_argument(
        '--only', nargs='*', choices=PARTS, metavar='PART', help=f'of {", ".join(PARTS)}'
    )
    parser.add_argument(
        '--growth', action='store_true', help='also: targets and decoding by points and pixels'
    )
    parser.add_argument(
        '--memory', action='store_true', help='also: memory of training steps by pixels'
    )
    parser.add_argument('--repeat', type=int, default=5, help='timed calls (default: 5)')
    parser.add_argument('--threads', type=int, help='of torch and OpenCV (default: one per core)')
    parser.add_argument('--grid', type=int, default=104, help='side of the embedding')
    parser.add_argument('--channels', type=int, default=256, help='of the embedding')
    parser.add_argument('--beta', type=float, default=1.0, help='of the propagation by itself')
    parser.add_argument('--radius', type=float, help='of it, in cells (default: no limit)')
    parser.add_argument('--crop', type=int, default=416, help='side of the training image')
    parser.add_argument(
        '--image',
        type=int,
        nargs=2,
        default=(375, 500),
        metavar=('H', 'W'),
        help='size at inference and of the pipeline (default: 375 500)',
    )
    parser.add_argument('--points', type=int, default=12, help='of an image (default: 12)')
    parser.add_argument('--num-images', type=int, default=8, help='of the pipeline (default: 8)')
    parser.add_argument(
        '--memory-sides',
        type=int,
        nargs='+',
        default=(256, 416, 640, 1024),
        metavar='SIDE',
        help='of --memory (default: 256 416 640 1024)',
    )
    parser.add_argument('--json', metavar='OUT.json', help='also write the figures there')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        metavar='KEY=VALUE',
        help='override settings of the config',
    )
    add_device_argument(parser)
    args = parser.parse_args(argv)
    if not Path(args.config).is_file():
        raise CommandError(f'config not found: {args.config}')
    if args.repeat < 1:
        raise CommandError(f'--repeat: expected at least 1, got {args.repeat}')
    return args


def chosen_parts(args: argparse.Namespace) -> list[str]:
    """Names of the parts, in the order of the table."""
    parts = [name for name in PARTS if args.only is None or name in args.only]
    return parts + [name for name in ('growth', 'memory') if getattr(args, name)]


def main(argv: list[str]) -> None:
    select_device(argv)
    args = parse_args(argv)
    import torch

    from mmp2seg.analysis.benchmarks import parts, report
    from mmp2seg.analysis.benchmarks.measuring import Settings, available_cores
    from mmp2seg.files.atomic_write import write_json

    device = args.device
    if device == 'auto':
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
    settings = Settings(device, args.threads or available_cores(), args.repeat)
    settings.apply()
    case = parts.Case(
        config=args.config,
        cfg_options=args.cfg_options,
        grid=args.grid,
        channels=args.channels,
        beta=args.beta,
        radius=args.radius,
        crop=args.crop,
        image=tuple(args.image),
        points=args.points,
        num_images=args.num_images,
        memory_sides=tuple(args.memory_sides),
    )
    machine = settings.describe()
    print(machine, flush=True)
    rows = []
    for name in chosen_parts(args):
        print(f'measuring: {name}', file=sys.stderr, flush=True)
        rows += parts.PARTS[name](case, settings)
    print(f'\n{report.make_table(rows)}')
    if args.json:
        figures = dict(machine=machine, case=asdict(case), rows=[row.as_dict() for row in rows])
        write_json(args.json, figures)


if __name__ == '__main__':
    run_command(main)
