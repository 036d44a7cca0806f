"""Print GFLOPs and milliseconds per image of stage 1 (table 11 of the paper).

Measures the network without the affinity head (BESTIE) and with it, including affinity, propagation
and grouping.

Example: python tools/analysis_tools/get_flops.py configs/p2seg/hrnet48_voc_paper.py
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


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('config', help='path of a stage-1 config')
    parser.add_argument(
        '--shape',
        type=at_least(1),
        nargs=2,
        default=(375, 500),
        metavar=('H', 'W'),
        help='size of the image; the config pads it for the network (default: 375 500, padded to '
        '384 x 512)',
    )
    parser.add_argument(
        '--points', type=at_least(1), default=12, help='points of an image (default: 12)'
    )
    parser.add_argument(
        '--batch', type=at_least(1), default=1, help='images of a batch (default: 1)'
    )
    parser.add_argument(
        '--phase',
        choices=('test', 'train'),
        default='test',
        help='test: from the image to the masks; train: forward, targets, losses and backward '
        '(default: test)',
    )
    parser.add_argument(
        '--rounds',
        type=at_least(0),
        nargs='+',
        default=(0, 1),
        help='rounds of propagation at inference, one network each (default: 0 1)',
    )
    parser.add_argument(
        '--repeat', type=at_least(0), default=5, help='timed calls (default: 5; 0: no times)'
    )
    parser.add_argument(
        '--threads', type=int, help='threads of torch and OpenCV (default: one per core)'
    )
    add_json_argument(parser)
    add_cfg_options(parser)
    add_device_argument(parser)
    args = parser.parse_args(argv)
    if not Path(args.config).is_file():
        raise CommandError(f'config not found: {args.config}')
    return args


def main(argv: list[str]) -> None:
    select_device(argv)
    args = parse_args(argv)
    require_outputs(files=[args.json])
    from mmp2seg.analysis.benchmarks.measuring import Settings, available_cores
    from mmp2seg.analysis.flops import table as flops_table
    from mmp2seg.analysis.flops.network_cost import FlopsCase, measure_networks
    from mmp2seg.files.atomic_write import write_json

    device = resolve_device(args.device)
    settings = Settings(device, args.threads or available_cores(), args.repeat)
    settings.apply()
    case = FlopsCase(
        config=args.config,
        cfg_options=args.cfg_options or {},
        shape=tuple(args.shape),
        points=args.points,
        batch=args.batch,
        phase=args.phase,
        rounds=tuple(args.rounds),
    )
    costs = measure_networks(
        case,
        settings if args.repeat else None,
        on_start=lambda name: print(f'measuring: {name}', file=sys.stderr, flush=True),
    )
    machine = settings.describe() if args.repeat else None
    print(flops_table.make_report(case, costs, machine))
    if args.json:
        networks = [cost.as_dict() for cost in costs]
        write_json(args.json, dict(machine=machine, case=asdict(case), networks=networks))


if __name__ == '__main__':
    run_command(main, mistakes=(ValueError,))
