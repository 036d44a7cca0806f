"""Convert masks of points, e.g. from SAM, into semantic maps.

Each point takes the best mask that contains it or has its id. The mask's pixels get the point's
class, all other pixels are background. MASKS is COCO json, a list of annotations, or a folder with
one json of SAM per image, see mmp2seg/converters/mask_files.py.

Example: python tools/dataset_converters/point_masks_to_semantic_maps.py sam_masks points.json \\
    data/mine/WSSS_maps
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    add_allow_empty_argument,
    add_overwrite_argument,
    make_parser,
    run_command,
)

_SHOWN_POINTS = 20


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('masks', metavar='MASKS', help='json file, or folder of a json per image')
    parser.add_argument('points', metavar='POINTS.json', help='point json')
    parser.add_argument('out_dir', help='folder to create')
    parser.add_argument(
        '--uncertain',
        type=int,
        choices=(0, 255),
        help='value where masks of different classes overlap (default: the better mask wins)',
    )
    add_overwrite_argument(parser)
    add_allow_empty_argument(parser)
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    args = parse_args(argv)
    from mmengine.utils import track_iter_progress

    from mmp2seg.converters.point_masks_to_maps import point_masks_to_maps

    report = point_masks_to_maps(
        args.masks,
        args.points,
        args.out_dir,
        uncertain=args.uncertain,
        overwrite=args.overwrite,
        allow_empty=args.allow_empty,
        track=track_iter_progress,
    )
    print(f'\n{report.num_maps} maps from {report.num_masks} masks, {report.num_points} points')
    print(f'pixels where masks of different classes overlap: {report.conflict_share:.2%}')
    if report.num_other:
        print(f'masks of images that are not in {args.points}: {report.num_other}')
    lines = report.without_mask
    print(f'points without a mask: {len(lines)}')
    print(''.join(f'  {line}\n' for line in lines[:_SHOWN_POINTS]), end='')
    if len(lines) > _SHOWN_POINTS:
        print(f'  ... and {len(lines) - _SHOWN_POINTS} more')


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
