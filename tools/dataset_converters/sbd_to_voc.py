"""Merge VOC 2012 with SBD into one folder in VOC layout, with train_aug.txt (10 582 images).

Then voc_masks_to_points.py OUT_ROOT POINTS_ROOT --split train_aug val draws the points.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    add_copy_argument,
    add_overwrite_argument,
    make_parser,
    run_command,
)


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('voc_root', help='VOC2012')
    parser.add_argument('sbd_root', help='folder of SBD with inst, cls and img, or with dataset')
    parser.add_argument('out_root', help='folder to create')
    add_copy_argument(parser, what='files')
    add_overwrite_argument(parser)
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    args = parse_args(argv)
    from mmengine.utils import track_iter_progress

    from mmp2seg.converters.sbd import TRAIN_AUG_SIZE, merge_sbd
    from mmp2seg.files.image_folder import shorten_names

    report = merge_sbd(
        args.voc_root,
        args.sbd_root,
        args.out_root,
        copy=args.copy,
        overwrite=args.overwrite,
        track=track_iter_progress,
    )
    print(
        f'\ntrain_aug: {report.num_train_aug} images, {report.num_voc} with maps of VOC, '
        f'{report.num_sbd} with maps of SBD; {report.num_new_images} image files of SBD'
    )
    if report.differing:
        print(
            f'{len(report.differing)} images whose cls and inst differ, inst is used: '
            f'{shorten_names(report.differing)}'
        )
    if report.num_train_aug != TRAIN_AUG_SIZE:
        print(
            f'warning: expected {TRAIN_AUG_SIZE} images of VOC 2012 and SBD, '
            f'got {report.num_train_aug}',
            file=sys.stderr,
        )


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
