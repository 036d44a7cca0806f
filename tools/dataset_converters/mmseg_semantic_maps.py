"""Predict weak semantic maps with a model of MMSegmentation.

Writes a palette PNG per image: 0 background, 1..K our classes, 255 where --min-score leaves it
open. The model's classes become ours by name; those that are none of ours become background.

Example: python tools/dataset_converters/mmseg_semantic_maps.py CONFIG CHECKPOINT images maps \\
    --points points.json --rename 'dining table=diningtable'
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config of the mmseg model')
    parser.add_argument('checkpoint', help='its checkpoint')
    parser.add_argument('image_dir', help='folder of the images')
    parser.add_argument('out_dir', help='folder to make')
    parser.add_argument(
        '--classes',
        nargs='+',
        metavar='NAME',
        help='our classes 1..K; or one word: voc, coco, or a text file with a name per line; '
        'default: the categories of --points',
    )
    parser.add_argument(
        '--rename',
        nargs='+',
        default=[],
        metavar='MODEL=OURS',
        help="the model's name of a class and ours, where they differ",
    )
    parser.add_argument(
        '--model-classes',
        nargs='+',
        metavar='NAME',
        help="the model's classes, where the checkpoint does not name them",
    )
    parser.add_argument(
        '--points',
        metavar='POINTS.json',
        help='predict its images only, each with the classes that it has points of',
    )
    parser.add_argument(
        '--min-score', type=float, default=0.0, help='a pixel of lower probability becomes 255'
    )
    parser.add_argument('--device', help='default: cuda where there is a device, else cpu')
    parser.add_argument('--overwrite', action='store_true', help='replace a folder with contents')
    args = parser.parse_args(argv)
    if args.classes is None and args.points is None:
        parser.error('expected --classes or --points')
    for pair in args.rename:
        if pair.count('=') != 1:
            parser.error(f'argument --rename: expected MODEL=OURS, got {pair!r}')
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    import torch
    from mmengine.utils import track_iter_progress

    from mmp2seg.converters.class_names import resolve_classes
    from mmp2seg.converters.mmseg_maps import write_mmseg_maps
    from mmp2seg.converters.point_json import read_point_json

    try:
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
            device=args.device or ('cuda' if torch.cuda.is_available() else 'cpu'),
            overwrite=args.overwrite,
            track=track_iter_progress,
        )
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')
    print(f'\n{report.num_maps} maps')
    print(f"the model's classes that became background: {', '.join(report.background_names)}")
    shares = report.num_pixels / report.num_pixels.sum()
    print('\n'.join(f'{n}: {s:.2%}' for n, s in zip(['background', *classes, '255'], shares) if s))


if __name__ == '__main__':
    main()
