"""Split a point json, or a pseudo label json, by images into parts of the same size.

Each machine can then label a part: merge.py joins the labels. The file can be larger than the
memory.

Example: mmp2seg split points.json 4 --out parts
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import FILE_ERRORS, at_least, make_parser, run_command


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('file', metavar='POINTS.json', help='the file to split')
    parser.add_argument('parts', type=at_least(1), metavar='N', help='number of parts')
    parser.add_argument(
        '--out', required=True, metavar='FOLDER', help='folder of the parts, NAME_1ofN.json, ...'
    )
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    args = parse_args(argv)
    # heavy imports: --help answers at once
    from mmp2seg.pseudo_labels.parts import split_file

    for path in split_file(args.file, args.parts, args.out):
        print(path)


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
