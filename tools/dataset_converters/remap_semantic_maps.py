"""Replace the values of a folder of semantic maps.

For maps whose values are COCO's category ids (1..90 with gaps), --coco-json makes them 1..80.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import FILE_ERRORS, add_overwrite_argument, make_parser, run_command


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('source_dir', help='folder of PNG maps, palette or grey; with subfolders')
    parser.add_argument('out_dir', help='folder to create')
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument(
        '--coco-json', metavar='JSON', help='category ids of this file become 1..K in their order'
    )
    group.add_argument('--mapping', metavar='TXT', help="text file with a line 'from to' per value")
    add_overwrite_argument(parser)
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    args = parse_args(argv)
    from mmengine.utils import track_iter_progress

    from mmp2seg.converters.remap_maps import (
        read_category_mapping,
        read_mapping_file,
        remap_maps,
    )

    if args.coco_json:
        mapping = read_category_mapping(args.coco_json)
    else:
        mapping = read_mapping_file(args.mapping)
    report = remap_maps(
        args.source_dir,
        args.out_dir,
        mapping=mapping,
        overwrite=args.overwrite,
        track=track_iter_progress,
    )
    print(f'\n{report.num_maps} maps')
    for value, count in report.num_pixels.items():
        print(f'  {value} -> {mapping.get(value, value)}: {count} pixels')


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
