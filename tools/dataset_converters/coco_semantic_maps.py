"""Make a folder of true semantic maps from a COCO instance json.

Writes a palette PNG per image: 0 background, 1..K the classes in the order of their category ids
(COCO's 80 things have ids 1..90), 255 crowd. Uses of the maps: table 9 of the paper, and
degrade_semantic_maps.py.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    add_allow_empty_argument,
    add_classes_argument,
    add_overwrite_argument,
    make_parser,
    run_command,
)


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('json', metavar='INSTANCES.json', help='COCO instance json')
    parser.add_argument('out_dir', help='folder to create')
    add_classes_argument(
        parser,
        help='class k of the list becomes k+1, other classes become background',
        default="the json's categories",
    )
    parser.add_argument(
        '--skip-refused',
        action='store_true',
        help='leave out annotations without a usable mask and list them, instead of stopping',
    )
    add_overwrite_argument(parser)
    add_allow_empty_argument(parser)
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    args = parse_args(argv)
    from mmengine.utils import track_iter_progress

    from mmp2seg.converters.class_names import resolve_classes
    from mmp2seg.converters.coco_maps import coco_semantic_maps

    report = coco_semantic_maps(
        args.json,
        args.out_dir,
        classes=None if args.classes is None else resolve_classes(args.classes),
        skip_refused=args.skip_refused,
        overwrite=args.overwrite,
        allow_empty=args.allow_empty,
        track=track_iter_progress,
    )
    total = sum(report.num_objects.values())
    print(
        f'\n{report.num_maps} maps, {total} objects ({report.num_hidden} completely hidden), '
        f'{report.num_crowds} crowds ignored'
    )
    for value, (name, count) in enumerate(report.num_objects.items(), start=1):
        print(f'  {value} {name}: {count}')
    if report.notes:
        print('\n'.join(report.notes))
    if report.refused:
        print(f'{len(report.refused)} annotations left out:')
        print(*(f'  {line}' for line in report.refused), sep='\n')


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
