"""Convert a COCO json with points into a folder in the VOC layout of BESTIE and P2Seg."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    add_allow_empty_argument,
    add_copy_argument,
    add_overwrite_argument,
    add_skip_refused_argument,
    make_parser,
    run_command,
)


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('json', metavar='POINTS.json', help='COCO json')
    parser.add_argument('img_dir', help='folder of its images')
    parser.add_argument('out_root', help='folder to create')
    parser.add_argument('--split', default='train', help='name of the image list to write')
    parser.add_argument(
        '--point-source',
        choices=('point', 'bbox', 'keypoints'),
        default='point',
        help="an annotation's point, the centre of its box, or its first labelled keypoint",
    )
    add_copy_argument(parser)
    add_allow_empty_argument(parser)
    add_skip_refused_argument(parser)
    add_overwrite_argument(parser)
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    args = parse_args(argv)
    from mmengine.utils import track_iter_progress

    from mmp2seg.converters.coco_voc import coco_to_voc_points

    report = coco_to_voc_points(
        args.json,
        args.img_dir,
        args.out_root,
        split=args.split,
        point_source=args.point_source,
        copy=args.copy,
        skip_refused=args.skip_refused,
        allow_empty=args.allow_empty,
        overwrite=args.overwrite,
        track=track_iter_progress,
    )
    print(f'\n{report.points}')
    if report.num_background:
        clicks = f'{report.num_background} background clicks'
        print(f"{clicks} left out: VOC's layout has no place for them")
    print(f'class names in the order of 0..K-1: {args.out_root}/classes.txt')
    if report.img_suffix != '.jpg':
        print(f'the dataset needs img_suffix={report.img_suffix!r}')


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
