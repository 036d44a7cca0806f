"""Write the pseudo labels of a trained stage-1 network as COCO json."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    add_tta_argument,
    command_parser,
    parse_command,
    run_command,
)
from mmp2seg.apis.device import select_device


def parse_args(argv: list[str]):
    parser = command_parser(__doc__)
    parser.add_argument('checkpoint', help='path or address of the checkpoint')
    parser.add_argument('--out', required=True, metavar='FILE.json', help='the json to write')
    parser.add_argument(
        '--split',
        choices=['train', 'test'],
        default='test',
        help="the images and points to label: the config's test set (as in tools/test.py) or its "
        'training set; both through the test pipeline',
    )
    parser.add_argument(
        '--grouping',
        choices=['offset', 'nearest', 'region'],
        help='offset: separate objects by the predicted offsets; as baselines, on the map of the '
        'network alone, nearest: a pixel goes to the nearest point of its region, region: every '
        'point gets all of its region '
        "(default: the config's)",
    )
    parser.add_argument(
        '--start',
        metavar='LABELS.json',
        help='labels that the weak maps were made with (mmp2seg masks --out): a point whose class '
        'the network does not see at its click gets its mask from there',
    )
    parser.add_argument(
        '--min-click-score',
        type=float,
        default=0.5,
        metavar='P',
        help='with --start: smallest probability of its class at the click for a point to keep the '
        "network's mask (default: %(default)s)",
    )
    add_tta_argument(parser)
    return parse_command(parser, argv)


def main(argv: list[str]) -> None:
    select_device(argv)
    args = parse_args(argv)
    # these import mmengine: after select_device
    from mmengine.dist import is_main_process

    from mmp2seg.apis import pseudo_labels, runner

    cfg = runner.load_test_config(args)
    outfile = pseudo_labels.require_writable_json(args.out)
    if args.start is not None:
        pseudo_labels.require_labels('--start', args.start)  # before the network runs
    pseudo_labels.set_label_run(cfg, split=args.split, outfile=outfile, grouping=args.grouping)
    figures = runner.run_test(cfg)
    if is_main_process():
        print(pseudo_labels.describe_labels(outfile, figures))
        if args.start is not None:
            print(pseudo_labels.apply_fallback(outfile, args.start, args.min_click_score))


if __name__ == '__main__':
    run_command(main)
