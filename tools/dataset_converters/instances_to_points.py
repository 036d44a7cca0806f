"""Draw one or several points from each object of a COCO instance json.

Example: python tools/dataset_converters/instances_to_points.py instances_train2017.json \\
    points_train2017.json --rule box-center
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    add_allow_empty_argument,
    at_least,
    make_parser,
    run_command,
    share,
)


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('instances', metavar='INSTANCES.json', help='COCO json with boxes or masks')
    parser.add_argument('out', metavar='OUT.json', help='point json to write')
    parser.add_argument(
        '--rule',
        choices=('box-center', 'mass-center', 'random', 'gaussian', 'given'),
        required=True,
        help='the centre of the box (needs no mask); the centre of mass, moved into the mask; a '
        'random pixel of the mask; a normal distribution about a centre; the point that the '
        'object has in the file',
    )
    parser.add_argument('--sigma', type=float, help='gaussian: standard deviation, in pixels')
    parser.add_argument(
        '--relative',
        action='store_true',
        help="gaussian: --sigma is in units of the root of the object's area",
    )
    parser.add_argument(
        '--center',
        choices=('mass', 'box'),
        default='mass',
        help='gaussian: its centre (default: the centre of mass)',
    )
    parser.add_argument(
        '--anywhere', action='store_true', help='gaussian: do not move the point into the mask'
    )
    parser.add_argument(
        '--num-points',
        type=at_least(1),
        default=1,
        metavar='K',
        help="random, gaussian: K points per object, as 'points'; stage 1 uses the first, 'point'",
    )
    parser.add_argument('--seed', type=at_least(0), default=0)
    parser.add_argument(
        '--keep-masks',
        type=share,
        default=0,
        metavar='SHARE',
        help='keep the true masks of this share of the objects, 0 to 1, as supervision',
    )
    parser.add_argument(
        '--keep-boxes',
        type=share,
        default=0,
        metavar='SHARE',
        help='keep the true boxes of this share of the objects without a kept mask',
    )
    parser.add_argument(
        '--keep-by',
        choices=('object', 'image'),
        default='object',
        help='shares of all objects, or of the images, whose objects keep all (default: object)',
    )
    parser.add_argument(
        '--skip-refused',
        action='store_true',
        help='leave out objects without a possible point, instead of stopping',
    )
    add_allow_empty_argument(parser)
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    args = parse_args(argv)
    from mmengine.utils import track_iter_progress

    from mmp2seg.converters.instances_to_points import convert_instances
    from mmp2seg.converters.kept_truth import KeptTruth
    from mmp2seg.converters.point_rules import PointRule

    rule = PointRule(
        args.rule,
        sigma=args.sigma,
        relative=args.relative,
        center=args.center,
        inside=not args.anywhere,
        num_points=args.num_points,
        seed=args.seed,
    )
    report = convert_instances(
        args.instances,
        args.out,
        rule=rule,
        kept=KeptTruth(args.keep_masks, args.keep_boxes, unit=args.keep_by, seed=args.seed),
        skip_refused=args.skip_refused,
        allow_empty=args.allow_empty,
        track=track_iter_progress,
    )
    print(f'\n{args.out}: {rule.describe()}\n{report}')


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
