"""Write a report of a training and its pseudo labels: one HTML page that needs no network.

It shows configuration, curves and metrics of WORK_DIR and, with --labels, the best and worst masks,
and each point without a mask with the reason. Example: mmp2seg report work_dirs/tiny_shapes
--labels labels.json --images photos --out report.html
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    at_least,
    make_parser,
    require_outputs,
    run_command,
)


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('work_dir', metavar='WORK_DIR', help='folder of a training')
    parser.add_argument('--out', required=True, metavar='REPORT.html', help='the page to write')
    parser.add_argument('--labels', metavar='LABELS.json', help='pseudo labels to show')
    parser.add_argument('--images', metavar='FOLDER', help='their images, for pictures')
    parser.add_argument(
        '--truth',
        metavar='TRUTH.json',
        help='COCO json with the true instances: masks are sorted by IoU instead of score',
    )
    parser.add_argument(
        '--semantic-maps',
        metavar='FOLDER',
        help='maps NAME.png to draw around points without a mask: 0 background, k+1 the k-th '
        'category, 255 ignore',
    )
    parser.add_argument(
        '--match',
        choices=('point', 'point_id', 'order'),
        default='point',
        help='how to find the true object of a point, as in eval_pseudo_labels.py (default: point)',
    )
    parser.add_argument(
        '--num', type=at_least(1), default=12, help='best and worst masks to draw (default: 12)'
    )
    parser.add_argument(
        '--max-failed',
        type=at_least(0),
        default=200,
        metavar='N',
        help='points without a mask to draw; all are listed (default: 200)',
    )
    args = parser.parse_args(argv)
    for option in ('images', 'truth', 'semantic_maps'):
        if getattr(args, option) is not None and args.labels is None:
            parser.error(f'--{option.replace("_", "-")} needs --labels')
    if args.semantic_maps is not None and args.images is None:
        parser.error('--semantic-maps needs --images')
    return args


def main(argv: list[str]) -> None:
    args = parse_args(argv)
    require_outputs(files=[args.out])
    from mmp2seg.analysis.report.report import LabelFiles, write_report

    files = None
    if args.labels is not None:
        files = LabelFiles(
            args.labels,
            images=args.images,
            truth=args.truth,
            semantic_maps=args.semantic_maps,
            match=args.match,
        )
    write_report(args.work_dir, args.out, files=files, num=args.num, max_failed=args.max_failed)
    print(f'{args.out}: {Path(args.out).stat().st_size / 1e6:.1f} MB')


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
