"""Write the configs of both stages for your own images and points, and print the next commands.

Reads a folder of images and a points file: a table with the columns file, x, y, class, a point
json, or the file of an annotation tool. Writes points.json, stage1.py, stage2.py and README.txt
into MY_FOLDER. The configs inherit from those of the package, and say where each number is from.

Example: mmp2seg init my_data --images photos --points points.csv
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    add_classes_argument,
    add_device_argument,
    add_skip_refused_argument,
    make_parser,
    require_outputs,
    run_command,
)
from mmp2seg.apis.device import resolve_device, select_device


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('folder', metavar='MY_FOLDER', help='the folder to write into')
    parser.add_argument('--images', required=True, metavar='FOLDER', help='folder of the images')
    parser.add_argument(
        '--points', required=True, metavar='POINTS', help='points file of any format'
    )
    add_classes_argument(
        parser, help='class k of the list is k+1 in the maps', default='those of the points file'
    )
    parser.add_argument(
        '--semantic-maps',
        metavar='FOLDER',
        help='weak semantic maps NAME.png: 0 background, k+1 class k, 255 ignore (default: the '
        'first command makes them of the points)',
    )
    parser.add_argument(
        '--val-annotations',
        metavar='TRUTH.json',
        help='COCO json with true masks of some of the images, to evaluate stage 2: those without '
        'points, or else a part of them',
    )
    parser.add_argument(
        '--val-fraction',
        type=_fraction,
        metavar='F',
        help='share of the images of --val-annotations to evaluate stage 2 on; it does not train '
        'on them (default: .2, if all of them have points)',
    )
    parser.add_argument(
        '--from-scratch', action='store_true', help='networks without pretrained weights'
    )
    parser.add_argument(
        '--list-images', action='store_true', help='also take images of the folder without points'
    )
    add_skip_refused_argument(parser)
    parser.add_argument(
        '--overwrite', action='store_true', help='replace the files of an earlier call'
    )
    add_device_argument(parser)
    return parser.parse_args(argv)


def _fraction(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f'expected more than 0 and less than 1, got {text}')
    return value


_fraction.__name__ = 'float'  # argparse shows this name in its error for text that is not a number


def main(argv: list[str]) -> None:
    select_device(argv)
    args = parse_args(argv)
    require_outputs(folders=[args.folder])
    # these import mmengine: after select_device
    from mmp2seg.apis.own_data.folder import write_own_data
    from mmp2seg.converters.class_names import resolve_classes

    report = write_own_data(
        args.folder,
        images=args.images,
        points=args.points,
        classes=None if args.classes is None else resolve_classes(args.classes),
        semantic_maps=args.semantic_maps,
        val_annotations=args.val_annotations,
        val_fraction=args.val_fraction,
        device=resolve_device(args.device),
        device_option=None if args.device == 'auto' else args.device,
        from_scratch=args.from_scratch,
        list_images=args.list_images,
        skip_refused=args.skip_refused,
        overwrite=args.overwrite,
    )
    print(report)


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
