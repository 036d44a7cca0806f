"""Draw a point from each object mask of a dataset in VOC layout."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    add_allow_empty_argument,
    add_copy_argument,
    add_overwrite_argument,
    make_parser,
    run_command,
)


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('voc_root', help='folder with SegmentationObject and SegmentationClass')
    parser.add_argument('out_root', help='folder to create')
    parser.add_argument('--split', nargs='+', default=['train'], help='image lists to convert')
    parser.add_argument(
        '--point',
        choices=('center', 'random'),
        default='center',
        help='centre of mass pulled inside the mask, or a random pixel of it',
    )
    parser.add_argument('--seed', type=int, default=0, help='seed of --point random')
    add_copy_argument(parser)
    add_overwrite_argument(parser)
    add_allow_empty_argument(parser)
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    args = parse_args(argv)
    from mmengine.utils import track_iter_progress

    from mmp2seg.converters.voc_masks import convert_voc_masks
    from mmp2seg.datasets.point_voc import PointVOCDataset

    report = convert_voc_masks(
        args.voc_root,
        args.out_root,
        classes=PointVOCDataset.METAINFO['classes'],
        splits=args.split,
        point=args.point,
        seed=args.seed,
        copy=args.copy,
        overwrite=args.overwrite,
        allow_empty=args.allow_empty,
        track=track_iter_progress,
    )
    print()
    for split in args.split:
        print(f'{split}: {report.num_images[split]} images, {report.num_objects[split]} points')


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
