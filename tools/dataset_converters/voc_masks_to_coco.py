"""Make a COCO instance json of the object masks of a data set in VOC layout."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('voc_root', help='folder with SegmentationObject and SegmentationClass')
    parser.add_argument('out', metavar='OUT.json', help='the json to write')
    parser.add_argument('--split', default='val', help='image list to convert')
    parser.add_argument(
        '--classes',
        nargs='+',
        default=['voc'],
        metavar='NAME',
        help='in the order of the map values 1..K; or one word: voc, coco, or a text file with a '
        'name per line; default: voc',
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    from mmengine.utils import track_iter_progress

    from mmp2seg.converters.class_names import resolve_classes
    from mmp2seg.converters.voc_masks import voc_masks_to_coco

    image_list = Path(args.voc_root, 'ImageSets', 'Segmentation', f'{args.split}.txt')
    if Path(args.out).resolve() in (Path(args.voc_root).resolve(), image_list.resolve()):
        sys.exit(f'error: {args.out}: expected a json to write, got the source')
    try:
        report = voc_masks_to_coco(
            args.voc_root,
            args.out,
            classes=resolve_classes(args.classes),
            split=args.split,
            track=track_iter_progress,
        )
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')
    total = sum(report.num_objects.values())
    print(f'\n{args.split}: {report.num_images} images, {total} objects')
    for name, count in report.num_objects.items():
        print(f'  {name}: {count}')


if __name__ == '__main__':
    main()
