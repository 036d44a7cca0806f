"""Train segmentors on pseudo labels and on competing labels; print a table of their tests.

Stage 1 is trained first, unless this work dir has its training already. Then every segmentor learns
from every kind of labels with every seed: pseudo, the labels of stage 1; nearest and component, the
labels of baseline_pseudo_labels.py; full, the true masks. Started again, the command continues
where it stopped and does not repeat finished steps.
"""

import argparse
import functools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.apis.arguments import CommandError, make_parser, run_command
from mmp2seg.apis.device import select_device
from mmp2seg.experiments.arguments import (
    add_run_arguments,
    make_shapes,
    parse_run_arguments,
    report_job,
    run_until_interrupted,
    threads_per_job,
)
from mmp2seg.experiments.commands import children_environment
from mmp2seg.experiments.job_pool import Job, run_jobs
from mmp2seg.experiments.label_sources import LABEL_KINDS, LabelSource, label_sources
from mmp2seg.experiments.result_tables import (
    make_difference_table,
    make_refine_table,
    measured_columns,
    test_results,
)
from mmp2seg.files.atomic_write import write_json, write_text

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / 'tools'


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument(
        'segmentors', nargs='+', type=Path, help='stage-2 configs, in the order of the table'
    )
    parser.add_argument('--stage1', type=Path, required=True, help='config of stage 1')
    parser.add_argument(
        '--labels',
        nargs='+',
        choices=list(LABEL_KINDS),
        default=['pseudo', 'nearest', 'full'],
        help='kinds of labels, in the order of the table (default: pseudo nearest full)',
    )
    parser.add_argument(
        '--name',
        default='segmentors',
        help='name of the files with the table and the values (default: segmentors)',
    )
    add_run_arguments(parser)
    args = parse_run_arguments(parser, argv)
    if any(',' in path.stem for path in args.segmentors):
        parser.error(
            'the name of a config must not contain a comma, which separates the parts of a row'
        )
    return args


def make_label_sources(args: argparse.Namespace, environment: dict[str, str]) -> list[LabelSource]:
    """Return the labels of every kind and seed; makes the dataset of each seed."""
    from mmp2seg.experiments import stage1_configs

    stage1 = stage1_configs.load_configs([args.stage1], cfg_options=args.cfg_options)
    data_of_seed = None
    if args.shapes:
        from mmp2seg.datasets.shapes.scene import SHAPES_CLASSES

        stage1_configs.require_classes(stage1, SHAPES_CLASSES)
        data_of_seed = make_shapes(args, TOOLS, environment)
    runs = stage1_configs.make_runs(
        stage1,
        args.seeds,
        work_dir=args.work_dir,
        tools=TOOLS,
        device=args.device,
        data_of_seed=data_of_seed,
        truth=args.truth,
    )
    sources = label_sources(runs, list(dict.fromkeys(args.labels)))
    if any(source.path is None for source in sources):
        raise CommandError(f'--labels full: {args.stage1} names no true instances, give --truth')
    return sources


def write_configs(
    args: argparse.Namespace, sources: list[LabelSource], environment: dict[str, str]
) -> list[tuple[str, str, LabelSource]]:
    """Write the config of every training.

    Returns:
        list[tuple]: per training its row of the table, name of the segmentor's run and labels,
            seed by seed.
    """
    from mmp2seg.experiments.stage1_configs import load_configs
    from mmp2seg.experiments.stage2_configs import segmentor_name, write_segmentor_config

    segmentors = load_configs(args.segmentors)
    test_data_of_seed = {}
    if args.shapes:
        test_data_of_seed = make_shapes(args, TOOLS, environment, split='val')
    trainings = []
    for source in sources:
        test_data = test_data_of_seed.get(source.stage1.seed)
        for name, cfg in segmentors.items():
            key = segmentor_name(name, cfg, test_data)
            write_segmentor_config(
                source.stage2_run(key),
                cfg,
                labels=source.path,
                train_data=source.stage1.data,
                test_data=test_data,
            )
            trainings.append((f'{name}, {LABEL_KINDS[source.kind]}', key, source))
    return trainings


def run(args: argparse.Namespace) -> int:
    """Run everything and return the exit status."""
    environment = children_environment(ROOT, OMP_NUM_THREADS=str(threads_per_job(args.jobs)))
    sources = make_label_sources(args, environment)
    trainings = write_configs(args, sources, environment)
    print(f'{len(sources)} label files, {len(trainings)} trainings of segmentors', flush=True)

    logs = args.work_dir / 'logs'
    jobs = [
        Job(
            source.title,
            functools.partial(source.run, environment),
            logs / f'{source.kind}-{source.stage1.folder.parent.name}-seed{source.stage1.seed}.log',
        )
        for source in sources
    ]
    errors = run_jobs(jobs, num_workers=args.jobs, report=report_job)
    jobs = [
        Job(
            f'{row}, seed {source.stage1.seed}',
            functools.partial(source.run, environment, segmentor=key),
            logs / f'{key}-{source.kind}-seed{source.stage1.seed}.log',
        )
        for row, key, source in trainings
        if source.title not in errors
    ]
    errors |= run_jobs(jobs, num_workers=args.jobs, report=report_job)

    results = {row: {} for row in rows_in_order(args, trainings)}
    for row, key, source in trainings:
        failed = {source.title, f'{row}, seed {source.stage1.seed}'} & errors.keys()
        figures = None if failed else test_results(source.stage2_run(key))
        results[row][source.stage1.seed] = figures
    write_results(results, args.work_dir, args.name)
    for title, error in errors.items():
        print(f'\ncompare_segmentors.py: {title} failed: {error}', file=sys.stderr)
    return 1 if errors else 0


def rows_in_order(args: argparse.Namespace, trainings: list[tuple]) -> list[str]:
    """Return the rows of the table, by segmentor and then by kind of labels as given."""
    return [
        row
        for segmentor in dict.fromkeys(path.stem for path in args.segmentors)
        for row in dict.fromkeys(row for row, *_ in trainings)
        if row.startswith(f'{segmentor}, ')
    ]


def difference_tables(results: dict) -> list[str]:
    """Compare the kinds of labels of each segmentor; for a single kind, compare the segmentors."""
    segmentors = dict.fromkeys(row.split(', ')[0] for row in results)
    groups = [
        {row: of_seed for row, of_seed in results.items() if row.split(', ')[0] == segmentor}
        for segmentor in segmentors
    ]
    if len(groups[0]) == 1:
        groups = [results]
    tables = [make_difference_table(group, measured_columns(results)) for group in groups]
    return [table for table in tables if table is not None]


def write_results(results: dict, work_dir: Path, name: str) -> None:
    """Print the tables; write them and their values to the work dir."""
    tables = [make_refine_table(results), *difference_tables(results)]
    text = '\n\n'.join(tables)
    write_text(work_dir / f'{name}.md', text + '\n')
    write_json(work_dir / f'{name}.json', results)
    print(f'\n{text}\n\nThe tables: {work_dir / name}.md')
    print(f'The values: {work_dir / name}.json')


def main(argv: list[str]) -> int:
    select_device(argv)
    return run_until_interrupted(run, parse_args(argv))


if __name__ == '__main__':
    run_command(main)
