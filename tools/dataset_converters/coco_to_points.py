"""Convert a COCO-style point json into a file of an annotation tool, e.g. to correct points."""

import argparse
import inspect
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    CommandError,
    add_allow_empty_argument,
    make_parser,
    run_command,
)


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument(
        '--format',
        required=True,
        choices=('labelme', 'cvat', 'coco-keypoints', 'label-studio', 'csv'),
    )
    parser.add_argument('points', metavar='POINTS.json', help='the point json')
    parser.add_argument('out', help='folder (labelme) or file (all others) to write')
    group = parser.add_argument_group('format options')

    def add(*names: str, **options) -> None:
        group.add_argument(*names, default=argparse.SUPPRESS, **options)

    add('--image-dir', help='labelme: folder of the images (default: that of the jsons)')
    add('--overwrite', action='store_true', help='labelme: replace a folder with contents')
    add(
        '--pixel-indices',
        action=argparse.BooleanOptionalAction,
        help='csv, coco-keypoints: write pixel indices (default: coco-keypoints only)',
    )
    add('--image-prefix', help="label-studio: start of the images' URLs")
    add('--from-name', help='label-studio: name of the KeyPointLabels tag (default: label)')
    add('--to-name', help='label-studio: name of the Image tag (default: image)')
    add_allow_empty_argument(parser)
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    args = vars(parse_args(argv))
    from mmp2seg.converters.point_formats import FORMATS
    from mmp2seg.converters.point_json import no_point_message, read_point_json

    name, points, out = (args.pop(key) for key in ('format', 'points', 'out'))
    allow_empty = args.pop('allow_empty')
    write = FORMATS[name].write
    known = inspect.signature(write).parameters
    for option in args:
        if option not in known:
            raise CommandError(f'--{option.replace("_", "-")}: not an option of --format {name}')
    if Path(points).resolve().is_relative_to(Path(out).resolve()):
        raise CommandError(f'{out}: expected a path that does not hold the source {points}')
    images, classes = read_point_json(points)
    if not any(image.all_points for image in images) and not allow_empty:
        raise CommandError(no_point_message(points, len(images)))
    if 'classes' in known:
        args['classes'] = classes
    write(images, out, **args)
    num_background = sum(len(image.background_points) for image in images)
    clicks = f', {num_background} background clicks' if num_background else ''
    print(f'{len(images)} images, {sum(len(image.points) for image in images)} points{clicks}')
    print(f'classes: {" ".join(classes)}')


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
