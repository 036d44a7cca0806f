"""Draw a point from each object mask of a data set in VOC layout."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('voc_root', help='folder with SegmentationObject and SegmentationClass')
    parser.add_argument('out_root', help='folder to make')
    parser.add_argument('--split', nargs='+', default=['train'], help='image lists to convert')
    parser.add_argument(
        '--point',
        choices=('center', 'random'),
        default='center',
        help='centre of mass pulled inside the mask, or a random pixel of it',
    )
    parser.add_argument('--seed', type=int, default=0, help='of the random pixels')
    parser.add_argument('--copy', action='store_true', help='copy images instead of linking them')
    parser.add_argument('--overwrite', action='store_true', help='replace a folder with contents')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    from mmengine.utils import track_iter_progress

    from mmp2seg.converters.voc_masks import convert_voc_masks
    from mmp2seg.datasets.point_voc import PointVOCDataset

    try:
        report = convert_voc_masks(
            args.voc_root,
            args.out_root,
            classes=PointVOCDataset.METAINFO['classes'],
            splits=args.split,
            point=args.point,
            seed=args.seed,
            copy=args.copy,
            overwrite=args.overwrite,
            track=track_iter_progress,
        )
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')
    print()
    for split in args.split:
        print(f'{split}: {report.num_images[split]} images, {report.num_objects[split]} points')


if __name__ == '__main__':
    main()
