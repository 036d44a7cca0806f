"""Give the values of a folder of semantic maps other numbers.

For maps that have COCO's category ids (1..90 with gaps) as values: --coco-json makes them 1..80.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('source_dir', help='folder of PNG maps, palette or grey; with sub-folders')
    parser.add_argument('out_dir', help='folder to make')
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument(
        '--coco-json', metavar='JSON', help='category ids of this file become 1..K in their order'
    )
    group.add_argument('--mapping', metavar='TXT', help="text file with a line 'from to' per value")
    parser.add_argument('--overwrite', action='store_true', help='replace a folder with contents')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    from mmengine.utils import track_iter_progress

    from mmp2seg.converters.remap_maps import (
        read_category_mapping,
        read_mapping_file,
        remap_maps,
    )

    try:
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
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')
    print(f'\n{report.num_maps} maps')
    for value, count in report.num_pixels.items():
        print(f'  {value} -> {mapping.get(value, value)}: {count} pixels')


if __name__ == '__main__':
    main()
