"""Make a folder of true semantic maps of a COCO instance json.

A palette PNG per image: 0 background, 1..K the classes in the order of their category ids (COCO's
80 things have ids 1..90), 255 crowd. They are ground truth: for table 9, and to be degraded.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('json', metavar='INSTANCES.json', help='COCO instance json')
    parser.add_argument('out_dir', help='folder to make')
    parser.add_argument(
        '--classes',
        nargs='+',
        metavar='NAME',
        help='class k of the list becomes k+1, others background; or one word: voc, coco, or a '
        "text file with a name per line; default: the json's categories",
    )
    parser.add_argument(
        '--skip-refused',
        action='store_true',
        help='leave annotations without a usable mask out and list them, instead of stopping',
    )
    parser.add_argument('--overwrite', action='store_true', help='replace a folder with contents')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    from mmengine.utils import track_iter_progress

    from mmp2seg.converters.class_names import resolve_classes
    from mmp2seg.converters.coco_maps import coco_semantic_maps

    try:
        report = coco_semantic_maps(
            args.json,
            args.out_dir,
            classes=None if args.classes is None else resolve_classes(args.classes),
            skip_refused=args.skip_refused,
            overwrite=args.overwrite,
            track=track_iter_progress,
        )
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')
    total = sum(report.num_objects.values())
    print(
        f'\n{report.num_maps} maps, {total} objects ({report.num_hidden} without a pixel of their '
        f'own), {report.num_crowds} crowds ignored'
    )
    for value, (name, count) in enumerate(report.num_objects.items(), start=1):
        print(f'  {value} {name}: {count}')
    if report.refused:
        print(f'{len(report.refused)} annotations left out:')
        print(*(f'  {line}' for line in report.refused), sep='\n')


if __name__ == '__main__':
    main()
