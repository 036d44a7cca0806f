"""Run stage-1 configs over seeds and print a table with mean and spread.

For each config and seed: train, write the pseudo labels of the training images, compare them with
the true instances; with --refine, also train a segmentor on the labels and test it. With --grid,
every config is run with every combination of the given settings; with --keep-masks, with true masks
of several shares of the objects. Configs that differ only in test
settings share a training. Started again, the command continues where it stopped and does not
repeat finished steps.
"""

import argparse
import functools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import CommandError, make_parser, run_command
from mmp2seg.apis.device import select_device
from mmp2seg.experiments.arguments import (
    add_kept_masks_arguments,
    add_photograph_arguments,
    add_run_arguments,
    check_photograph_arguments,
    listed_configs,
    make_shapes,
    parse_run_arguments,
    report_job,
    run_until_interrupted,
    threads_per_job,
)
from mmp2seg.experiments.commands import children_environment
from mmp2seg.experiments.job_pool import Job, run_jobs
from mmp2seg.experiments.kept_masks import KEPT_COLUMNS, KeptMasks
from mmp2seg.experiments.phases import run_phases
from mmp2seg.experiments.photographs import START_ROWS, describe_losses
from mmp2seg.experiments.result_tables import (
    COLUMNS,
    MAP_COLUMNS,
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
    parser = make_parser(__doc__)
    parser.add_argument('configs', nargs='*', type=Path, help='configs, in the order of the table')
    parser.add_argument(
        '--list', type=Path, metavar='FILE', help='file with more configs, one per line'
    )
    parser.add_argument(
        '--grid',
        action='append',
        default=[],
        metavar='KEY=VALUE,VALUE,...',
        help='run every config with each of these values of a setting, e.g. '
        'model.distiller.rounds=0,1,2; values are written as in --cfg-options, [1,2],[3,4] are two '
        'lists. Repeated: the product. KEY1+KEY2=... sets several places to the same value. In the '
        'table a variant is called config[setting=value]',
    )
    parser.add_argument(
        '--refine',
        type=Path,
        metavar='CONFIG',
        help='stage-2 config to train on the pseudo labels and to test',
    )
    add_run_arguments(parser)
    add_photograph_arguments(parser)
    add_kept_masks_arguments(parser)
    args = parse_run_arguments(parser, argv)
    check_photograph_arguments(parser, args)
    if args.keep_masks and not (args.shapes or args.photographs):
        parser.error('--keep-masks: expected --shapes or --photographs')
    return args


def run(args: argparse.Namespace) -> int:
    """Run everything and return the exit status."""
    from mmp2seg.experiments import stage1_configs
    from mmp2seg.experiments.grid import expand_grid, parse_axis
    from mmp2seg.experiments.stage2_configs import PHOTOGRAPHS_LAYOUT, SHAPES_LAYOUT

    axes = [parse_axis(text) for text in args.grid]
    paths = [*args.configs, *(listed_configs(args.list) if args.list else [])]
    if not paths:
        raise CommandError('no config given')
    configs = stage1_configs.load_configs(paths, cfg_options=args.cfg_options)
    refine = None
    if args.refine is not None:
        (refine,) = stage1_configs.load_configs([args.refine]).items()
    photographs = held_out = kept = None
    if args.photographs is not None:
        from mmp2seg.experiments import photograph_configs

        photographs, classes = photograph_configs.open_photographs(args, tools=TOOLS)
        configs = photograph_configs.on_photographs(configs, classes, data=photographs.name)
        if refine is not None:
            held_out = photograph_configs.open_held_out(args, classes, tools=TOOLS)
            refine = refine[0], photograph_configs.segmentor_on_photographs(refine[1], classes)
    configs = expand_grid(configs, axes)
    if args.keep_masks:
        truth = 'annotations/instances_train.json' if photographs is None else 'truth.json'
        shares = tuple(dict.fromkeys(args.keep_masks))
        kept = KeptMasks(shares, args.keep_by, truth=truth, tools=TOOLS)
        configs = kept.expand(configs)
    threads = str(threads_per_job(args.jobs))
    environment = children_environment(ROOT, OMP_NUM_THREADS=threads)
    data_of_seed = test_data_of_seed = None
    if args.shapes:
        from mmp2seg.datasets.shapes.scene import SHAPES_CLASSES

        stage1_configs.require_classes(configs, SHAPES_CLASSES)
        data_of_seed = make_shapes(args, TOOLS, environment)
        if refine is not None:
            test_data_of_seed = make_shapes(args, TOOLS, environment, split='val')
    if photographs is not None:
        data_of_seed = {seed: photographs.folder(seed) for seed in args.seeds}
        if held_out is not None:
            test_data_of_seed = dict.fromkeys(args.seeds, held_out.folder)
    runs = stage1_configs.make_runs(
        configs,
        args.seeds,
        work_dir=args.work_dir,
        tools=TOOLS,
        device=args.device,
        data_of_seed=data_of_seed,
        test_data_of_seed=test_data_of_seed,
        truth=args.truth,
        refine=refine,
        layout=SHAPES_LAYOUT if photographs is None else PHOTOGRAPHS_LAYOUT,
    )
    start = {}
    if photographs is not None:
        if held_out is not None:
            run_phases([held_out], photographs.root / 'logs', environment=environment)
        runs = [photographs.run_on(run) for run in runs]
        photographs.make(args.seeds, environment)
        config = runs[0].variants[0].config
        start = {START_ROWS[args.maps]: photographs.start_figures(args.seeds, config, environment)}
    if kept is not None:
        runs = kept.judge(runs)
        kept.make(data_of_seed, args.work_dir / 'supervision-logs', environment)
    print(f'{len(configs)} configs, {len(args.seeds)} seeds: {len(runs)} trainings', flush=True)
    if args.jobs > 1:
        print(f'Progress: {args.work_dir}/runs/*/seed*/logs/progress.log', flush=True)
    jobs = [
        Job(run.title, functools.partial(run.run, environment), run.logs / 'progress.log')
        for run in runs
    ]
    errors = run_jobs(jobs, num_workers=args.jobs, report=report_job)
    finished = [run for run in runs if run.title not in errors]
    results = start | collect_results(finished, list(configs))
    notes = []
    if photographs is not None:
        labels = {seed: photographs.start_labels(seed) for seed in args.seeds}
        notes = describe_losses(results, labels, start=START_ROWS[args.maps])
    write_results(
        results,
        collect_refine_results(finished, list(configs)) if refine is not None else None,
        args.work_dir,
        columns=KEPT_COLUMNS if kept else COLUMNS if photographs is None else MAP_COLUMNS,
        notes=notes,
    )
    for title, error in errors.items():
        print(f'\nrun_ablations.py: {title} failed: {error}', file=sys.stderr)
    return 1 if errors else 0


def write_results(
    results: dict,
    refine_results: dict | None,
    work_dir: Path,
    *,
    columns: dict[str, str],
    notes: list[str],
) -> None:
    """Print the tables and notes; write them and their values to the work dir."""
    tables = [make_table(results, columns)]
    differences = make_difference_table(results, columns)
    if differences is not None:
        tables.append(differences)
    if refine_results is not None:
        tables.append(make_refine_table(refine_results))
        write_json(work_dir / 'refine_results.json', refine_results)
    text = '\n\n'.join([*tables, *notes])
    write_text(work_dir / 'table.md', text + '\n')
    write_json(work_dir / 'results.json', summarize(results, columns))
    print(f'\n{text}\n\nThe tables: {work_dir / "table.md"}')
    print(f'The values: {work_dir / "results.json"}')


def main(argv: list[str]) -> int:
    select_device(argv)
    return run_until_interrupted(run, parse_args(argv))


if __name__ == '__main__':
    run_command(main)
