"""Points of an annotation tool made into one COCO-style point json."""

import argparse
import inspect
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--format',
        required=True,
        choices=('labelme', 'cvat', 'coco-keypoints', 'label-studio', 'csv'),
    )
    parser.add_argument('source', help='folder of jsons (labelme) or file (all others)')
    parser.add_argument('out', metavar='OUT.json', help='the point json to write')
    parser.add_argument(
        '--classes',
        nargs='+',
        metavar='NAME',
        help='class k of the list is k+1 in semantic maps; or one word: voc, coco, or a text file '
        'with a name per line; default: the classes found, sorted',
    )
    parser.add_argument(
        '--skip-refused',
        action='store_true',
        help='leave out what cannot be placed and list it, instead of stopping',
    )
    _add_format_options(parser.add_argument_group('options of formats'))
    return parser.parse_args(argv)


def _add_format_options(group: argparse._ArgumentGroup) -> None:
    """Options that are arguments of a format's ``read``; absent where they are not given."""

    def add(*names: str, **options) -> None:
        group.add_argument(*names, default=argparse.SUPPRESS, **options)

    add('--image-dir', help='check sizes against these images, or take them from there (csv)')
    add(
        '--other-shapes',
        choices=('error', 'skip', 'center'),
        help='labelme, cvat, label-studio: shapes that are no points stop the conversion, are left '
        'out, or, where they have one, count by their centre',
    )
    add(
        '--pixel-indices',
        action=argparse.BooleanOptionalAction,
        help='csv, coco-keypoints: coordinates are pixel indices and get .5 added '
        '(default: coco-keypoints only)',
    )
    add('--list-images', action='store_true', help='csv: also images without a line')
    add('--all-keypoints', action='store_true', help='coco-keypoints: each is an object')
    add(
        '--unlabelled',
        choices=('error', 'skip'),
        help='coco-keypoints: annotations without a labelled keypoint',
    )
    add(
        '--annotation',
        choices=('error', 'first', 'last'),
        help='label-studio: which one of several of a task',
    )
    add(
        '--strip-prefix',
        action='store_true',
        help="label-studio: remove the 8 hex digits and '-' before names of uploaded files",
    )
    add('--image-key', help="label-studio: field of a task's data with the image")


def main(argv: list[str] | None = None) -> None:
    args = vars(parse_args(argv))
    from mmp2seg.converters.class_names import resolve_classes
    from mmp2seg.converters.point_formats import FORMATS
    from mmp2seg.converters.point_json import assemble_point_json
    from mmp2seg.files.atomic_write import write_json

    name, source, out = (args.pop(key) for key in ('format', 'source', 'out'))
    classes, skip_refused = args.pop('classes'), args.pop('skip_refused')
    read = FORMATS[name].read
    known = inspect.signature(read).parameters
    for option in args:
        if option not in known:
            sys.exit(f'error: --{option.replace("_", "-")} is no option of --format {name}')
    if skip_refused:
        skipped = {option: 'skip' for option in ('other_shapes', 'unlabelled') if option in known}
        args = skipped | args
    source_path, out_path = (Path(path).resolve() for path in (source, out))
    if out_path.is_relative_to(source_path):
        sys.exit(f'error: {out}: expected a file outside of the source {source}')
    if name == 'csv' and 'image_dir' not in args:
        sys.exit('error: --format csv needs --image-dir, for the sizes')
    try:
        content, report = assemble_point_json(
            read(source, **args),
            classes=None if classes is None else resolve_classes(classes),
            description=f'points of {name}',
            skip_refused=skip_refused,
        )
        write_json(out, content)
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')
    print(report)
    values = [f'{k} = {label}' for k, label in enumerate(['background', *report.num_points])]
    print(f'semantic map values: {", ".join(values)}')


if __name__ == '__main__':
    main()
