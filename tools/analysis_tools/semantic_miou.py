"""Print the mIoU of a folder of semantic maps against the true maps.

Maps are PNGs of the same names: 0 background, 1..K classes, 255 ignore.

Example: python tools/analysis_tools/semantic_miou.py data/VOC2012/WSSS_maps \\
    data/VOC2012/SegmentationClass --class-names voc \\
    --image-set data/VOC2012/ImageSets/Segmentation/train.txt
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    CommandError,
    add_image_set_argument,
    add_json_argument,
    make_parser,
    require_outputs,
    run_command,
)


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('pred_dir', help='folder of the maps to judge')
    parser.add_argument('gt_dir', help='folder of the true maps')
    parser.add_argument('--num-classes', type=int, help='K, without background')
    parser.add_argument(
        '--class-names',
        nargs='+',
        metavar='NAME',
        help='names of 1..K; or one word: voc, coco, or a text file with a name per line',
    )
    add_image_set_argument(parser, help='text file of the maps to compare')
    parser.add_argument(
        '--skip-missing',
        action='store_true',
        help='skip maps that are missing, unreadable or of another size, and list them',
    )
    add_json_argument(parser)
    args = parser.parse_args(argv)
    if args.num_classes is None and args.class_names is None:
        parser.error('expected --num-classes or --class-names')
    return args


def main(argv: list[str]) -> None:
    args = parse_args(argv)
    require_outputs(files=[args.json])
    from mmengine.utils import track_iter_progress

    from mmp2seg.analysis.semantic_miou import compare_semantic_folders
    from mmp2seg.converters.class_names import resolve_classes
    from mmp2seg.datasets.voc_layout import read_image_list
    from mmp2seg.files.atomic_write import write_json

    names = [f'class {k}' for k in range(1, (args.num_classes or 0) + 1)]
    if args.class_names:
        names = resolve_classes(args.class_names)
        if args.num_classes not in (None, len(names)):
            raise CommandError(
                f'--class-names: expected {args.num_classes} as --num-classes, got {len(names)}'
            )
    scores = compare_semantic_folders(
        args.pred_dir,
        args.gt_dir,
        num_classes=len(names),
        names=read_image_list(args.image_set) if args.image_set else None,
        skip_missing=args.skip_missing,
        track=track_iter_progress,
    )
    if args.json:
        write_json(args.json, scores.as_json(names))
    print(f'\n{scores.as_text(names)}')


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
