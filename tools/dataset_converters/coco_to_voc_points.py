"""Make a folder in the VOC layout of BESTIE and P2Seg of a COCO json with points."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('json', metavar='POINTS.json', help='COCO json')
    parser.add_argument('img_dir', help='folder of its images')
    parser.add_argument('out_root', help='folder to make')
    parser.add_argument('--split', default='train', help='name of the image list to write')
    parser.add_argument(
        '--point-source',
        choices=('point', 'bbox', 'keypoints'),
        default='point',
        help="an annotation's point, the centre of its box, or its first labelled keypoint",
    )
    parser.add_argument('--copy', action='store_true', help='copy images instead of linking them')
    parser.add_argument(
        '--skip-refused',
        action='store_true',
        help='leave out what cannot be placed and list it, instead of stopping',
    )
    parser.add_argument('--overwrite', action='store_true', help='replace a folder with contents')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    from mmengine.utils import track_iter_progress

    from mmp2seg.converters.coco_voc import coco_to_voc_points

    try:
        report = coco_to_voc_points(
            args.json,
            args.img_dir,
            args.out_root,
            split=args.split,
            point_source=args.point_source,
            copy=args.copy,
            skip_refused=args.skip_refused,
            overwrite=args.overwrite,
            track=track_iter_progress,
        )
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')
    print(f'\n{report.points}')
    print(f'class names in the order of the numbers 0..K-1: {args.out_root}/classes.txt')
    if report.img_suffix != '.jpg':
        print(f'the dataset needs img_suffix={report.img_suffix!r}')


if __name__ == '__main__':
    main()
