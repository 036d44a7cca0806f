"""State GFLOPs and milliseconds per image of stage 1 (table 11 of the paper), affinity, propagation
and grouping included: without the affinity head (BESTIE) and with it.

Example: python tools/analysis_tools/get_flops.py configs/ablations/hrnet48_voc_paper.py
"""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import CommandError, add_device_argument, run_command
from mmp2seg.apis.device import select_device


def parse_args(argv: list[str]) -> argparse.Namespace:
    from mmengine.config import DictAction  # imports mmengine: after select_device

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='path of a stage-1 config')
    parser.add_argument(
        '--shape',
        type=int,
        nargs=2,
        default=(375, 500),
        metavar=('H', 'W'),
        help='of the image; the config pads it for the network (default: 375 500, padded to 384 x '
        '512)',
    )
    parser.add_argument('--points', type=int, default=12, help='of an image (default: 12)')
    parser.add_argument('--batch', type=int, default=1, help='images of a batch (default: 1)')
    parser.add_argument(
        '--phase',
        choices=('test', 'train'),
        default='test',
        help='test: from the image to the masks; train: forward, targets, losses and backward '
        '(default: test)',
    )
    parser.add_argument(
        '--rounds',
        type=int,
        nargs='+',
        default=(0, 1),
        help='of propagation at inference, a row each (default: 0 1)',
    )
    parser.add_argument('--repeat', type=int, default=5, help='timed calls (default: 5; 0: none)')
    parser.add_argument('--threads', type=int, help='of torch and OpenCV (default: one per core)')
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
    if args.repeat < 0:
        raise CommandError(f'--repeat: expected at least 0, got {args.repeat}')
    return args


def main(argv: list[str]) -> None:
    select_device(argv)
    args = parse_args(argv)
    import torch

    from mmp2seg.analysis.benchmarks.measuring import Settings, available_cores
    from mmp2seg.analysis.flops import table as flops_table
    from mmp2seg.analysis.flops.network_cost import measure_networks
    from mmp2seg.analysis.flops.records import FlopsCase
    from mmp2seg.files.atomic_write import write_json

    device = args.device
    if device == 'auto':
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
    settings = Settings(device, args.threads or available_cores(), args.repeat)
    settings.apply()
    try:
        case = FlopsCase(
            config=args.config,
            cfg_options=args.cfg_options,
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
    except ValueError as error:
        raise CommandError(str(error)) from error
    machine = settings.describe() if args.repeat else None
    print(flops_table.make_report(case, costs, machine))
    if args.json:
        networks = [cost.as_dict() for cost in costs]
        write_json(args.json, dict(machine=machine, case=asdict(case), networks=networks))


if __name__ == '__main__':
    run_command(main)
