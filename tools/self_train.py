"""Train stage 1 in generations: each one trains on the semantic maps of the one before.

A generation trains the config, then writes the semantic maps and the pseudo labels of its training
images. The maps are the weak maps of the next generation, with 255 (ignore) where the probability
of the value is below --min-confidence. If the config uses the weak map at inference
(model.test_cfg.use_weak_map and network_weight), the maps of a generation are an average of the
network and of the maps it trained on, so the first weak maps keep a share in all generations.

Started again, the command continues where it stopped. A changed setting repeats the steps that
depend on it and replaces their results; to keep the old ones, use another --work-dir.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import (
    add_cfg_options,
    add_device_argument,
    at_least,
    make_parser,
    run_command,
)
from mmp2seg.apis.device import select_device
from mmp2seg.experiments.arguments import run_until_interrupted
from mmp2seg.experiments.commands import children_environment
from mmp2seg.experiments.generation_run import GenerationRun, run_generations
from mmp2seg.experiments.result_tables import make_table, summarize, with_shares
from mmp2seg.files.atomic_write import write_json, write_text

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / 'tools'


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('config', type=Path, help='config of stage 1')
    parser.add_argument(
        '--generations', type=at_least(1), default=2, metavar='N', help='default: 2'
    )
    parser.add_argument(
        '--work-dir',
        type=Path,
        help='for all results (default: work_dirs/<config name>_self_train)',
    )
    parser.add_argument(
        '--min-confidence',
        type=float,
        default=0.6,
        metavar='P',
        help='pixels of the maps with a lower probability are 255, ignored (default: 0.6)',
    )
    parser.add_argument(
        '--truth',
        type=Path,
        metavar='FILE.json',
        help='true instances of the training images, to compare the labels with (default: the '
        "file of the config's PseudoMaskMetric, if it exists)",
    )
    parser.add_argument('--seed', type=int, default=0, help='of all trainings (default: 0)')
    parser.add_argument(
        '--gpus',
        type=at_least(1),
        default=1,
        metavar='N',
        help='train and test in N processes on this machine, one per GPU; CPU processes without '
        'CUDA devices (default: 1)',
    )
    add_cfg_options(parser)
    add_device_argument(parser)
    args = parser.parse_args(argv)
    if not 0 <= args.min_confidence <= 1:
        parser.error(f'--min-confidence: expected 0 to 1, got {args.min_confidence}')
    if args.truth is not None and not args.truth.is_file():
        parser.error(f'--truth: no such file: {args.truth}')
    default = Path('work_dirs') / f'{args.config.stem}_self_train'
    args.work_dir = (args.work_dir or default).resolve()
    return args


def run(args: argparse.Namespace) -> int:
    """Run everything, print the results and return the exit status."""
    from mmp2seg.experiments.generation_configs import make_generations
    from mmp2seg.experiments.stage1_configs import load_configs

    (cfg,) = load_configs([args.config], cfg_options=args.cfg_options).values()
    runs = make_generations(
        cfg,
        args.generations,
        work_dir=args.work_dir,
        tools=TOOLS,
        seed=args.seed,
        min_confidence=args.min_confidence,
        device=args.device,
        processes=args.gpus,
        truth=args.truth,
    )
    print(f'Results and logs: {args.work_dir}', flush=True)
    run_generations(runs, args.work_dir / 'logs', environment=children_environment(ROOT))
    print()
    for generation in runs:
        print(generation.describe())
    write_results(runs, args.work_dir)
    return 0


def write_results(runs: list[GenerationRun], work_dir: Path) -> None:
    """Print the table of the generations and write it to the work dir, if there is a truth."""
    if runs[0].truth is None:
        print('\nNo true instances to compare the labels with: --truth')
        return
    results = {run.title: {run.seed: with_shares(run.figures())} for run in runs}
    table = make_table(results)
    write_text(work_dir / 'table.md', table + '\n')
    write_json(work_dir / 'results.json', summarize(results))
    print(f'\n{table}\n\nThe table: {work_dir / "table.md"}')


def main(argv: list[str]) -> int:
    select_device(argv)
    return run_until_interrupted(run, parse_args(argv))


if __name__ == '__main__':
    run_command(main)
