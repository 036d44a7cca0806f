"""Test a checkpoint with the dataset and the metrics of its config."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import add_tta_argument, command_parser, parse_command, run_command
from mmp2seg.apis.device import select_device


def parse_args(argv: list[str]):
    parser = command_parser(__doc__)
    parser.add_argument('checkpoint', help='path or address of the checkpoint')
    parser.add_argument(
        '--out', metavar='FILE.pkl', help='also write the predictions to this pickle, masks as RLE'
    )
    parser.add_argument('--show', action='store_true', help='show the drawn predictions')
    parser.add_argument(
        '--show-dir',
        metavar='FOLDER',
        help='write the drawn predictions to this folder below <work dir>/<start time>',
    )
    parser.add_argument(
        '--wait-time', type=float, default=2.0, help='seconds that --show shows a picture'
    )
    add_tta_argument(parser)
    return parse_command(parser, argv)


def main(argv: list[str]) -> None:
    select_device(argv)
    args = parse_args(argv)
    from mmp2seg.apis import runner as apis  # imports mmengine: after select_device

    cfg = apis.load_test_config(args)
    if args.out is not None:
        apis.dump_predictions(cfg, args.out)
    if args.show or args.show_dir is not None:
        apis.draw_predictions(cfg, show=args.show, show_dir=args.show_dir, wait_time=args.wait_time)
    apis.run_test(cfg)


if __name__ == '__main__':
    run_command(main)
