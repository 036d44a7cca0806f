"""Build an mmengine Runner from command-line values; shared by the tools."""

import argparse
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.registry import RUNNERS
from mmengine.runner import Runner, find_latest_checkpoint

from mmp2seg.apis.arguments import CommandError
from mmp2seg.apis.device import adapt_config_to_cpu, init_cpu_process_group
from mmp2seg.files.folder_lock import FolderInUse
from mmp2seg.files.safe_checkpoints import UnsafeCheckpointError, require_weights
from mmp2seg.files.weights_only import is_weights_only
from mmp2seg.models.pretrained import WrongCheckpointError

# Samplers of mmengine by the name of the class, and their seeded versions.
_SEEDED_SAMPLERS = {
    'InfiniteSampler': 'mmp2seg.SeededInfiniteSampler',
    'DefaultSampler': 'mmp2seg.SeededSampler',
}


def load_config(
    path: str,
    *,
    cfg_options: dict | None = None,
    work_dir: str | None = None,
    launcher: str = 'none',
) -> Config:
    """Read a config file and apply command-line options.

    The work dir is the first that is set of ``work_dir``, the config's own and ``work_dirs/<config
    name>``.

    Raises:
        CommandError: there is no file at ``path``.
    """
    if not Path(path).is_file():
        raise CommandError(f'config not found: {path}')
    cfg = Config.fromfile(path)
    cfg.launcher = launcher
    if cfg_options:
        cfg.merge_from_dict(cfg_options)
    if work_dir is not None:
        cfg.work_dir = work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(path).stem)
    return cfg


def require_checkpoint(path: str) -> str:
    """Return ``path`` if it is a file or a URL that mmengine can load (``scheme:...``).

    Raises:
        CommandError: it is neither, or the file holds more than weights and torch is to load
            nothing else.
    """
    is_address = ':' in path and not Path(path).drive
    if not is_address and not Path(path).is_file():
        raise CommandError(f'checkpoint not found: {path}')
    if not is_address and is_weights_only():
        try:
            require_weights(path)
        except UnsafeCheckpointError as error:
            raise CommandError(str(error)) from error
    return path


def load_test_config(args: argparse.Namespace) -> Config:
    """Load the config of a command that tests a checkpoint, with the options of its command line.

    Args:
        args: of :func:`mmp2seg.apis.arguments.command_parser`, with ``checkpoint`` and ``tta``.

    Raises:
        CommandError: if config or checkpoint is missing, or ``--tta`` is not possible.
    """
    cfg = load_config(
        args.config, cfg_options=args.cfg_options, work_dir=args.work_dir, launcher=args.launcher
    )
    cfg.load_from = require_checkpoint(args.checkpoint)
    cfg.resume = False
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), dict(type='mmp2seg.CheckedWeightsHook')]
    if args.tta:
        enable_tta(cfg)
    return cfg


def enable_amp(cfg: Config) -> None:
    """Switch on mixed precision with a dynamic loss scale, unless the config already has it."""
    wrapper = cfg.get('optim_wrapper')
    if wrapper is None:
        raise CommandError('--amp: the config has no optim_wrapper')
    if wrapper.get('type', 'OptimWrapper') not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise CommandError(f'--amp: not possible with the optim_wrapper type {wrapper.type!r}')
    wrapper.type = 'AmpOptimWrapper'
    wrapper.setdefault('loss_scale', 'dynamic')


def enable_auto_scale_lr(cfg: Config) -> None:
    """Scale the learning rate by (total batch size) / ``auto_scale_lr.base_batch_size``."""
    if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
        raise CommandError('--auto-scale-lr: the config has no auto_scale_lr.base_batch_size')
    cfg.auto_scale_lr.enable = True


def set_resume(cfg: Config, resume: str) -> None:
    """Resume from the checkpoint ``resume``, or for 'auto' from the latest one in the work dir.

    If the work dir has no checkpoint, 'auto' starts from the beginning and keeps the config's
    ``load_from``.
    """
    if resume != 'auto':
        cfg.load_from = require_checkpoint(resume)
        cfg.resume = True
    elif Path(cfg.work_dir, 'last_checkpoint').is_file():
        cfg.load_from = require_checkpoint(find_latest_checkpoint(cfg.work_dir))
        cfg.resume = True


def dump_predictions(cfg: Config, path: str) -> None:
    """Also write the predictions of the test to the pickle ``path``, with masks as RLE."""
    if not path.endswith(('.pkl', '.pickle')):
        raise CommandError(f'--out: expected a .pkl or .pickle file, got {path}')
    evaluator = cfg.get('test_evaluator')
    if evaluator is None:
        raise CommandError('--out: the config has no test_evaluator')
    metrics = list(evaluator) if isinstance(evaluator, (list, tuple)) else [evaluator]
    cfg.test_evaluator = [*metrics, dict(type='mmdet.DumpDetResults', out_file_path=path)]


def draw_predictions(
    cfg: Config, *, show: bool = False, show_dir: str | None = None, wait_time: float = 2.0
) -> None:
    """Show the pictures of the config's visualization hook and write them to a folder.

    Args:
        show: show each picture for ``wait_time`` seconds.
        show_dir: path relative to the folder of this run in the work dir.
    """
    hook = cfg.get('default_hooks', {}).get('visualization')
    if hook is None:
        raise CommandError('--show, --show-dir: the config has no default_hooks.visualization')
    hook.draw = True
    if show:
        hook.show, hook.wait_time = True, wait_time
    if show_dir is not None:
        hook.test_out_dir = show_dir


def innermost_dataset(dataset: ConfigDict) -> ConfigDict:
    """Return the config of the dataset inside wrappers such as RepeatDataset."""
    while 'dataset' in dataset:
        dataset = dataset.dataset
    return dataset


def innermost_datasets(dataset: ConfigDict) -> list[ConfigDict]:
    """Return the configs of all datasets inside wrappers such as RepeatDataset and ConcatDataset.

    They are in the order of the config.
    """
    dataset = innermost_dataset(dataset)
    if 'datasets' not in dataset:
        return [dataset]
    return [inner for part in dataset.datasets for inner in innermost_datasets(part)]


def enable_tta(cfg: Config) -> None:
    """Make the test of ``cfg`` use test-time augmentation: its ``tta_model`` and ``tta_pipeline``.

    Call it before changing the test data. The other settings of the model remain in effect.

    Raises:
        CommandError: the config has no ``tta_model`` or no ``tta_pipeline``.
    """
    for key in ('tta_model', 'tta_pipeline'):
        if cfg.get(key) is None:
            raise CommandError(f'--tta: the config has no {key}')
    if cfg.get('test_dataloader') is None:
        raise CommandError('--tta: the config has no test_dataloader')
    innermost_dataset(cfg.test_dataloader.dataset).pipeline = cfg.tta_pipeline
    cfg.model = ConfigDict({**cfg.tta_model, 'module': cfg.model})


def run_test(cfg: Config) -> dict:
    """Build the Runner of ``cfg`` and test; see :func:`load_test_config`.

    Returns:
        dict: the metrics.

    Raises:
        CommandError: the checkpoint is of another network or of other classes, or another command
            writes the same file.
    """
    try:
        return build_runner(cfg).test()
    except (WrongCheckpointError, FolderInUse) as error:
        raise CommandError(str(error)) from error


def make_reproducible(cfg: Config) -> None:
    """Let the randomness of a training depend on its seed and the iteration alone.

    A resumed training then equals one that was not interrupted, whatever the number of workers. The
    train dataloader's sampler, mmengine's infinite or default one, gets its seeded version
    (:mod:`mmp2seg.datasets.samplers`), the pipelines of its datasets start with ``SeedSample``, and
    the network is seeded by ``IterationSeedHook``. Other samplers stay as they are.
    """
    loader = cfg.get('train_dataloader')
    seeded = _SEEDED_SAMPLERS.get(_type_name(loader.get('sampler'))) if loader else None
    if seeded is None:
        return
    loader.sampler.type = seeded
    for dataset in innermost_datasets(loader.dataset):
        if dataset.get('pipeline'):
            dataset.pipeline = [dict(type='mmp2seg.SeedSample'), *dataset.pipeline]
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), dict(type='mmp2seg.IterationSeedHook')]


def _type_name(part: object) -> str | None:
    """Return the name of the class of a part's config, without the scope."""
    kind = part.get('type') if isinstance(part, dict) else None
    return kind.rpartition('.')[2] if isinstance(kind, str) else getattr(kind, '__name__', None)


def init_workers(cfg: Config) -> None:
    """Let the worker processes of the data loaders die with this process.

    A loader with its own ``worker_init_fn``, or an option of mmengine's, keeps it.
    """
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg.get(key)
        if not isinstance(loader, dict) or loader.get('num_workers', 0) == 0:
            continue
        if 'disable_subprocess_warning' not in loader:  # which mmengine's own function takes
            loader.setdefault('worker_init_fn', dict(type='mmp2seg.init_worker'))


def build_runner(cfg: Config) -> Runner:
    """Build the Runner of ``cfg``, which is adapted in place.

    Without an accelerator, it is adapted to the CPU. See also :func:`make_reproducible` and
    :func:`init_workers`. The class is mmengine's Runner or the config's ``runner_type``.
    """
    notes = []
    make_reproducible(cfg)
    init_workers(cfg)
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), dict(type='mmp2seg.CheckedResumeHook')]
    if isinstance(cfg.get('load_from'), str):
        require_checkpoint(cfg.load_from)
    if get_device() == 'cpu':
        notes = adapt_config_to_cpu(cfg)
        if cfg.get('launcher', 'none') != 'none':
            init_cpu_process_group(cfg)
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    for note in notes:
        runner.logger.info(note)
    return runner
