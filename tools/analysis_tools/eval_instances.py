"""Compare a file of scored instances with the true ones: VOC mAP, table 8, COCO AP.

Example: python tools/analysis_tools/eval_instances.py results.segm.json instances_val.json
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
    parser.add_argument(
        'pred', metavar='PRED.json', help='COCO results (mmdet: *.segm.json), or pseudo labels'
    )
    parser.add_argument('truth', metavar='TRUTH.json', help='COCO json with the true instances')
    parser.add_argument('--classwise', action='store_true', help='also VOC AP by class')
    parser.add_argument(
        '--score-thr', type=float, default=0.0, help='ignore predictions with lower scores'
    )
    parser.add_argument(
        '--max-per-image', type=int, metavar='N', help='keep the top N predictions of an image'
    )
    parser.add_argument(
        '--gap',
        type=at_least(0),
        default=2,
        help='objects at most this many pixels apart are adjacent (default: 2)',
    )
    parser.add_argument(
        '--void-dir',
        metavar='FOLDER',
        help='PNGs with 255 for void, like SegmentationObject: objects on both sides of such a '
        'band are adjacent',
    )
    add_json_argument(parser)
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    args = parse_args(argv)
    require_outputs(files=[args.json])
    from mmengine.utils import track_iter_progress

    from mmp2seg.evaluation.functional import instance_report, instance_tables
    from mmp2seg.evaluation.functional.missing_adjacent import AdjacentObjects
    from mmp2seg.evaluation.functional.prediction_file import PredictionFile
    from mmp2seg.evaluation.functional.truth_file import TruthFile
    from mmp2seg.evaluation.functional.voc_instance_ap import IOU_THRESHOLDS
    from mmp2seg.files.atomic_write import write_json

    truth = TruthFile(args.truth)
    adjacent = AdjacentObjects(truth, gap=args.gap, void_dir=args.void_dir)
    pred = PredictionFile(
        args.pred, truth, score_thr=args.score_thr, max_per_image=args.max_per_image
    )
    report = instance_report.compare_instances(pred, adjacent, track=track_iter_progress)
    coco = instance_report.coco_ap(pred)
    print(f'\n{len(pred.image_ids)} of {len(truth.images)} images of {args.truth}')
    print(f'{report.num_predictions} predictions, {report.found["num_objects"]} objects')
    classes = [category['name'] for category in truth.categories] if args.classwise else None
    table = instance_tables.class_table(report.aps, IOU_THRESHOLDS, classes)
    print(f'\nVOC instance AP in %\n{table}')
    print(f'\n{instance_tables.missing_adjacent_table(report.found, adjacent)}')
    print(f'\nCOCO mask AP in %\n{instance_tables.row_table(coco)}')
    if args.json:
        parts = {
            'voc': instance_tables.voc_figures(report.aps, IOU_THRESHOLDS, classes),
            'objects': instance_tables.found_figures(report.found),
            'coco': {name: instance_tables.percent(value) for name, value in coco.items()},
        }
        figures = {
            f'{part}/{key}': v for part, values in parts.items() for key, v in values.items()
        }
        # json has no nan
        write_json(args.json, {k: None if math.isnan(v) else v for k, v in figures.items()})


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
