"""Run a list of stage-1 configs over seeds and print a table with mean and spread.

For each config and seed: train, write the pseudo labels of the training images, compare them with
the true instances; with --refine, also train a segmentor on the labels and test it. Configs that
differ only in what inference reads share a training. Started again it goes on where it stopped, and
does not repeat what is finished.
"""

import argparse
import functools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import CommandError, run_command
from mmp2seg.apis.device import select_device
from mmp2seg.experiments.arguments import (
    add_run_arguments,
    listed_configs,
    make_shapes,
    parse_run_arguments,
    report_job,
    run_until_interrupted,
    threads_per_job,
)
from mmp2seg.experiments.commands import children_environment
from mmp2seg.experiments.job_pool import Job, run_jobs
from mmp2seg.experiments.table import (
    collect_refine_results,
    collect_results,
    make_difference_table,
    make_refine_table,
    make_table,
    summarize,
)
from mmp2seg.files.atomic_write import write_json, write_text

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / 'tools'


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('configs', nargs='*', type=Path, help='configs, in the order of the table')
    parser.add_argument('--list', type=Path, metavar='FILE', help='more of them, one per line')
    parser.add_argument(
        '--refine',
        type=Path,
        metavar='CONFIG',
        help='stage-2 config to train on the pseudo labels and to test as it says',
    )
    add_run_arguments(parser)
    return parse_run_arguments(parser, argv)


def run(args: argparse.Namespace) -> int:
    """Run all of it; the exit status."""
    from mmp2seg.experiments import ablations

    paths = [*args.configs, *(listed_configs(args.list) if args.list else [])]
    if not paths:
        raise CommandError('no config given')
    configs = ablations.load_configs(paths, cfg_options=args.cfg_options)
    threads = str(threads_per_job(args.jobs))
    environment = children_environment(ROOT, OMP_NUM_THREADS=threads)
    data_of_seed = test_data_of_seed = None
    if args.shapes:
        from mmp2seg.datasets.shapes.scene import SHAPES_CLASSES

        ablations.require_classes(configs, SHAPES_CLASSES)
        data_of_seed = make_shapes(args, TOOLS, environment)
        if args.refine is not None:
            test_data_of_seed = make_shapes(args, TOOLS, environment, split='val')
    chains = ablations.make_chains(
        configs,
        args.seeds,
        work_dir=args.work_dir,
        tools=TOOLS,
        device=args.device,
        data_of_seed=data_of_seed,
        test_data_of_seed=test_data_of_seed,
        truth=args.truth,
        refine=args.refine,
    )
    print(f'{len(configs)} configs, {len(args.seeds)} seeds: {len(chains)} trainings', flush=True)
    if args.jobs > 1:
        print(f'What they are at: {args.work_dir}/runs/*/seed*/logs/progress.log', flush=True)
    jobs = [
        Job(chain.title, functools.partial(chain.run, environment), chain.logs / 'progress.log')
        for chain in chains
    ]
    errors = run_jobs(jobs, num_workers=args.jobs, report=report_job)
    finished = [chain for chain in chains if chain.title not in errors]
    write_results(
        collect_results(finished, list(configs)),
        collect_refine_results(finished, list(configs)) if args.refine is not None else None,
        args.work_dir,
    )
    for title, error in errors.items():
        print(f'\nrun_ablations.py: {title} failed: {error}', file=sys.stderr)
    return 1 if errors else 0


def write_results(results: dict, refine_results: dict | None, work_dir: Path) -> None:
    """Print the tables, write them and the values they are made of."""
    tables = [make_table(results)]
    differences = make_difference_table(results)
    if differences is not None:
        tables.append(differences)
    if refine_results is not None:
        tables.append(make_refine_table(refine_results))
        write_json(work_dir / 'refine_results.json', refine_results)
    text = '\n\n'.join(tables)
    write_text(work_dir / 'table.md', text + '\n')
    write_json(work_dir / 'results.json', summarize(results))
    print(f'\n{text}\n\nThe tables: {work_dir / "table.md"}')
    print(f'The values: {work_dir / "results.json"}')


def main(argv: list[str]) -> None:
    select_device(argv)
    args = parse_args(argv)
    sys.exit(run_until_interrupted(run, args))


if __name__ == '__main__':
    run_command(main)
