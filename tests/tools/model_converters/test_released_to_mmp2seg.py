from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmp2seg.converters.released_checkpoints import NETWORKS
from mmp2seg.registry import MODELS

from ..tool_runs import run_tool

ROOT = Path(__file__).resolve().parents[3]
TOOL = 'model_converters/released_to_mmp2seg.py'


def write_released(path, architecture, *, num_classes=20):
    """Write a released checkpoint with the weights of our config, all with the same value."""
    cfg = Config.fromfile(ROOT / 'configs' / 'p2seg' / f'{architecture}_voc.py')
    cfg.model.semantic_head.num_classes = num_classes
    with DefaultScope.overwrite_default_scope('mmdet'), torch.device('meta'):
        entries = MODELS.build(cfg.model).state_dict()
    network = NETWORKS[architecture]
    shapes = {network.released_name(name): value.shape for name, value in entries.items()}
    shapes[f'{network.dropped}2.bias'] = (num_classes,)
    state = {name: torch.tensor(0.5).expand(shape) for name, shape in shapes.items()}
    (bias,) = (name for name in state if 'offset' in name and shapes[name] == (2,))
    state[bias] = torch.tensor([3.0, 4.0])  # (dy, dx)
    torch.save({'model': state}, path)
    return state


def convert(*arguments):
    run_tool('released_to_mmp2seg', *arguments)


@pytest.mark.parametrize(
    ('architecture', 'num_classes', 'config'),
    [('hrnet48', 80, 'hrnet48_coco.py'), ('resnet101', 20, 'resnet101_voc.py')],
)
def test_converts_and_says_what_it_did(tmp_path, capsys, architecture, num_classes, config):
    released, out = tmp_path / 'best.pt', tmp_path / 'ours.pth'
    state = write_released(released, architecture, num_classes=num_classes)
    convert(released, out)
    lines = capsys.readouterr().out.splitlines()
    title, center = NETWORKS[architecture].title, f'{NETWORKS[architecture].dropped}2.bias'
    assert lines == [
        f'{released}: {title}, {num_classes} classes, {len(state)} entries',
        f'  used: {len(state) - 1}, offsets changed from (dy, dx) to (dx, dy)',
        '  dropped, as inference does not use the centre head: 1',
        f'    {center} [{num_classes}]',
        f'{out}: loads strictly into {ROOT / "configs" / "p2seg" / config}',
    ]
    checkpoint = torch.load(out, weights_only=True)
    assert checkpoint['state_dict']['offset_head.predictor.bias'].tolist() == [4.0, 3.0]
    assert checkpoint['meta']['num_classes'] == num_classes


def test_another_number_of_classes_is_said(tmp_path, capsys):
    released = tmp_path / 'best.pt'
    write_released(released, 'resnet101', num_classes=5)
    config = ROOT / 'configs' / 'p2seg' / 'resnet101_voc.py'
    convert(released, tmp_path / 'ours.pth', '--config', config)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == '  with model.semantic_head.num_classes=5'


def test_mistakes_end_with_one_line_and_leave_no_file(toy_project, mistake_of):
    folder = toy_project.folder
    state = write_released(folder / 'best.pt', 'resnet101')
    (folder / 'text.pt').write_text('no checkpoint')
    torch.save({'model': {**state, 'more.weight': torch.zeros(1)}}, folder / 'more.pt')
    before = sorted(folder.iterdir())
    for arguments, message in (
        (['gone.pt', 'ours.pth'], 'gone.pt'),
        (
            ['text.pt', 'ours.pth'],
            'text.pt: expected a file of torch.save with nothing but tensors',
        ),
        (['more.pt', 'ours.pth'], 'unknown entries in a ResNet-101 checkpoint: more.weight'),
        (['best.pt', 'best.pt'], 'expected another file to write to, got best.pt'),
        (['best.pt', '.'], 'expected another file to write to, got .'),
        (['best.pt', 'ours.pth', '--config', 'gone.py'], 'config not found: gone.py'),
        (['best.pt', 'ours.pth', '--config', 'toy.py'], 'expected the config of a stage-1 network'),
    ):
        error = mistake_of(TOOL, *arguments)
        assert error.startswith('released_to_mmp2seg.py: error: ') and message in error
        assert '\n' not in error
    assert sorted(folder.iterdir()) == before
