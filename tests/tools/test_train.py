import re
import subprocess
from pathlib import Path

import pytest
import torch

from mmp2seg.experiments.commands import cfg_options, children_environment, tool_command

ROOT = Path(__file__).resolve().parents[2]
SMALL = ('--size', '48', '--num-train', '6', '--num-val', '1')


def load(path):
    return torch.load(path, map_location='cpu', weights_only=False)


def run_checked(tool, *arguments):
    command = tool_command(ROOT / 'tools', tool, *arguments)
    process = subprocess.run(
        command, env=children_environment(ROOT), capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr


def test_train_then_resume_goes_on_where_it_stopped(toy_project):
    first = toy_project.tool('train.py', toy_project.config)
    assert first.returncode == 0, first.stderr
    log = first.stdout + first.stderr
    assert 'SyncBN needs CUDA: replaced by BN (1 in the config)' in log
    assert (toy_project.work_dir / 'iter_3.pth').is_file()
    assert (toy_project.work_dir / 'toy.py').is_file()

    longer = ('--cfg-options', 'train_cfg.max_iters=5')
    second = toy_project.tool('train.py', toy_project.config, '--resume', *longer)
    assert second.returncode == 0, second.stderr
    checkpoint = load(toy_project.work_dir / 'iter_5.pth')
    assert checkpoint['meta']['iter'] == 5
    assert 'loss_scaler' not in checkpoint['optimizer']
    iterations = re.findall(r'Iter\(train\) \[(\d+)/5\]', second.stdout + second.stderr)
    assert [int(i) for i in iterations] == [4, 5]


def test_amp_and_auto_scale_lr_on_cpu(toy_project):
    options = ('--amp', '--auto-scale-lr', '--device', 'cpu')
    process = toy_project.tool('train.py', toy_project.config, *options)
    assert process.returncode == 0, process.stderr
    log = process.stdout + process.stderr
    assert 'bfloat16 autocast' in log
    # half the rate: the batch size is 2, the config's rate is for 4
    assert re.search(r'lr: 5\.0+e-02', log)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['gone.py'], 'config not found: gone.py'),
        (['toy.py', '--resume', 'gone.pth'], 'checkpoint not found: gone.pth'),
        (['toy.py', '--device', 'cuda'], '--device cuda: no CUDA device was found'),
    ],
)
def test_mistakes_end_with_one_line(mistake_of, arguments, message):
    assert mistake_of('train.py', *arguments) == f'train.py: error: {message}'


def test_a_mistake_leaves_no_traceback(toy_project):
    process = toy_project.tool('train.py', 'gone.py')
    assert process.returncode == 1
    assert process.stderr == 'train.py: error: config not found: gone.py\n'


def test_missing_weights_end_with_one_line(mistake_of, toy_project):
    """The config is fine until the weights of its backbone are read."""
    toy_project.folder.joinpath('net_module.py').write_text(
        'from mmengine.registry import MODELS\n'
        'from toy_module import ToyModel\n\n\n'
        '@MODELS.register_module()\n'
        'class ToyNet(ToyModel):\n'
        '    def __init__(self, backbone):\n'
        "        super().__init__(dict(type='BN'))\n"
        '        self.backbone = MODELS.build(backbone)\n'
    )
    toy_project.folder.joinpath('net.py').write_text(
        "_base_ = 'toy.py'\n"
        "custom_imports = dict(imports=['net_module'], allow_failed_imports=False)\n"
        "weights = dict(type='Pretrained', checkpoint='package://weights_of_nobody')\n"
        "backbone = dict(type='mmp2seg.EfficientNetLite', init_cfg=weights)\n"
        "model = dict(_delete_=True, type='ToyNet', backbone=backbone)\n"
    )
    assert mistake_of('train.py', 'net.py') == (
        'train.py: error: model.backbone.init_cfg: the package weights_of_nobody with the '
        'pretrained weights is not installed: pip install weights_of_nobody; or start from random '
        'weights with model.backbone.init_cfg=None'
    )


def test_two_processes_on_cpu(toy_project):
    process = toy_project.tool('dist_train.sh', toy_project.config, 2)
    assert process.returncode == 0, process.stderr
    log = process.stdout + process.stderr
    assert 'Distributed training: True' in log
    assert 'GPU number: 2' in log
    assert 'the processes communicate over gloo' in log
    assert load(toy_project.work_dir / 'iter_3.pth')['meta']['iter'] == 3


def test_a_resumed_training_equals_one_without_a_break(tmp_path):
    """Stage 1 with random augmentation and mutual distillation; the workers differ too."""
    shapes = tmp_path / 'shapes'
    run_checked('dataset_converters/make_shapes.py', shapes, *SMALL)
    settings = {
        'train_dataloader.dataset.data_root': shapes,
        'train_dataloader.batch_size': 2,
        'train_dataloader.persistent_workers': False,
        'train_cfg.max_iters': 4,
        'default_hooks.checkpoint.interval': 2,
        'model.distiller.propagate_begin': 1,
        'model.distiller.semantic_begin': 1,
    }

    def train(name, workers, *options):
        run_checked(
            'train.py',
            ROOT / 'configs' / 'p2seg' / 'tiny_shapes.py',
            *('--work-dir', tmp_path / name, '--device', 'cpu', *options),
            *cfg_options({**settings, 'train_dataloader.num_workers': workers}),
        )
        return load(tmp_path / name / 'iter_4.pth')

    whole = train('whole', 0)
    resumed = train('resumed', 1, '--resume', tmp_path / 'whole' / 'iter_2.pth')
    for key in ('state_dict', 'optimizer'):
        torch.testing.assert_close(whole[key], resumed[key], rtol=0, atol=0)
    start = load(tmp_path / 'whole' / 'iter_2.pth')['state_dict']
    assert any(not torch.equal(start[key], value) for key, value in whole['state_dict'].items())
