"""Compare methods that turn points into masks with the true masks of a COCO json.

The point of an object is the pixel of its mask nearest to the centre of mass, unless --points
gives another one. mIoU is that of the semantic map over all images, background included; object
IoU is the mean IoU of each object with the mask of its point, 0 without one. Crowds, annotations
with `ignore` and objects below --min-area are void. Where a method is not sure (255), its best
guess counts.

Examples:
  python tools/analysis_tools/eval_point_segmentation.py truth.json images/ --methods discs grabcut
  python tools/analysis_tools/eval_point_segmentation.py a.json images_a/ b.json images_b/ \\
      --config methods.py --cfg-options methods.mine.radius=3 --worst worst/

The config has `methods = dict(mine=dict(type='mmp2seg.PointBaseline', rule='discs'), ...)`.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    CommandError,
    add_cfg_options,
    add_json_argument,
    add_truth_arguments,
    at_least,
    make_parser,
    require_outputs,
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
    parser.add_argument(
        '--methods',
        nargs='+',
        metavar='NAME',
        help='methods of the config, baselines (discs, watershed, grabcut, nearest) or registered '
        'types such as mmp2seg.X (default: all methods of the config, or the baselines)',
    )
    parser.add_argument('--config', help='Python file with a dict `methods` of configs by name')
    add_cfg_options(parser)
    parser.add_argument(
        '--points',
        nargs='+',
        metavar='POINTS.json',
        help='point jsons, one per truth, whose annotations have the ids of the objects',
    )
    parser.add_argument(
        '--maps',
        default='degraded',
        metavar='FOLDER',
        help='semantic maps for methods that use one (nearest): a folder, or `truth`, or '
        '`degraded`, the true maps degraded to about 70 mIoU (default)',
    )
    add_truth_arguments(parser)
    parser.add_argument('--worst', metavar='FOLDER', help='draw the worst images of each method')
    parser.add_argument(
        '--num-worst', type=at_least(1), default=5, metavar='N', help='how many (default: 5)'
    )
    add_json_argument(parser)
    args = parser.parse_args(argv)
    if len(args.truth) % 2:
        parser.error(f'expected pairs TRUTH.json IMAGES, got {len(args.truth)} arguments')
    if args.points and len(args.points) != len(args.truth) // 2:
        parser.error(
            f'--points: expected a json per truth, {len(args.truth) // 2}, got {len(args.points)}'
        )
    if args.cfg_options and not args.config:
        parser.error('--cfg-options: expected --config')
    return args


def main(argv: list[str]) -> None:
    args = parse_args(argv)
    require_outputs(files=[args.json], folders=[args.worst])
    from mmengine.utils import track_iter_progress

    from mmp2seg.analysis.point_segmentation.evaluation import evaluate
    from mmp2seg.analysis.point_segmentation.methods import (
        build_method,
        choose_methods,
        train_method,
    )
    from mmp2seg.analysis.point_segmentation.report import as_json, draw_worst, make_table
    from mmp2seg.analysis.point_segmentation.truth_images import TruthImages, TruthSource
    from mmp2seg.files.atomic_write import write_json
    from mmp2seg.files.config_reading import read_config

    configured = {}
    if args.config:
        cfg = read_config(args.config, options=args.cfg_options)
        configured = cfg.get('methods')
        if not configured:
            raise CommandError(f'{args.config}: expected a dict `methods`')
    chosen = choose_methods(args.methods, configured=configured)
    points = args.points or [None] * len(args.truth[::2])
    sources = [
        TruthSource(Path(truth), Path(images), of_truth and Path(of_truth))
        for truth, images, of_truth in zip(args.truth[::2], args.truth[1::2], points)
    ]
    images = TruthImages(sources, long_side=args.long_side, min_area=args.min_area)
    methods = {name: build_method(config) for name, config in chosen.items()}
    for name, method in methods.items():
        train_method(method, chosen[name], images, work_dir=f'work_dirs/eval_points/{name}')
    scores = evaluate(methods, images, maps=args.maps, track=track_iter_progress)
    figures = as_json(scores, images)
    frame = f'long side {args.long_side} px' if args.long_side else 'sizes of the files'
    print(
        f'\n\n{figures["num_images"]} images, {figures["num_objects"]} objects and '
        f'{figures["num_void"]} void ones, {len(images.classes)} classes, {frame}'
    )
    print(f'\n{make_table(scores)}')
    if any(getattr(method, 'uses_semantic_map', False) for method in methods.values()):
        names = [n for n, m in methods.items() if getattr(m, 'uses_semantic_map', False)]
        print(f'\nsemantic maps given to {", ".join(names)}: {args.maps}')
    if args.json:
        write_json(args.json, figures)
    if args.worst:
        pictures = draw_worst(
            methods, scores, images, args.worst, num=args.num_worst, maps=args.maps
        )
        print(f'\n{len(pictures)} pictures of the worst images: {args.worst}')


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
