"""Show who chooses best among simulated candidates of SAM: its own score, or a network's masks.

For each point, a part, the object and a group are drawn from the true masks, with noise. The rows
are how much higher SAM scores the object than the part and the group: at 0 it cannot tell them
apart. Figures: mean IoU of each object and the mask of its point, and the outcomes of
`mmp2seg refine-labels`.

Example: python tools/analysis_tools/simulate_candidates.py labels.json instances_train.json
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    FILE_ERRORS,
    add_json_argument,
    at_least,
    make_parser,
    run_command,
)

COLUMNS = {
    'labels': 'LABELS',
    'score': 'own score',
    'exclusive': 'no other click',
    'refined': 'refined',
    'best': 'best of three',
}


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('labels', metavar='LABELS.json', help='pseudo labels of a network')
    parser.add_argument('truth', metavar='TRUTH.json', help='COCO json with the true instances')
    parser.add_argument(
        '--advantage',
        nargs='+',
        type=float,
        default=[0.0, 0.05, 0.1, 0.2],
        metavar='X',
        help='how much higher the mean score of the object is (default: 0 0.05 0.1 0.2)',
    )
    parser.add_argument(
        '--border',
        type=float,
        default=1.0,
        metavar='PX',
        help='standard deviation of the border noise (default: 1)',
    )
    parser.add_argument(
        '--min-iou', type=float, default=0.1, help='of the refinement (default: 0.1)'
    )
    parser.add_argument(
        '--score-weight', type=float, default=0.5, help='of the refinement (default: 0.5)'
    )
    parser.add_argument(
        '--seeds', type=at_least(1), default=1, help='repetitions, for mean and deviation'
    )
    add_json_argument(parser)
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    args = parse_args(argv)
    import numpy as np

    from mmp2seg.analysis.simulated_candidates import SimulationLevels, compare_choices
    from mmp2seg.evaluation.functional.truth_file import TruthFile
    from mmp2seg.files.atomic_write import write_json
    from mmp2seg.pseudo_labels.coco_json import load
    from mmp2seg.pseudo_labels.refinement import CandidateRefiner

    labels, truth = load(args.labels), TruthFile(args.truth)
    refiner = CandidateRefiner(min_iou=args.min_iou, score_weight=args.score_weight)
    rows = []
    print('| advantage | ' + ' | '.join(COLUMNS.values()) + ' |')
    print('|---' * (len(COLUMNS) + 1) + '|')
    for advantage in args.advantage:
        levels = SimulationLevels(advantage=advantage, border=args.border)
        runs = [
            compare_choices(labels, truth, seed=seed, levels=levels, refiner=refiner)
            for seed in range(args.seeds)
        ]
        cells = []
        for name in COLUMNS:
            values = 100 * np.array([run[name] for run in runs])
            spread = f' +- {values.std(ddof=1):.1f}' if len(values) > 1 else ''
            cells.append(f'{values.mean():.1f}{spread}')
        print(f'| {advantage:g} | ' + ' | '.join(cells) + ' |')
        rows += [{'advantage': advantage, 'seed': seed, **run} for seed, run in enumerate(runs)]
    taken = {name: np.mean([row.get(name, 0) for row in rows]) for row in rows for name in row}
    for name, share in taken.items():
        if name.startswith('taken/'):
            print(f'{name.removeprefix("taken/")}: {100 * share:.1f} % of the points')
    if args.json:
        write_json(args.json, rows)


if __name__ == '__main__':
    run_command(main, mistakes=FILE_ERRORS)
