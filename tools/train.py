"""Train a config: stage 1, stage 2, or any other config of mmdet and mmseg."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import command_parser, parse_command, run_command
from mmp2seg.apis.device import select_device


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = command_parser(__doc__)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='resume from this checkpoint, or from the latest one in the work dir',
    )
    parser.add_argument('--amp', action='store_true', help='train in mixed precision')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the batch size over all processes',
    )
    return parse_command(parser, argv)


def main(argv: list[str]) -> None:
    select_device(argv)
    args = parse_args(argv)
    from mmp2seg.apis import runner as apis  # imports mmengine: after select_device

    cfg = apis.load_config(
        args.config,
        cfg_options=args.cfg_options,
        work_dir=args.work_dir,
        launcher=args.launcher,
    )
    if args.amp:
        apis.enable_amp(cfg)
    if args.auto_scale_lr:
        apis.enable_auto_scale_lr(cfg)
    note = apis.set_resume(cfg, args.resume) if args.resume is not None else None
    apis.run_training(cfg, notes=[note] if note else [])


if __name__ == '__main__':
    run_command(main)
