"""Predict weak semantic maps with a model of MMSegmentation.

Writes a palette PNG per image: 0 background, 1..K our classes, 255 below --min-score. Classes are
matched by name; the model's other classes become background.

Example: python tools/dataset_converters/mmseg_semantic_maps.py CONFIG CHECKPOINT images maps \\
    --points points.json --rename 'dining table=diningtable'
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    add_classes_argument,
    add_device_argument,
    add_overwrite_argument,
    add_trust_argument,
    make_parser,
    run_command,
)
from mmp2seg.apis.device import resolve_device, select_device


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('config', help='config of the mmseg model')
    parser.add_argument('checkpoint', help='its checkpoint')
    parser.add_argument('image_dir', help='folder of the images')
    parser.add_argument('out_dir', help='folder to create')
    add_classes_argument(parser, help='our classes 1..K', default='the categories of --points')
    parser.add_argument(
        '--rename',
        nargs='+',
        default=[],
        metavar='MODEL=OURS',
        help='class names of the model and ours that differ',
    )
    parser.add_argument(
        '--model-classes',
        nargs='+',
        metavar='NAME',
        help="the model's classes, if the checkpoint does not name them",
    )
    parser.add_argument(
        '--points',
        metavar='POINTS.json',
        help='predict only the images of this file, each with the classes of its points',
    )
    parser.add_argument(
        '--min-score', type=float, default=0.0, help='pixels of lower probability become 255'
    )
    add_device_argument(parser)
    add_trust_argument(parser)
    add_overwrite_argument(parser)
    args = parser.parse_args(argv)
    if args.classes is None and args.points is None:
        parser.error('expected --classes or --points')
    for pair in args.rename:
        if pair.count('=') != 1:
            parser.error(f'argument --rename: expected MODEL=OURS, got {pair!r}')
    if not 0 <= args.min_score <= 1:
        parser.error(f'argument --min-score: expected 0 to 1, got {args.min_score:g}')
    return args


def main(argv: list[str]) -> None:
    select_device(argv)
    args = parse_args(argv)
    from mmengine.utils import track_iter_progress

    from mmp2seg.converters.class_names import resolve_classes
    from mmp2seg.converters.mmseg_maps import write_mmseg_maps
    from mmp2seg.converters.point_json import read_point_json

    names = args.classes or read_point_json(args.points)[1]
    classes = resolve_classes(names)
    report = write_mmseg_maps(
        args.config,
        args.checkpoint,
        args.image_dir,
        args.out_dir,
        classes=classes,
        rename=dict(pair.split('=') for pair in args.rename),
        model_classes=args.model_classes and resolve_classes(args.model_classes),
        points=args.points,
        min_score=args.min_score,
        device=resolve_device(args.device),
        overwrite=args.overwrite,
        track=track_iter_progress,
    )
    print(f'\n{report.num_maps} maps')
    print(f"the model's classes that became background: {', '.join(report.background_names)}")
    shares = report.num_pixels / report.num_pixels.sum()
    print('\n'.join(f'{n}: {s:.2%}' for n, s in zip(['background', *classes, '255'], shares) if s))


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
