"""Convert points of an annotation tool into one COCO-style point json."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    CommandError,
    add_allow_empty_argument,
    add_classes_argument,
    add_skip_refused_argument,
    make_parser,
    run_command,
)


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument(
        '--format',
        required=True,
        choices=(
            *('labelme', 'cvat', 'coco-keypoints', 'label-studio', 'csv'),
            *('qupath', 'imagej', 'makesense', 'via', 'deepforest'),
        ),
    )
    parser.add_argument('source', help='folder of jsons (labelme) or file (all others)')
    parser.add_argument('out', metavar='OUT.json', help='the point json to write')
    add_classes_argument(
        parser,
        help='class k of the list is k+1 in semantic maps',
        default="the classes found, sorted; points of a class 'background' that is not listed are "
        'background clicks',
    )
    add_skip_refused_argument(parser)
    add_allow_empty_argument(parser)
    _add_format_options(parser.add_argument_group('format options'))
    return parser.parse_args(argv)


def _add_format_options(group: argparse._ArgumentGroup) -> None:
    """Add the arguments of the formats' ``read``; an option that is not given is no attribute."""

    def add(*names: str, **options) -> None:
        group.add_argument(*names, default=argparse.SUPPRESS, **options)

    add('--image-dir', help='folder of the images, to check sizes against; tables need it')
    add(
        '--other-shapes',
        choices=('error', 'skip', 'center'),
        help='labelme, cvat, label-studio, via, deepforest: shapes that are not points stop the '
        'conversion, are left out, or count as their centre if they have one',
    )
    add(
        '--pixel-indices',
        action=argparse.BooleanOptionalAction,
        help='csv, imagej, coco-keypoints: coordinates are pixel indices and get .5 added '
        '(default: no for csv; for the others if all are whole numbers)',
    )
    add('--list-images', action='store_true', help='tables: also list images without a line')
    add(
        '--columns',
        nargs='+',
        type=_column,
        metavar='NAME=COLUMN',
        help='csv: names in the table of the columns file, x, y and class',
    )
    add('--class-name', help='tables: class of all points, if there is no column for it')
    add('--class-attribute', help='via: the attribute of a region that is its class')
    add('--pixel-size', type=float, metavar='UM', help='qupath: of the images, in micrometres')
    add('--encoding', help='tables: of the text, such as cp1252 (default: UTF-8, or as marked)')
    add('--all-keypoints', action='store_true', help='coco-keypoints: each keypoint is an object')
    add(
        '--unlabelled',
        choices=('error', 'skip'),
        help='coco-keypoints: annotations without a labelled keypoint',
    )
    add(
        '--annotation',
        choices=('error', 'first', 'last'),
        help='label-studio: which of several annotations of a task',
    )
    add(
        '--strip-prefix',
        action='store_true',
        help="label-studio: remove the 8 hex digits and '-' before the names of uploaded files",
    )
    add('--image-key', help="label-studio: field of a task's data that holds the image")


def _column(text: str) -> tuple[str, str]:
    name, equals, column = text.partition('=')
    if not equals or not column:
        raise argparse.ArgumentTypeError(f'expected NAME=COLUMN, got {text!r}')
    return name, column


def main(argv: list[str]) -> None:
    args = vars(parse_args(argv))
    from mmp2seg.converters.class_names import resolve_classes
    from mmp2seg.converters.point_formats import TABLES
    from mmp2seg.converters.point_json import assemble_point_json
    from mmp2seg.converters.points_file import read_source_images
    from mmp2seg.files.atomic_write import write_json

    name, source, out = (args.pop(key) for key in ('format', 'source', 'out'))
    classes, skip_refused = args.pop('classes'), args.pop('skip_refused')
    allow_empty = args.pop('allow_empty')
    if 'columns' in args:
        args['columns'] = dict(args['columns'])
    source_path, out_path = (Path(path).resolve() for path in (source, out))
    if out_path.is_relative_to(source_path):
        raise CommandError(f'{out}: expected a file outside of the source {source}')
    if name in TABLES and 'image_dir' not in args:
        raise CommandError(f'--format {name} needs --image-dir, for the sizes')
    content, report = assemble_point_json(
        read_source_images(
            source, name, options=args, skip_refused=skip_refused, allow_empty=allow_empty
        ),
        classes=None if classes is None else resolve_classes(classes),
        description=f'points of {name}',
        where=source,
        skip_refused=skip_refused,
        allow_empty=allow_empty,
    )
    write_json(out, content)
    print(report)
    values = [f'{k} = {label}' for k, label in enumerate(['background', *report.num_points])]
    print(f'semantic map values: {", ".join(values)}')


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
