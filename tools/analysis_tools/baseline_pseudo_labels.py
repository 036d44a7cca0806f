"""Write pseudo labels from the points and weak maps of a config, without a network.

They are the baseline for stage 1, in the same json format.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import FILE_ERRORS, add_cfg_options, make_parser, run_command


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('config', help='config of stage 1')
    parser.add_argument(
        '--rule',
        required=True,
        choices=['component', 'nearest'],
        help='component: a point gets the whole region around it; nearest: each pixel of a region '
        'goes to the nearest of its points',
    )
    parser.add_argument('--out', required=True, metavar='FILE.json', help='the json to write')
    parser.add_argument(
        '--split',
        choices=['train', 'test'],
        default='train',
        help='the split whose images and points to use',
    )
    add_cfg_options(parser)
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    args = parse_args(argv)
    from mmengine.utils import track_iter_progress

    from mmp2seg.apis import pseudo_labels
    from mmp2seg.apis.runner import load_config

    cfg = load_config(args.config, cfg_options=args.cfg_options)
    outfile = pseudo_labels.require_writable_json(args.out)
    figures = pseudo_labels.write_baseline_labels(
        cfg,
        rule=args.rule,
        split=args.split,
        outfile=outfile,
        track=lambda indices: track_iter_progress(list(indices)),
    )
    print()
    print(pseudo_labels.describe_labels(outfile, figures))


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
