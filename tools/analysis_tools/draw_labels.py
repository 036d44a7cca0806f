"""Draw some images of a pseudo label json on one sheet: image, points and masks side by side.

Example: python tools/analysis_tools/draw_labels.py labels.json photos sheet.png --num 4
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    CommandError,
    at_least,
    make_parser,
    require_outputs,
    run_command,
)


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('labels', metavar='LABELS.json', help='pseudo labels')
    parser.add_argument('images', metavar='IMAGES', help='folder of the images')
    parser.add_argument('out', metavar='SHEET.png', help='the picture to write')
    parser.add_argument(
        '--num', type=at_least(1), default=4, help='images, evenly spread (default: 4)'
    )
    parser.add_argument('--names', nargs='+', metavar='NAME', help='draw these images instead')
    parser.add_argument(
        '--height', type=at_least(16), default=220, help='of an image in pixels (default: 220)'
    )
    parser.add_argument(
        '--colors',
        type=int,
        metavar='N',
        help='reduce the picture to 2 to 256 colours, for a small file (default: all colours)',
    )
    args = parser.parse_args(argv)
    if args.colors is not None and not 2 <= args.colors <= 256:
        parser.error(f'argument --colors: expected 2 to 256, got {args.colors}')
    return args


def main(argv: list[str]) -> None:
    args = parse_args(argv)
    if not args.out.lower().endswith('.png'):
        raise CommandError(f'expected a .png file to write, got {args.out}')
    require_outputs(files=[args.out])
    from mmp2seg.apis.drawing import spread_indices
    from mmp2seg.apis.predictions import label_sheet
    from mmp2seg.pseudo_labels.coco_json import load
    from mmp2seg.visualization.panels import write_png

    labels = load(args.labels)
    names = [image['file_name'] for image in labels['images']]
    if args.names is None:
        names = [names[index] for index in spread_indices(len(names), args.num)]
    else:
        names, known = args.names, set(names)
        unknown = [name for name in names if name not in known]
        if unknown:
            raise CommandError(f'{args.labels} has no image {unknown[0]}')
    if not names:
        raise CommandError(f'{args.labels} has no images')
    sheet = label_sheet(labels, args.images, names, height=args.height)
    write_png(args.out, sheet, colors=args.colors)
    print(f'{len(names)} images: {args.out}')


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
