"""Convert point files in the VOC layout of BESTIE and P2Seg into a COCO-style point json."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    add_allow_empty_argument,
    add_classes_argument,
    add_skip_refused_argument,
    make_parser,
    run_command,
)


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('voc_root', help='folder with JPEGImages, Center_points and ImageSets')
    parser.add_argument('out', metavar='OUT.json', help='the point json to write')
    parser.add_argument('--split', default='train', help='image list to convert')
    add_classes_argument(
        parser,
        help='names of the classes 0..K-1',
        default='classes.txt of the folder if it exists, else voc',
    )
    parser.add_argument(
        '--points-dir', default='Center_points', help='folder of the point files in voc_root'
    )
    add_allow_empty_argument(parser)
    add_skip_refused_argument(parser)
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    args = parse_args(argv)
    from mmengine.utils import track_iter_progress

    from mmp2seg.converters.class_names import resolve_classes
    from mmp2seg.converters.coco_voc import CLASS_FILE, voc_points_to_coco

    if args.classes is None:
        class_file = Path(args.voc_root) / CLASS_FILE
        args.classes = [str(class_file)] if class_file.is_file() else ['voc']
    report = voc_points_to_coco(
        args.voc_root,
        args.out,
        classes=resolve_classes(args.classes),
        split=args.split,
        points_dir=args.points_dir,
        skip_refused=args.skip_refused,
        allow_empty=args.allow_empty,
        track=track_iter_progress,
    )
    print(f'\n{report}')


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
