"""Short trainings on a GPU and on the CPU; here, all on the CPU."""

import dataclasses
import json
import sys
from pathlib import Path

import pytest
import torch

from mmp2seg.testing.training_check import (
    GROUPS,
    Group,
    Runner,
    Training,
    has_cuda_operators,
    judge,
    largest_difference,
    read_losses,
    run_logged,
    write_start,
)

ROOT = Path(__file__).resolve().parents[2]
NAN = float('nan')


def run_of(*losses):
    return [{'loss': loss, 'loss_a': loss} for loss in losses]


def write_scalars(folder, *losses):
    folder.mkdir(parents=True)
    lines = [
        json.dumps({'lr': 1.0, 'loss': a + b, 'loss_a': a, 'loss_b': b, 'iter': index})
        for index, (a, b) in enumerate(losses)
    ]
    lines.append(json.dumps({'coco/segm_mAP': 0.1, 'step': 2}))  # of a validation
    (folder / 'scalars.json').write_text('\n'.join(lines) + '\n')


def test_losses_of_the_last_run_are_compared(tmp_path):
    write_scalars(tmp_path / 'cpu' / '20261122_120000' / 'vis_data', (3.0, 1.0), (2.0, 2.0))
    write_scalars(tmp_path / 'gpu' / '20261122_120000' / 'vis_data', (9.0, 9.0))
    write_scalars(tmp_path / 'gpu' / '20261122_120100' / 'vis_data', (3.0, 1.0), (2.2, 1.9))
    cpu, gpu = (read_losses(tmp_path / name) for name in ('cpu', 'gpu'))
    assert cpu[0] == {'loss': 4.0, 'loss_a': 3.0, 'loss_b': 1.0}
    assert largest_difference(gpu, cpu) == pytest.approx(0.2 / 4)
    assert largest_difference(cpu, cpu) == 0
    for other in ([], cpu[:1], [{'loss': 4.0}, {'loss': 4.0}]):
        assert torch.tensor(largest_difference(other, cpu)).isnan()
    assert torch.tensor(largest_difference([], [])).isnan()
    assert read_losses(tmp_path / 'none') == []


def test_trainings_are_judged():
    group = Group(
        'x.py',
        (
            Training('CPU', reference=None),
            Training('a', limit=0.01),
            Training('not finite', limit=0.01),
            Training('far at first', limit=0.01),
            Training('far later', limit=0.01),
            Training('far from a later', reference='a', compares_all=True, limit=0.01),
            Training('failed', limit=0.01),
        ),
    )
    losses = {
        'CPU': run_of(4.0, 3.0),
        'a': run_of(4.02, 3.0),
        'not finite': run_of(4.0, NAN),
        'far at first': run_of(4.5, 3.0),
        'far later': run_of(4.0, 9.0),
        'far from a later': run_of(4.02, 3.1),
        'failed': [],
    }
    verdicts = judge(group, losses)
    assert [one.training for one in verdicts] == list(group.trainings)
    assert [one.ok for one in verdicts] == [True, True, False, False, True, False, False]
    assert verdicts[0].first is None and verdicts[0].all is None
    assert verdicts[4].first == 0 and verdicts[4].all == pytest.approx(2.0)
    assert verdicts[5].all == pytest.approx(0.1 / 3)
    bad = judge(group, {**losses, 'CPU': run_of(NAN, 1.0)})
    assert not bad[0].ok and not bad[1].ok


def test_a_failed_command_shows_the_end_of_its_output(tmp_path, capsys):
    command = [sys.executable, '-c', 'print("oh no"); exit(3)']
    assert not run_logged(command, tmp_path / 'logs' / 'x.log', root=ROOT)
    printed = capsys.readouterr().out
    assert printed.startswith('status 3: ') and printed.endswith('oh no\n')
    assert run_logged([sys.executable, '-c', ''], tmp_path / 'y.log', root=ROOT)


def test_the_commands_of_the_trainings_are_those_of_the_tools(tmp_path):
    runner = Runner(ROOT, tmp_path)
    for group in GROUPS:
        for training in group.trainings:
            command = runner.command(group, training, tmp_path / 'work', max_iters=3)
            starts = 'dist_train.sh' if training.distributed else 'train.py'
            assert Path(command[1]).name == starts
            assert Path(command[2]).is_file()
            device = command[command.index('--device') + 1]
            assert device == ('cpu' if training.name == 'CPU' else 'cuda')
            assert ('--amp' in command) is (training.name in ('float16', 'bfloat16'))
            assert 'train_cfg.max_iters=3' in command
            assert f'load_from={tmp_path / Path(group.config).stem}.pth' in command
            rounds = 'model.distiller.propagate_begin=0' in command
            assert rounds is (group.stage == 1)


def test_all_trainings_start_from_the_same_weights(tmp_path):
    config = ROOT / 'configs' / 'p2seg' / 'tiny_shapes.py'
    files = [tmp_path / name for name in ('one.pth', 'two.pth')]
    for seed, file in enumerate(files):
        torch.manual_seed(seed)
        write_start(config, file)
    one, two = (torch.load(file)['state_dict'] for file in files)
    assert len(one) > 50
    assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize(('version', 'expected'), [('13.0', True), ('not available', False)])
def test_whether_mmcv_has_cuda_operators(version, expected, monkeypatch):
    monkeypatch.setattr('mmcv.ops.get_compiling_cuda_version', lambda: version)
    assert has_cuda_operators() is expected


def test_a_resumed_training_is_compared_with_one_that_was_not_stopped(tmp_path):
    (group,) = (one for one in GROUPS if one.config == 'p2seg/tiny_shapes.py')
    on_cpu = {'--device': '--device', 'cuda': 'cpu'}
    trainings = [
        dataclasses.replace(one, options=tuple(on_cpu[text] for text in one.options))
        for one in group.trainings
        if one.name in ('float32', 'float32, resumed')
    ]
    trainings[0] = dataclasses.replace(trainings[0], reference=None)
    assert trainings[1].stops and trainings[1].reference == 'float32'
    group = dataclasses.replace(group, trainings=tuple(trainings))
    found = Runner(ROOT, tmp_path, iterations=4, jobs=2).run([group])
    plain, resumed = found[group.config]
    assert plain.ok and resumed.ok and resumed.all == 0
    assert len(plain.losses) == len(resumed.losses) == 4
    assert len({one['loss'] for one in plain.losses}) == 4
    logs = list((tmp_path / 'tiny_shapes' / 'float32_resumed').glob('*/vis_data/scalars.json'))
    assert len(logs) == 2
