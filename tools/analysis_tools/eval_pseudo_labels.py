"""Compare a pseudo label json with the true instances.

Example: python tools/analysis_tools/eval_pseudo_labels.py pseudo_labels.json instances_train.json
"""

import argparse
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.evaluation.functional.pseudo_masks import MATCH_RULES, summarize_ious
from mmp2seg.evaluation.functional.truth_file import TruthFile, compare_files
from mmp2seg.files.atomic_write import write_json
from mmp2seg.pseudo_labels.coco_json import load


def parse_args() -> argparse.Namespace:
    """Arguments of the command line."""
    parser = argparse.ArgumentParser(description='Compare pseudo labels with the true instances')
    parser.add_argument('pred', metavar='PRED.json', help='pseudo labels')
    parser.add_argument('truth', metavar='TRUTH.json', help='COCO json with the true instances')
    parser.add_argument(
        '--match',
        choices=MATCH_RULES,
        default='point',
        help='an object belongs to the instance with its point, or with its id as point id, or '
        'with its place in the image (from 0) as point id',
    )
    parser.add_argument(
        '--gap', type=int, default=2, help='objects at most this many pixels apart touch'
    )
    parser.add_argument('--json', metavar='OUT.json', help='also write the figures there')
    return parser.parse_args()


def format_table(figures: dict[str, float]) -> str:
    """Figures of ``summarize_ious`` as lines of text; fractions in percent."""
    rows = [
        ('objects', figures['num_objects']),
        ('mean IoU', figures['mean_iou']),
        ('objects with IoU > .50', figures['num_iou50']),
        ('objects with IoU > .70', figures['num_iou70']),
        ('objects with IoU > .90', figures['num_iou90']),
        ('touching objects', figures['num_touching']),
        ('mean IoU of touching objects', figures['mean_iou_touching']),
        ('touching objects found at IoU .50', figures['found_touching_iou50']),
    ]
    return '\n'.join(f'{name:<36}{_format_value(value):>10}' for name, value in rows)


def _format_value(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return '-' if math.isnan(value) else f'{100 * value:.2f} %'


def main() -> None:
    """Run the command line."""
    args = parse_args()
    try:
        pred, truth = load(args.pred), TruthFile(args.truth)
        figures = summarize_ious(*compare_files(pred, truth, match=args.match, gap=args.gap))
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')
    if pred['annotations'] and figures['mean_iou'] == 0:
        print(
            f'No object meets its instance by {args.match!r}: are these the points of '
            f'{args.truth}, and not moved ones? See --match.',
            file=sys.stderr,
        )
    print(f'images                              {len(pred["images"]):>10}')
    left_out = len(truth.images) - len(pred['images'])
    if left_out:
        print(f'images of {args.truth} that {args.pred} does not list: {left_out}')
    print(format_table(figures))
    if args.json:
        # nan is no json
        write_json(args.json, {k: None if math.isnan(v) else v for k, v in figures.items()})


if __name__ == '__main__':
    main()
