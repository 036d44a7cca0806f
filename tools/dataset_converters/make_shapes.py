"""Generate the dataset Shapes, in VOC or COCO layout."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    add_overwrite_argument,
    at_least,
    make_parser,
    run_command,
)


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('root', help='folder to create')
    parser.add_argument('--layout', choices=('voc', 'coco'), default='voc')
    parser.add_argument('--num-train', type=at_least(0), default=300)
    parser.add_argument('--num-val', type=at_least(0), default=100)
    parser.add_argument('--seed', type=at_least(0), default=0)
    parser.add_argument(
        '--size', type=int, nargs='+', default=[128], metavar='PIXELS', help='side, or height width'
    )
    add_overwrite_argument(parser)
    args = parser.parse_args(argv)
    if len(args.size) > 2:
        parser.error(f'argument --size: expected one or two numbers, got {len(args.size)}')
    args.size = tuple(args.size * 2 if len(args.size) == 1 else args.size)
    return args


def main(argv: list[str]) -> None:
    args = parse_args(argv)
    from mmengine.utils import track_iter_progress

    from mmp2seg.datasets.shapes.dataset import write_shapes

    report = write_shapes(
        args.root,
        layout=args.layout,
        num_train=args.num_train,
        num_val=args.num_val,
        seed=args.seed,
        size=args.size,
        overwrite=args.overwrite,
        track=track_iter_progress,
    )
    print(f'\n{"split":6}{"images":>8}{"empty":>7}{"objects":>9}{"touching":>10}{"weak mIoU":>11}')
    for name, split in (('train', report.train), ('val', report.val)):
        share = split.num_touching / max(split.num_objects, 1)
        print(
            f'{name:6}{split.num_images:8}{split.num_empty:7}{split.num_objects:9}'
            f'{share:10.1%}{100 * split.weak_miou:11.1f}'
        )


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
