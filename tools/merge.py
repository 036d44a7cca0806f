"""Join point jsons, or pseudo label jsons, of different images into one.

Categories have to agree, and no image may be in two files. The files can be larger than the memory.
Labels of the parts that split.py makes become the labels of the whole.

Example: mmp2seg merge labels_1of2.json labels_2of2.json --out labels.json
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import FILE_ERRORS, CommandError, make_parser, run_command


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('files', nargs='+', metavar='FILE.json', help='the files to join')
    parser.add_argument('--out', required=True, metavar='FILE.json', help='the json to write')
    parser.add_argument(
        '--renumber',
        action='store_true',
        help='give new ids to images, and to the annotations of point jsons (default: the ids of '
        'the files stay, and must differ)',
    )
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    args = parse_args(argv)
    # heavy imports: --help answers at once
    from mmp2seg.apis.pseudo_labels import require_writable_json
    from mmp2seg.files.folder_lock import FolderInUse
    from mmp2seg.pseudo_labels.parts import merge_files

    outfile = require_writable_json(args.out)
    if Path(outfile).resolve() in [Path(path).resolve() for path in args.files]:
        raise CommandError(f'--out: expected another file than the input, got {args.out}')
    try:
        counts = merge_files(args.files, outfile, renumber=args.renumber)
    except FolderInUse as error:
        raise CommandError(str(error)) from error
    text = f'{outfile}: {counts.num_annotations} annotations in {counts.num_images} images'
    if counts.num_dropped is not None:
        text += f', {counts.num_dropped} points without a mask'
    print(text)


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
