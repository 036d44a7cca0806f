"""Degrade true semantic maps into weak ones like those of WSSS methods, and print their mIoU."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    add_image_set_argument,
    add_overwrite_argument,
    make_parser,
    run_command,
)


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('gt_dir', help='folder of true maps (PNG: 0 background, 1..K, 255 ignore)')
    parser.add_argument('out_dir', help='folder to create')
    parser.add_argument('--num-classes', type=int, default=20, help='K, without background')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--strength', type=float, default=1.0, help='0 leaves the maps unchanged')
    add_image_set_argument(parser, help='text file of the images to convert')
    add_overwrite_argument(parser)
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    args = parse_args(argv)
    from mmengine.utils import track_iter_progress

    from mmp2seg.converters.weak_maps import degrade_folder
    from mmp2seg.datasets.voc_layout import read_image_list

    report = degrade_folder(
        args.gt_dir,
        args.out_dir,
        num_classes=args.num_classes,
        seed=args.seed,
        strength=args.strength,
        names=read_image_list(args.image_set) if args.image_set else None,
        overwrite=args.overwrite,
        track=track_iter_progress,
    )
    print(f'\n{report.num_images} maps, mIoU {100 * report.miou:.1f}')


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
