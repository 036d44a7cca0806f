import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mmp2seg.apis.arguments import CommandError
from mmp2seg.files.index_png import read_index_png
from mmp2seg.ops.rle import encode_rle
from mmp2seg.testing import TINY_CLASSES, tiny_p2seg_config, write_tiny_voc

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools' / 'self_train.py'

CONFIG = """
default_scope = 'mmdet'
model = {model!r}
load = [
    dict(type='LoadImageFromFile'),
    dict(type='mmp2seg.LoadPointAnnotations', with_seg=True, allow_outside=True)]
pack = dict(type='mmp2seg.PackPointInputs')
data = dict(type='mmp2seg.PointVOCDataset', **{data!r})
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(type='RepeatDataset', times=2, dataset=dict(
        pipeline=[*load, dict(type='mmp2seg.FindRegions'), pack], **data)))
test_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(pipeline=[*load, pack], test_mode=True, **data))
test_evaluator = dict(type='mmp2seg.PseudoMaskMetric', ann_file='truth.json')
test_cfg = dict(type='TestLoop')
train_cfg = dict(type='IterBasedTrainLoop', max_iters=2)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1))
default_hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=1))
log_processor = dict(by_epoch=False)
"""


def write_truth(path):
    """Write the true bar of img_1; the dataset numbers its images from 1."""
    mask = np.zeros((40, 48), bool)
    mask[4:12, 4:16] = True
    content = dict(
        images=[dict(id=i, file_name=f'img_{i}.jpg', height=40, width=48) for i in (1, 2, 3)],
        categories=[dict(id=i, name=name) for i, name in enumerate(TINY_CLASSES, start=1)],
        annotations=[dict(id=1, image_id=1, category_id=1, segmentation=encode_rle(mask))],
    )
    path.write_text(json.dumps(content))


@pytest.fixture
def project(tmp_path):
    """A folder with a config, its data and the truth; the network's maps have a share of half."""
    (tmp_path / 'data').mkdir()
    data = write_tiny_voc(tmp_path / 'data')
    test_cfg = dict(use_weak_map=True, network_weight=0.5)
    model = tiny_p2seg_config(test_cfg=test_cfg)
    (tmp_path / 'tiny.py').write_text(CONFIG.format(model=model, data=data))
    write_truth(tmp_path / 'truth.json')
    return tmp_path


def start(project, *arguments):
    return subprocess.Popen(
        [sys.executable, TOOL, 'tiny.py', '--device', 'cpu', '--work-dir', 'work', *arguments],
        cwd=project,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': '-1'},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    output, errors = process.communicate(timeout=300)
    return process.returncode, output, errors


def kill_after(project, process, name):
    """Kill the command when a phase has finished."""
    stamp, end = project / 'work' / 'logs' / f'{name}.done.json', time.monotonic() + 300
    while not stamp.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    process.kill()
    return finish(process)


def stamps(project):
    files = (project / 'work' / 'logs').glob('*.done.json')
    return {path.name.split('.')[0]: json.loads(path.read_text())['run'] for path in files}


def test_two_generations_that_are_killed_on_the_way(project):
    status, output, errors = kill_after(project, start(project), 'generation1-maps')
    assert status == -signal.SIGKILL, output + errors
    before = stamps(project)
    assert {'generation1-train', 'generation1-maps'} <= set(before)
    assert 'generation2-train' not in before

    # the second generation trains on the maps of the first: it fails without one
    maps = project / 'work' / 'generation1' / 'maps'
    hidden = (maps / 'img_2.png').rename(project / 'hidden.png')
    status, output, errors = finish(start(project))
    assert status == 1 and str(maps / 'img_2.png') in errors
    assert errors.splitlines()[-1].startswith('All of its output: ')
    hidden.rename(maps / 'img_2.png')

    status, output, errors = finish(start(project))
    assert status == 0, output + errors
    after = stamps(project)
    assert len(after) == 8 and after.items() >= before.items()
    for generation in (1, 2):
        folder = project / 'work' / f'generation{generation}'
        written = {path.name: read_index_png(path) for path in (folder / 'maps').iterdir()}
        assert sorted(written) == ['img_1.png', 'img_2.png', 'img_3.png']
        assert all(semantic_map.shape == (40, 48) for semantic_map in written.values())
        assert {*np.unique(written['img_2.png'])} <= {0, 2, 255}  # its points are of class 1
        labels = folder / 'labels' / 'pseudo_labels.json'
        assert len(json.loads(labels.read_text())['images']) == 3
        assert f'generation {generation}\n' in output and f'its labels   {labels}' in output
    table = (project / 'work' / 'table.md').read_text()
    assert table in output and '| generation 2 |' in table
    results = json.loads((project / 'work' / 'results.json').read_text())
    assert list(results) == ['generation 1', 'generation 2']

    status, output, _ = finish(start(project))
    assert status == 0 and 'done in' not in output
    assert stamps(project) == after


@pytest.fixture
def tool(load_with_fake_tools):
    return load_with_fake_tools(TOOL)


def test_fake_generations_write_a_table(tool, project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    (tool.TOOLS / 'test.py').write_text(
        'import sys; from pathlib import Path; arguments = sys.argv[1:]\n'
        "folder = Path(arguments[arguments.index('--work-dir') + 1]).parent / 'maps'\n"
        'folder.mkdir()\n'
    )
    assert tool.main(['tiny.py', '--generations', '3', '--seed', '1', '--device', 'cpu']) == 0
    work = project / 'work_dirs' / 'tiny_self_train'
    table = (work / 'table.md').read_text()
    assert table in capsys.readouterr().out
    assert [line.split('|')[1].strip() for line in table.splitlines()[2:]] == [
        f'generation {number}' for number in (1, 2, 3)
    ]
    assert '50.0' in table  # the stand-in's quality of seed 1
    (project / 'truth.json').unlink()
    assert tool.main(['tiny.py', '--generations', '1', '--seed', '1', '--device', 'cpu']) == 0
    output = capsys.readouterr().out
    assert '--truth' in output and 'mean IoU' not in output


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'required: config'),
        (['tiny.py', '--generations', '0'], '--generations: expected at least 1, got 0'),
        (['tiny.py', '--min-confidence', '1.5'], '--min-confidence: expected 0 to 1, got 1.5'),
        (['tiny.py', '--min-confidence', 'nan'], '--min-confidence: expected 0 to 1, got nan'),
        (['tiny.py', '--gpus', '0'], '--gpus: expected at least 1, got 0'),
        (['tiny.py', '--truth', 'gone.json'], '--truth: no such file: gone.json'),
    ],
)
def test_bad_arguments(tool, arguments, message, capsys):
    with pytest.raises(SystemExit) as info:
        tool.parse_args(arguments)
    assert info.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_mistakes_in_one_line(tool, project, monkeypatch):
    monkeypatch.chdir(project)
    (project / 'other.py').write_text("model = dict(type='MaskRCNN')")
    for config, message in (
        ('gone.py', r'config not found: gone\.py'),
        ('other.py', r'other\.py: expected a config of stage 1'),
    ):
        with pytest.raises(CommandError, match=message) as info:
            tool.main([config, '--device', 'cpu'])
        assert '\n' not in str(info.value)
    assert not list((project / 'work_dirs').glob('*/configs'))


def test_processes_reach_the_commands(tool, project, monkeypatch):
    monkeypatch.chdir(project)
    commands = []

    def run_generations(runs, logs, *, environment):
        commands.extend(runs[0].chain()[0].commands())
        raise KeyboardInterrupt

    monkeypatch.setattr(tool, 'run_generations', run_generations)
    assert tool.main(['tiny.py', '--gpus', '4', '--device', 'cpu']) == 130
    assert '--nproc_per_node=4' in commands[0]
