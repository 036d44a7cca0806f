"""Make a folder like one of own photographs from images with true masks, to train and to judge on.

The folder gets images/, points.json (of each object the pixel of its mask nearest to the centre of
mass), truth.json with the masks, and true_maps/. Crowds, annotations with `ignore` and objects
below --min-area are void: they have no point and are not compared, and their pixels are 255.

Example: python tools/dataset_converters/coco_to_own_data.py truth.json photos --out data/judged
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    add_overwrite_argument,
    add_truth_arguments,
    make_parser,
    run_command,
)


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument(
        'truth',
        nargs='+',
        metavar='TRUTH.json IMAGES',
        help='COCO json and folder of its images; several pairs make one dataset',
    )
    parser.add_argument('--out', required=True, metavar='FOLDER', help='the folder to create')
    add_truth_arguments(parser)
    add_overwrite_argument(parser)
    args = parser.parse_args(argv)
    if len(args.truth) % 2:
        parser.error(f'expected pairs TRUTH.json IMAGES, got {len(args.truth)} arguments')
    return args


def main(argv: list[str]) -> None:
    args = parse_args(argv)
    from mmengine.utils import track_iter_progress

    from mmp2seg.analysis.point_segmentation.own_data import write_own_data
    from mmp2seg.analysis.point_segmentation.truth_images import TruthImages, TruthSource

    sources = [
        TruthSource(Path(truth), Path(images))
        for truth, images in zip(args.truth[::2], args.truth[1::2])
    ]
    images = TruthImages(sources, long_side=args.long_side, min_area=args.min_area)
    report = write_own_data(images, args.out, overwrite=args.overwrite, track=track_iter_progress)
    print(
        f'\n{args.out}: {report.num_images} images, {report.num_objects} objects and '
        f'{report.num_void} void ones, {len(images.classes)} classes'
    )


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
