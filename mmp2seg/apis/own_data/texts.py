"""The texts that ``mmp2seg init`` writes: a config for each stage, and the next commands."""

import shlex
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mmp2seg.apis.own_data.settings import StageSettings

STAGE1, STAGE2, POINTS, MAPS = 'stage1.py', 'stage2.py', 'points.json', 'maps'
LABELS, START = 'pseudo_labels.json', 'start.json'
TRAIN_POINTS, TRUTH = 'points_train.json', 'val.json'
CLASS_HEAD = 'point_segmenter/efficientnet-lite0_class-head.py'
_MAP_VALUES = '  # the values 1, 2, ... of the maps are in this order'


@dataclass(frozen=True)
class OwnData:
    """The files of a data set, as the configs name them.

    Attributes:
        summary: a line with the numbers of images and points.
        classes: names of the classes, in the order of the points file.
        images: folder of the images, relative to the folder of the configs if possible.
        maps: folder of the semantic maps, likewise.
        has_truth: ``val.json`` has true masks, and ``points_train.json`` the points of the images
            that stage 2 trains on.
    """

    summary: str
    classes: tuple[str, ...]
    images: str
    maps: str = MAPS
    has_truth: bool = False


def stage1_text(data: OwnData, settings: StageSettings) -> str:
    """Return the config of stage 1."""
    train, test = _datasets(settings)
    lines = [
        *_head('Stage 1 of P2Seg', data, settings, classes_note=_MAP_VALUES),
        "work_dir = folder + 'stage1'",
        '',
        'data = dict(',
        '    data_root=folder,',
        f'    data_prefix=dict(img={data.images!r}, seg_map={data.maps!r}),',
        '    metainfo=dict(classes=classes),',
        ')',
        *_sizes(settings),
        f'train_dataloader = dict(dataset={train})',
    ]
    points = POINTS
    if data.has_truth:
        points = TRAIN_POINTS
        test = f'dict({test}, ann_file={points!r})'
        lines.append(f'# No pseudo labels of the images that stage 2 is evaluated on ({TRUTH}).')
    lines += [
        f'test_dataloader = dict(dataset={test})',
        f'test_evaluator = dict(outfile=folder + {LABELS!r}, ann_file=folder + {points!r})',
        'model = dict(semantic_head=dict(num_classes=len(classes)))',
        '',
        *_schedule(settings),
    ]
    return '\n'.join(lines) + '\n'


def stage2_text(data: OwnData, settings: StageSettings) -> str:
    """Return the config of stage 2."""
    train, test = _datasets(settings)
    lines = [
        *_head('Stage 2, a segmentor that needs no points', data, settings),
        "work_dir = folder + 'stage2'",
        '',
        'data = dict(',
        '    metainfo=dict(classes=classes),',
        f'    ann_file=folder + {LABELS!r},',
        f'    data_prefix=dict(img={_below_folder(data.images)}),',
        ')',
        *_sizes(settings),
        f'train_dataloader = dict(dataset={train})',
    ]
    if data.has_truth:
        lines += [
            f'truth = folder + {TRUTH!r}',
            f'val_dataloader = dict(dataset=dict({test}, ann_file=truth))',
            'test_dataloader = val_dataloader',
            'val_evaluator = dict(ann_file=truth)',
        ]
    else:
        lines += [
            '# No validation without true masks (init --val-annotations); the test compares with',
            '# the pseudo labels.',
            'val_dataloader = None',
            'val_cfg = None',
            'val_evaluator = None',
            f'test_dataloader = dict(dataset={test})',
        ]
    ann_file = 'truth' if data.has_truth else "data['ann_file']"
    lines += [
        f'test_evaluator = dict(ann_file={ann_file})',
        'head = dict(num_classes=len(classes))',
        'model = dict(roi_head=dict(bbox_head=head, mask_head=head))',
    ]
    if settings.from_scratch:
        lines.append("model['backbone'] = dict(init_cfg=None, frozen_stages=-1, norm_eval=False)")
    return '\n'.join([*lines, '', *_schedule(settings)]) + '\n'


def next_commands(
    data: OwnData,
    stage1: StageSettings,
    stage2: StageSettings,
    *,
    folder: str,
    images: str,
    program: Mapping[str, Sequence[str]],
    device: str | None = None,
    class_head: bool = False,
    has_maps: bool = False,
) -> str:
    """Return the commands from the configs to a segmentor, each with a line that says what it does.

    Args:
        data: the files.
        stage1, stage2: settings of the stages.
        folder: the folder of the configs, as a command names it.
        images: the folder of the images, likewise.
        program: the words that start a command, by its name: masks, train, pseudo-labels, report.
        device: value of ``--device`` for all commands; None: they choose it.
        class_head: train a class head for the first masks.
        has_maps: there are semantic maps, so no masks are needed to start from.
    """

    def path(name: str) -> str:
        return f'{folder.rstrip("/")}/{name}'

    labels = path(LABELS)
    on_device = [] if device is None else ['--device', device]
    trained = path(f'stage1/iter_{stage1.max_iters}.pth')
    steps = []
    if not has_maps:
        arguments = [images, path(POINTS), '--out', path(START), '--maps', path(MAPS)]
        arguments += ['--config', CLASS_HEAD] if class_head else []
        steps.append(('masks and semantic maps of the points', 'masks', arguments + on_device))
    steps.append(('train stage 1', 'train', [path(STAGE1), *on_device]))
    start = [] if has_maps else ['--start', path(START)]
    arguments = [path(STAGE1), trained, '--out', labels, *start, *on_device]
    steps.append(('a mask for every point: the pseudo labels', 'pseudo-labels', arguments))
    steps.append(
        ('train stage 2, a segmentor that needs no points', 'train', [path(STAGE2), *on_device])
    )
    arguments = [path('stage1'), '--labels', labels, '--images', images]
    steps.append(
        (
            'look at the masks, at any time after 3' if not has_maps else 'look at the masks',
            'report',
            [*arguments, '--out', path('report.html')],
        )
    )
    lines = []
    for number, (title, command, arguments) in enumerate(steps, 1):
        lines += [f'# {number}. {title}', shlex.join([*program[command], *arguments])]
    return '\n'.join(lines) + '\n'


def _head(
    title: str, data: OwnData, settings: StageSettings, *, classes_note: str = ''
) -> list[str]:
    return [
        f'# {title}, on your own data; written by `mmp2seg init`.',
        f'# {data.summary}',
        f'# {settings.base_reason}',
        f"_base_ = __import__('mmp2seg').resolve_config({settings.base!r})",
        '',
        "folder = '{{ fileDirname }}/'  # where this file is",
        f'classes = {data.classes!r}{classes_note}',
    ]


def _datasets(settings: StageSettings) -> tuple[str, str]:
    """Return the source of the datasets of training and test."""
    if settings.sizes is None:
        return 'data', 'data'
    return 'dict(data, pipeline=train_pipeline)', 'dict(data, pipeline=test_pipeline)'


def _sizes(settings: StageSettings) -> list[str]:
    if settings.sizes is None:
        return []
    size = settings.test_size
    return [
        '',
        *_comment(settings.sizes_reason),
        f'scales = [(side, side) for side in {settings.sizes!r}]',
        'train_pipeline = [',
        "    dict(step, scales=scales) if step['type'] == 'RandomChoiceResize' else step",
        '    for step in _base_.train_pipeline',
        ']',
        'test_pipeline = [',
        f"    dict(step, scale=({size}, {size})) if step['type'] == 'Resize' else step",
        '    for step in _base_.test_pipeline',
        ']',
    ]


def _schedule(settings: StageSettings) -> list[str]:
    lines = [
        *_comment(settings.iters_reason),
        f'max_iters = {settings.max_iters}',
        f'warm_up = min({settings.warm_up}, max_iters // 2)  # learning rate, as in the base',
        'train_cfg = dict(max_iters=max_iters, val_interval=max_iters)',
        f'decay = dict({settings.decay})',
        'param_scheduler = [',
        '    dict(_base_.param_scheduler[0], end=warm_up),',
        '    dict(_base_.param_scheduler[1], **decay),',
        ']',
    ]
    if settings.refines:
        lines += [
            'refine_begin = round(0.3 * max_iters)  # 150 of the 500 of docs/points_alone.md',
            "model['distiller'] = dict(propagate_begin=refine_begin, semantic_begin=refine_begin)",
        ]
    return lines


def _below_folder(path: str) -> str:
    """Return the source of a path that is relative to the folder of the config, or absolute."""
    path = f'{path.rstrip("/")}/'
    return repr(path) if path.startswith('/') else f'folder + {path!r}'


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, 98, initial_indent='# ', subsequent_indent='# ')
