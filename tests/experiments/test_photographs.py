import dataclasses
import os
from pathlib import Path

import pytest

from mmp2seg.experiments.photographs import (
    START_ROWS,
    Photographs,
    describe_losses,
    held_out_phase,
)
from mmp2seg.experiments.stage1_run import Stage1Run, Variant

# Stand-in for every tool: writes the file that the next step reads, and a line per call.
FAKE_TOOL = """
import json, sys
from pathlib import Path
arguments = sys.argv[1:]
with open({calls!r}, 'a') as calls:
    print(Path(__file__).name, *arguments, file=calls)
if '--json' in arguments:
    path = Path(arguments[arguments.index('--json') + 1])
    path.parent.mkdir(parents=True, exist_ok=True)
    figures = dict(num_maps=4, miou=0.75, ignored_share=0, mean_iou=0.5)
    counts = dict.fromkeys(('num_objects', 'num_iou50', 'num_iou70', 'num_iou90'), 2)
    path.write_text(json.dumps(figures | counts))
"""
TOOLS = (
    'masks.py',
    'analysis_tools/baseline_pseudo_labels.py',
    'analysis_tools/eval_pseudo_labels.py',
    'analysis_tools/semantic_miou.py',
    'dataset_converters/coco_to_own_data.py',
    'dataset_converters/degrade_semantic_maps.py',
)


@pytest.fixture
def photographs(tmp_path):
    for name in TOOLS:
        path = tmp_path / 'tools' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(FAKE_TOOL.format(calls=str(tmp_path / 'calls')))
    return Photographs(
        sources=('/t.json', '/images'),
        maps='degraded',
        num_classes=3,
        key='k',
        root=tmp_path / 'photographs',
        tools=tmp_path / 'tools',
        device='cpu',
    )


def calls_of(photographs):
    path = photographs.root.parent / 'calls'
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def test_degraded_maps_are_drawn_for_each_seed_once(photographs, capsys):
    photographs.make([1, 2], dict(os.environ))
    calls = calls_of(photographs)
    folders = [photographs.folder(seed) for seed in (1, 2)]
    assert len(set(folders)) == 2
    write, draw, compare = calls[:3]
    assert write == (
        f'coco_to_own_data.py /t.json /images --out {folders[0]} --long-side 352 --min-area 0'
    )
    assert f'{folders[0]}/true_maps {folders[0]}/WSSS_maps --num-classes 3 --seed 1' in draw
    assert '--seed 2' in calls[4] and compare.startswith('semantic_miou.py')
    assert 'maps of 75.0 mIoU' in capsys.readouterr().out
    photographs.make([1, 2], dict(os.environ))
    assert calls_of(photographs) == []


def test_the_start_on_degraded_maps_is_the_nearest_point_split(photographs):
    photographs.make([1], dict(os.environ))
    calls_of(photographs)
    for _ in range(2):
        figures = photographs.start_figures([1], Path('c.py'), dict(os.environ))
        assert figures[1]['mean_iou'] == 0.5 and figures[1]['share_iou50'] == 1
    baseline, evaluation = calls_of(photographs)
    folder = photographs.folder(1)
    assert baseline.split()[:4] == ['baseline_pseudo_labels.py', 'c.py', '--rule', 'nearest']
    assert f'train_dataloader.dataset.data_root={folder}' in baseline.split()
    # also if the config trains on points with true masks
    assert baseline.endswith('train_dataloader.dataset.ann_file=points.json')
    assert f'{photographs.start_labels(1)} {folder}/truth.json' in evaluation
    assert evaluation.endswith(f'--match point_id --true-maps {folder}/true_maps')


def test_maps_of_points_are_made_once_for_all_seeds(photographs):
    photographs = dataclasses.replace(photographs, maps='points', segmenter=Path('/s.py'))
    photographs.make([1, 2], dict(os.environ))
    figures = photographs.start_figures([1, 2], Path('c.py'), dict(os.environ))
    assert list(figures) == [1, 2]
    assert photographs.folder(1) == photographs.folder(2)
    calls = calls_of(photographs)
    names = [call.split()[0] for call in calls]
    assert names == ['coco_to_own_data.py', 'masks.py', 'semantic_miou.py', 'eval_pseudo_labels.py']
    folder = photographs.folder(1)
    assert calls[1].startswith(f'masks.py {folder}/images {folder}/points.json --config /s.py')
    assert f'--out {folder}/point_masks.json --maps {folder}/WSSS_maps --device cpu' in calls[1]


def test_the_default_segmenter_is_there(photographs):
    tools = Path(__file__).resolve().parents[2] / 'tools'
    photographs = dataclasses.replace(photographs, maps='points', tools=tools)
    _, command, _ = photographs.data_phase(1).commands()
    assert Path(command[command.index('--config') + 1]).is_file()


def test_a_run_gets_the_data_of_its_seed(photographs):
    variant = Variant('a', Path('a.py'))
    run = photographs.run_on(Stage1Run(Path('a.py'), (variant,), Path('r'), 7, Path('tools')))
    folder = photographs.folder(7)
    assert run.truth(variant) == folder / 'truth.json'
    assert run.data_options() == {'train_dataloader.dataset.data_root': folder}


def test_configs_below_their_start_are_named():
    start = START_ROWS['points']
    results = {
        start: {1: dict(mean_iou=0.5), 2: dict(mean_iou=0.5)},
        'better': {1: dict(mean_iou=0.45), 2: dict(mean_iou=0.6)},
        'worse': {1: dict(mean_iou=0.4), 2: dict(mean_iou=0.52)},
        'failed': {1: None, 2: None},
    }
    lines = describe_losses(results, {1: Path('m.json'), 2: Path('m.json')}, start=start)
    assert lines == [
        'worse: worse than its start by 4.0 mean IoU (with 1 of 2 seeds): '
        "use the start's masks, m.json"
    ]


def test_the_photographs_to_test_on(tmp_path):
    phase = held_out_phase(
        tmp_path, ['t.json', 'i'], key='k', tools=Path('tools'), long_side=9, min_area=3
    )
    ((command,),) = [phase.commands()]
    assert command[2:] == [
        *('t.json', 'i', '--out', str(tmp_path / 'test-k')),
        *('--long-side', '9', '--min-area', '3'),
    ]
