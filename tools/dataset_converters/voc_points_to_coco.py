"""Make a COCO-style point json of point files in the VOC layout of BESTIE and P2Seg."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('voc_root', help='folder with JPEGImages, Center_points and ImageSets')
    parser.add_argument('out', metavar='OUT.json', help='the point json to write')
    parser.add_argument('--split', default='train', help='image list to convert')
    parser.add_argument(
        '--classes',
        nargs='+',
        metavar='NAME',
        help='names of the classes 0..K-1; or one word: voc, coco, or a text file with a name per '
        'line; default: classes.txt of the folder, and voc where it has none',
    )
    parser.add_argument(
        '--points-dir', default='Center_points', help='folder of the point files in voc_root'
    )
    parser.add_argument(
        '--skip-refused',
        action='store_true',
        help='leave out what cannot be placed and list it, instead of stopping',
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    from mmengine.utils import track_iter_progress

    from mmp2seg.converters.class_names import resolve_classes
    from mmp2seg.converters.coco_voc import CLASS_FILE, voc_points_to_coco

    if args.classes is None:
        class_file = Path(args.voc_root) / CLASS_FILE
        args.classes = [str(class_file)] if class_file.is_file() else ['voc']
    try:
        report = voc_points_to_coco(
            args.voc_root,
            args.out,
            classes=resolve_classes(args.classes),
            split=args.split,
            points_dir=args.points_dir,
            skip_refused=args.skip_refused,
            track=track_iter_progress,
        )
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')
    print(f'\n{report}')


if __name__ == '__main__':
    main()
