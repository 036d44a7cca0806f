"""Measure mmp2seg on this machine and print one table.

Measures the affinity, streamed and dense, training steps, targets, decoding, the data pipeline,
inference and clicks.

Example: python tools/analysis_tools/benchmark.py --growth --memory --json figures.json
"""

import argparse
import sys
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
    require_outputs,
    run_command,
)
from mmp2seg.apis.device import resolve_device, select_device

ROOT = Path(__file__).resolve().parents[2]
PARTS = ('affinity', 'propagation', 'guided', 'step', 'targets', 'pipeline', 'inference', 'clicks')
OPTIONS = ('growth', 'turns', 'memory', 'segmenter', 'stream', 'scale')


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument(
        '--config',
        default=str(ROOT / 'configs' / 'p2seg' / 'hrnet48_voc.py'),
        help='config of the network and the pipeline (default: the released HRNet-48 for VOC)',
    )
    parser.add_argument(
        '--only',
        nargs='*',
        choices=PARTS,
        metavar='PART',
        help=f'measure these parts only, of {", ".join(PARTS)}',
    )
    parser.add_argument(
        '--growth', action='store_true', help='also targets and decoding by points and pixels'
    )
    parser.add_argument(
        '--turns',
        action='store_true',
        help='also training steps in turns, for the ratio of their times',
    )
    parser.add_argument(
        '--memory', action='store_true', help='also memory of training steps by pixels'
    )
    parser.add_argument('--repeat', type=at_least(1), default=5, help='timed calls (default: 5)')
    parser.add_argument(
        '--threads', type=int, help='threads of torch and OpenCV (default: one per core)'
    )
    parser.add_argument(
        '--grid', type=int, default=104, help='side of the embedding (default: 104)'
    )
    parser.add_argument(
        '--channels', type=int, default=256, help='channels of the embedding (default: 256)'
    )
    parser.add_argument(
        '--beta',
        type=float,
        default=1.0,
        help='power of the affinity in the part propagation (default: 1)',
    )
    parser.add_argument(
        '--radius', type=float, help='radius of this propagation, in cells (default: no limit)'
    )
    parser.add_argument(
        '--crop', type=int, default=416, help='side of the training image (default: 416)'
    )
    parser.add_argument(
        '--batch', type=at_least(1), default=1, help='images of a training step (default: 1)'
    )
    parser.add_argument(
        '--image',
        type=int,
        nargs=2,
        default=(375, 500),
        metavar=('H', 'W'),
        help='image size of inference and the pipeline (default: 375 500)',
    )
    parser.add_argument(
        '--points', type=at_least(1), default=12, help='points of an image (default: 12)'
    )
    parser.add_argument(
        '--num-images', type=at_least(1), default=8, help='images of the pipeline (default: 8)'
    )
    parser.add_argument(
        '--memory-sides',
        type=int,
        nargs='+',
        default=(256, 416, 640, 1024),
        metavar='SIDE',
        help='image sides of --memory (default: 256 416 640 1024)',
    )
    parser.add_argument(
        '--segmenter',
        action='store_true',
        help='also the training-free segmenter by pixels and points',
    )
    parser.add_argument(
        '--segmenter-sides',
        type=at_least(1),
        nargs='+',
        default=(352, 1024, 2048),
        metavar='SIDE',
        help='image sides of --segmenter (default: 352 1024 2048); --stream uses the first',
    )
    parser.add_argument(
        '--segmenter-points',
        type=at_least(1),
        nargs='+',
        default=(1, 20, 100, 500),
        metavar='N',
        help='points of an image of --segmenter (default: 1 20 100 500)',
    )
    parser.add_argument(
        '--stream',
        type=at_least(1),
        metavar='IMAGES',
        help='also the growth of memory while segmenter and inferencer read this many images',
    )
    parser.add_argument(
        '--scale',
        type=at_least(1),
        metavar='IMAGES',
        help='also writing labels and reading points of this many synthetic images; COCO train2017 '
        'has 118287',
    )
    add_json_argument(parser)
    add_cfg_options(parser)
    add_device_argument(parser)
    args = parser.parse_args(argv)
    if not Path(args.config).is_file():
        raise CommandError(f'config not found: {args.config}')
    return args


def chosen_parts(args: argparse.Namespace) -> list[str]:
    """Names of the parts, in the order of the table."""
    parts = [name for name in PARTS if args.only is None or name in args.only]
    return parts + [name for name in OPTIONS if getattr(args, name)]


def main(argv: list[str]) -> None:
    select_device(argv)
    args = parse_args(argv)
    require_outputs(files=[args.json])
    from mmp2seg.analysis.benchmarks import parts, report
    from mmp2seg.analysis.benchmarks.measuring import Settings, available_cores
    from mmp2seg.files.atomic_write import write_json

    device = resolve_device(args.device)
    settings = Settings(device, args.threads or available_cores(), args.repeat)
    settings.apply()
    case = parts.Case(
        config=args.config,
        cfg_options=args.cfg_options or {},
        grid=args.grid,
        channels=args.channels,
        beta=args.beta,
        radius=args.radius,
        crop=args.crop,
        batch=args.batch,
        image=tuple(args.image),
        points=args.points,
        num_images=args.num_images,
        memory_sides=tuple(args.memory_sides),
        segmenter_sides=tuple(args.segmenter_sides),
        segmenter_points=tuple(args.segmenter_points),
        stream=args.stream or parts.Case.stream,
        scale=args.scale or parts.Case.scale,
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
