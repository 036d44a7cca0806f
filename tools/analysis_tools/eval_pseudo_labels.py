"""Compare a pseudo label json with the true instances.

Example: python tools/analysis_tools/eval_pseudo_labels.py pseudo_labels.json instances_train.json
"""

import argparse
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    add_json_argument,
    at_least,
    make_parser,
    require_outputs,
    run_command,
)


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('pred', metavar='PRED.json', help='pseudo labels')
    parser.add_argument('truth', metavar='TRUTH.json', help='COCO json with the true instances')
    parser.add_argument(
        '--match',
        choices=('point', 'point_id', 'order'),
        default='point',
        help='an object matches the instance with its point; with its id as point id; or with its '
        'position in the list of its image (from 0) as point id (default: point)',
    )
    parser.add_argument(
        '--gap',
        type=at_least(0),
        default=2,
        help='objects at most this many pixels apart touch (default: 2)',
    )
    parser.add_argument(
        '--true-maps',
        metavar='FOLDER',
        help='also print the mIoU of the semantic maps that the masks draw, with these true maps '
        '(NAME.png: 0 background, 1..K the categories in the order of ids, 255 ignore)',
    )
    parser.add_argument(
        '--unmasked',
        metavar='POINTS.json',
        help='for the mean IoU of objects without a true mask: point json whose true masks count '
        '(default: those of PRED.json)',
    )
    add_json_argument(parser)
    return parser.parse_args(argv)


def format_table(figures: dict[str, float]) -> str:
    """Format the figures as lines of text, fractions in percent."""
    rows = [
        ('objects', figures['num_objects']),
        ('mean IoU', figures['mean_iou']),
        ('objects with IoU > .50', figures['num_iou50']),
        ('objects with IoU > .70', figures['num_iou70']),
        ('objects with IoU > .90', figures['num_iou90']),
        ('touching objects', figures['num_touching']),
        ('mean IoU of touching objects', figures['mean_iou_touching']),
        ('touching objects found at IoU .50', figures['found_touching_iou50']),
        ('mean IoU of the smaller half', figures['mean_iou_small']),
        ('mean IoU of the larger half', figures['mean_iou_large']),
    ]
    if 'num_unmasked' in figures:
        rows += [
            ('objects without a true mask', figures['num_unmasked']),
            ('mean IoU of these', figures['mean_iou_unmasked']),
        ]
    if 'miou' in figures:
        rows.append(('mIoU of the map that the masks draw', figures['miou']))
    return '\n'.join(f'{name:<36}{_format_value(value):>10}' for name, value in rows)


def _format_value(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return '-' if math.isnan(value) else f'{100 * value:.2f} %'


def main(argv: list[str]) -> None:
    args = parse_args(argv)
    require_outputs(files=[args.json])
    from mmp2seg.analysis.semantic_miou import compare_drawn_masks
    from mmp2seg.evaluation.functional.pseudo_masks import summarize_ious, summarize_sizes
    from mmp2seg.evaluation.functional.truth_file import (
        TruthFile,
        compare_files,
        object_areas,
        objects_with_masks,
    )
    from mmp2seg.files.atomic_write import write_json
    from mmp2seg.files.json_reading import read_json_object
    from mmp2seg.pseudo_labels.coco_json import load

    pred, truth = load(args.pred), TruthFile(args.truth)
    ious, touching = compare_files(pred, truth, match=args.match, gap=args.gap)
    figures = summarize_ious(ious, touching) | summarize_sizes(ious, object_areas(pred, truth))
    supervised = pred
    if args.unmasked:
        supervised = read_json_object(args.unmasked, lists=('annotations',))
    masked = objects_with_masks(supervised, pred, truth, match=args.match)
    if args.unmasked or masked.any():
        figures['num_unmasked'] = int((~masked).sum())
        figures['mean_iou_unmasked'] = float(ious[~masked].mean()) if not masked.all() else math.nan
    if args.true_maps:
        figures['miou'] = compare_drawn_masks(pred, args.true_maps).miou
    if pred['annotations'] and figures['mean_iou'] == 0:
        print(
            f'No object matches an instance by --match {args.match}: are the points of '
            f'{args.pred} those of {args.truth}, or were they moved?',
            file=sys.stderr,
        )
    print(f'images                              {len(pred["images"]):>10}')
    left_out = len(truth.images) - len(pred['images'])
    if left_out:
        print(f'images of {args.truth} that {args.pred} does not list: {left_out}')
    print(format_table(figures))
    if args.json:
        # json has no nan
        write_json(args.json, {k: None if math.isnan(v) else v for k, v in figures.items()})


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
