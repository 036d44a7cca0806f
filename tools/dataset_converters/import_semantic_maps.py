"""Convert a folder of semantic maps of any kind and size into maps that training reads.

Writes a palette PNG per image, with the image's size and name: 0 background, 1..K classes, 255
ignore.

Example: python tools/dataset_converters/import_semantic_maps.py maps data/mine/WSSS_maps \\
    --images data/mine/images --num-classes 3
Binary masks of 0 and 255: --num-classes 1 --map-values 255=1
CVAT's masks: --labelmap labelmap.txt
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    CommandError,
    add_classes_argument,
    add_image_set_argument,
    add_overwrite_argument,
    make_parser,
    run_command,
)


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('source_dir', help='folder of maps, named like their images')
    parser.add_argument('out_dir', help='folder to create')
    parser.add_argument('--images', required=True, metavar='DIR', help='folder of the images')
    parser.add_argument(
        '--num-classes',
        type=int,
        help='K, without background (default: 20, or those of --labelmap)',
    )
    parser.add_argument(
        '--from-palette',
        action='store_true',
        help="read classes from the colours of VOC's palette: for RGB maps and reordered palettes",
    )
    parser.add_argument(
        '--labelmap',
        nargs='+',
        metavar='FILE|NAME=R,G,B',
        help="read classes from colours: CVAT's labelmap.txt, or the colour of each class",
    )
    add_classes_argument(
        parser, help='with --labelmap: class k of the list is k+1', default='the order of the table'
    )
    parser.add_argument(
        '--map-values',
        nargs='+',
        type=_value_pair,
        metavar='OLD=NEW',
        help='replace values; 255=1 for binary masks of 0 and 255',
    )
    parser.add_argument(
        '--map-suffix', default='.png', help="what follows the image's name, e.g. _mask.png"
    )
    add_image_set_argument(parser, help='text file of the images to convert')
    parser.add_argument('--allow-missing', action='store_true', help='skip images without a map')
    add_overwrite_argument(parser)
    return parser.parse_args(argv)


def _value_pair(text: str) -> tuple[int, int]:
    old, equals, new = text.partition('=')
    values = [int(word) if word.isdecimal() else 256 for word in (old, new)]
    if not equals or max(values) > 255:
        raise argparse.ArgumentTypeError(f'expected OLD=NEW, both 0..255, got {text!r}')
    return values[0], values[1]


def main(argv: list[str]) -> None:
    args = parse_args(argv)
    from mmengine.utils import track_iter_progress

    from mmp2seg.converters.class_names import resolve_classes
    from mmp2seg.converters.colour_table import read_colour_table
    from mmp2seg.converters.semantic_folder import import_semantic_maps
    from mmp2seg.datasets.voc_layout import read_image_list
    from mmp2seg.files.image_folder import shorten_names

    num_classes, colours = args.num_classes, None
    if args.labelmap is not None:
        if args.from_palette:
            raise CommandError('--labelmap: expected no --from-palette')
        classes = None if args.classes is None else resolve_classes(args.classes)
        colours, names = read_colour_table(args.labelmap, classes=classes)
        if num_classes not in (None, len(names)):
            raise CommandError(f'--num-classes: expected {len(names)}, those of --labelmap')
        num_classes = len(names)
        values = [f'{value} = {name}' for value, name in enumerate(['background', *names])]
        print(f'values: {", ".join(values)}')
    elif args.classes is not None:
        raise CommandError('--classes: expected with --labelmap only')
    report = import_semantic_maps(
        args.source_dir,
        args.out_dir,
        image_dir=args.images,
        num_classes=20 if num_classes is None else num_classes,
        from_palette=args.from_palette,
        colours=colours,
        map_values=dict(args.map_values or ()),
        map_suffix=args.map_suffix,
        names=read_image_list(args.image_set) if args.image_set else None,
        allow_missing=args.allow_missing,
        overwrite=args.overwrite,
        track=track_iter_progress,
    )
    print(f'\n{report.num_maps} maps, {report.num_resized} of them resized')
    for names, what in (
        (report.missing, 'images without a map'),
        (report.unused, 'maps unused'),
        (report.without_class, 'maps with 255 and no class'),
    ):
        if names:
            print(f'{len(names)} {what}: {shorten_names(names)}')
    shares = report.num_pixels / report.num_pixels.sum()
    values = [*range(len(shares) - 1), 255]
    print('value: share of pixels')
    print('\n'.join(f'{v:5}: {s:7.2%}' for v, s in zip(values, shares, strict=True) if s))


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
