"""Read the point data set of a config once and report on one page what is in it and what is wrong.

Exit status: 0 sound, 1 problems found, 2 it cannot be checked.
Example: python tools/misc/check_dataset.py configs/p2seg/hrnet48_voc.py --num-workers 4
"""

import argparse
import functools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    from mmengine.config import DictAction

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='path of a config of stage 1')
    parser.add_argument('--split', choices=('train', 'test'), default='train')
    parser.add_argument('--json', metavar='OUT.json', help='also write all figures and problems')
    parser.add_argument(
        '--image-classes',
        metavar='FILE',
        help="a file like BESTIE's train_cls.txt, to be compared with the points",
    )
    parser.add_argument(
        '--hash', action='store_true', help='also look for image files with the same content'
    )
    parser.add_argument('--num-workers', type=int, default=0, help='processes that read images')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings of the config',
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    from mmengine.utils import track_parallel_progress, track_progress

    from mmp2seg.analysis.dataset_check.check import check_dataset
    from mmp2seg.apis.arguments import CommandError
    from mmp2seg.apis.runner import load_config
    from mmp2seg.files.atomic_write import write_json

    run = functools.partial(track_progress, file=sys.stderr)  # the page alone goes to stdout
    if args.num_workers > 0:
        run = functools.partial(
            track_parallel_progress, nproc=args.num_workers, chunksize=8, file=sys.stderr
        )
    try:
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
    except (CommandError, OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 1 if report.num_problems else 0


if __name__ == '__main__':
    sys.exit(main())
