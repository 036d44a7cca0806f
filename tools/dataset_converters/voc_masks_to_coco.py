"""Convert the object masks of a dataset in VOC layout into a COCO instance json."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    CommandError,
    add_allow_empty_argument,
    add_classes_argument,
    make_parser,
    run_command,
)


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('voc_root', help='folder with SegmentationObject and SegmentationClass')
    parser.add_argument('out', metavar='OUT.json', help='the json to write')
    parser.add_argument('--split', default='val', help='image list to convert')
    add_classes_argument(parser, help='in the order of the map values 1..K', default='voc')
    add_allow_empty_argument(parser)
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    args = parse_args(argv)
    from mmengine.utils import track_iter_progress

    from mmp2seg.converters.class_names import resolve_classes
    from mmp2seg.converters.voc_masks import voc_masks_to_coco

    image_list = Path(args.voc_root, 'ImageSets', 'Segmentation', f'{args.split}.txt')
    if Path(args.out).resolve() in (Path(args.voc_root).resolve(), image_list.resolve()):
        raise CommandError(f'{args.out}: expected a json to write, got the source')
    report = voc_masks_to_coco(
        args.voc_root,
        args.out,
        classes=resolve_classes(args.classes or ['voc']),
        split=args.split,
        allow_empty=args.allow_empty,
        track=track_iter_progress,
    )
    total = sum(report.num_objects.values())
    print(f'\n{args.split}: {report.num_images} images, {total} objects')
    for name, count in report.num_objects.items():
        print(f'  {name}: {count}')


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
