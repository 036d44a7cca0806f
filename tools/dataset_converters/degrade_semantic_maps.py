"""Degrade true semantic maps into weak ones, as WSSS gives them, and print their mIoU."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('gt_dir', help='folder of true maps (PNG: 0 background, 1..K, 255 ignore)')
    parser.add_argument('out_dir', help='folder to make')
    parser.add_argument('--num-classes', type=int, default=20, help='K, without background')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--strength', type=float, default=1.0, help='0 leaves the maps unchanged')
    parser.add_argument('--image-set', help='text file of the images to convert; default: all')
    parser.add_argument('--overwrite', action='store_true', help='replace a folder with contents')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    from mmengine.utils import track_iter_progress

    from mmp2seg.converters.weak_maps import degrade_folder
    from mmp2seg.datasets.voc_layout import read_image_list

    try:
        report = degrade_folder(
            args.gt_dir,
            args.out_dir,
            num_classes=args.num_classes,
            seed=args.seed,
            strength=args.strength,
            names=read_image_list(args.image_set) if args.image_set else None,
            overwrite=args.overwrite,
            track=track_iter_progress,
        )
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')
    print(f'\n{report.num_images} maps, mIoU {100 * report.miou:.1f}')


if __name__ == '__main__':
    main()
