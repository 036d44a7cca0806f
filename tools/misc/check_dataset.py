"""Check the point dataset of a config: print one page with its contents and its problems.

Exit status: 0 no problems, 1 problems found, 2 the dataset cannot be checked.
Example: python tools/misc/check_dataset.py configs/p2seg/hrnet48_voc.py --num-workers 4
"""

import argparse
import functools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    add_cfg_options,
    at_least,
    make_parser,
    run_command,
)


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('config', help='path of a stage-1 config')
    parser.add_argument('--split', choices=('train', 'test'), default='train')
    parser.add_argument('--json', metavar='OUT.json', help='also write all figures and problems')
    parser.add_argument(
        '--image-classes',
        metavar='FILE',
        help="a file like BESTIE's train_cls.txt, to compare with the points",
    )
    parser.add_argument(
        '--hash', action='store_true', help='also look for image files with the same content'
    )
    parser.add_argument(
        '--num-workers', type=at_least(0), default=0, help='processes that read images (default: 0)'
    )
    add_cfg_options(parser)
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    args = parse_args(argv)
    from mmengine.utils import track_parallel_progress, track_progress

    from mmp2seg.analysis.dataset_check.check import check_dataset
    from mmp2seg.apis.runner import load_config
    from mmp2seg.files.atomic_write import write_json

    run = functools.partial(track_progress, file=sys.stderr)  # stdout is for the page
    if args.num_workers > 0:
        run = functools.partial(
            track_parallel_progress, nproc=args.num_workers, chunksize=8, file=sys.stderr
        )
    report = check_dataset(
        load_config(args.config, cfg_options=args.cfg_options),
        split=args.split,
        image_classes=args.image_classes,
        with_hash=args.hash,
        run=run,
    )
    print(report)
    if args.json:
        write_json(args.json, report.to_json())
    return 1 if report.num_problems else 0


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS, error_status=2)
