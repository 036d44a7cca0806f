"""Build an mmengine Runner from command-line values; shared by the tools."""

import argparse
import logging
import re
import sys
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.logging import MMLogger
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmp2seg.apis.arguments import CommandError
from mmp2seg.apis.config_classes import check_class_lists, check_label_files
from mmp2seg.apis.data_files import check_data_files, innermost_dataset, innermost_datasets
from mmp2seg.apis.device import adapt_config_to_cpu, init_cpu_process_group
from mmp2seg.files.config_reading import read_config
from mmp2seg.files.folder_lock import FolderInUse
from mmp2seg.files.folders import require_writable
from mmp2seg.files.safe_checkpoints import UnsafeCheckpointError, require_weights
from mmp2seg.files.weights_only import is_weights_only
from mmp2seg.models.pretrained import PretrainedWeightsError, WrongCheckpointError

# The names of mmcv's transform in the scopes of mmengine, mmcv, mmdet and mmseg.
_IMAGE_LOADERS = (
    'LoadImageFromFile',
    'mmcv.LoadImageFromFile',
    'mmdet.LoadImageFromFile',
    'mmseg.LoadImageFromFile',
)
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
    name>``. See also :func:`load_images_by_name`.

    Raises:
        CommandError: there is no file at ``path``, or the classes of a dataset are no list.
        ValueError: the config cannot be read, or an option does not fit; the message names the file
            and the line, or the option.
    """
    if not Path(path).is_file():
        raise CommandError(f'config not found: {path}')
    cfg = read_config(path, options=cfg_options)
    cfg.launcher = launcher
    load_images_by_name(list(cfg.values()))
    check_class_lists(cfg)
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


def set_resume(cfg: Config, resume: str) -> str | None:
    """Resume from the checkpoint ``resume``, or for 'auto' from the latest one in the work dir.

    If the work dir has no checkpoint, 'auto' starts from the beginning and keeps the config's
    ``load_from``.

    Returns:
        str: a note that the training starts from the beginning, None if it resumes.

    Raises:
        CommandError: there is no such checkpoint, or it holds more than weights.
    """
    path = resume if resume != 'auto' else latest_checkpoint(cfg.work_dir)
    if path is None:
        return f'--resume: no checkpoint in {cfg.work_dir}: the training starts anew'
    cfg.load_from = require_checkpoint(path)
    cfg.resume = True
    return None


def latest_checkpoint(work_dir: str) -> str | None:
    """Return the latest checkpoint of a work dir that is complete, None if there is none.

    It is the one that the file ``last_checkpoint`` names, in the work dir, which may have moved, or
    else at its own place. If the file is missing or names none that is complete, it is the one in
    the work dir with the highest number.

    Raises:
        CommandError: ``last_checkpoint`` names a checkpoint, and there is none.
    """
    named = Path(work_dir, 'last_checkpoint')
    text = named.read_text(encoding='utf-8', errors='replace').strip() if named.is_file() else ''
    places = [Path(work_dir, Path(text).name), Path(text)] if text else []
    numbered = {
        int(found[1]): path
        for path in Path(work_dir).glob('*.pth')
        if (found := re.fullmatch(r'(?:iter|epoch)_(\d+)\.pth', path.name))
    }
    places += [path for _, path in sorted(numbered.items(), reverse=True)]
    for path in places:
        if zipfile.is_zipfile(path):  # its directory is at the end, so that it is complete
            return str(path)
    if text:
        raise CommandError(f'{named}: checkpoint not found, or incomplete: {text}')
    return None


def dump_predictions(cfg: Config, path: str) -> None:
    """Also write the predictions of the test to the pickle ``path``, with masks as RLE."""
    if not path.endswith(('.pkl', '.pickle')):
        raise CommandError(f'--out: expected a .pkl or .pickle file, got {path}')
    require_writable(Path(path).parent)
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
        FileNotFoundError, ValueError: see :func:`mmp2seg.apis.data_files.check_data_files`.
        OSError: the work dir cannot be written to.
    """
    require_writable(cfg.work_dir)
    check_data_files(cfg, ('test',))
    with _traceback_in_log():
        try:
            return build_runner(cfg).test()
        except (WrongCheckpointError, FolderInUse) as error:
            raise CommandError(str(error)) from error


def load_images_by_name(settings: object) -> None:
    """Replace mmcv's ``LoadImageFromFile`` by ours, whose errors name the file, in place.

    Args:
        settings: a config or a part of it. The steps of a pipeline are changed wherever they are,
            such as in a step that chooses other steps.
    """
    if isinstance(settings, dict):
        if settings.get('type') in _IMAGE_LOADERS:
            settings['type'] = 'mmp2seg.LoadImageFromFile'
        settings = list(settings.values())
    if isinstance(settings, list | tuple):
        for part in settings:
            load_images_by_name(part)


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


def run_training(cfg: Config, *, notes: Sequence[str] = ()) -> None:
    """Build the Runner of ``cfg`` and train.

    Args:
        cfg: adapted in place; see :func:`build_runner`.
        notes: lines for the log.

    Raises:
        CommandError: weights to start from are missing or do not fit.
        FileNotFoundError, ValueError: see :func:`mmp2seg.apis.data_files.check_data_files`.
        OSError: the work dir cannot be written to.
    """
    require_writable(cfg.work_dir)
    check_data_files(cfg, ('train', 'val'))
    with _traceback_in_log():
        try:
            runner = build_runner(cfg)
            for note in notes:
                runner.logger.info(note)
            runner.train()
        except (PretrainedWeightsError, WrongCheckpointError) as error:
            raise CommandError(str(error)) from error


@contextmanager
def _traceback_in_log() -> Iterator[None]:
    """Write the traceback of an error to the log file, which the error gets as ``log_file``.

    The console does not get it: see :func:`mmp2seg.apis.arguments.run_command`.
    """
    try:
        yield
    except Exception as error:
        logger = MMLogger.get_current_instance()
        record = logger.makeRecord(
            logger.name, logging.ERROR, __file__, 0, 'failed:', (), sys.exc_info()
        )
        for handler in logger.handlers:
            if isinstance(handler, logging.FileHandler):
                handler.handle(record)
                error.log_file = handler.baseFilename
        raise


def set_atomic_checkpoints(cfg: Config) -> None:
    """Replace mmengine's ``CheckpointHook`` by one that loses no checkpoint when interrupted."""
    hooks = cfg.get('default_hooks') or ConfigDict()
    checkpoint = hooks.setdefault('checkpoint', ConfigDict(type='CheckpointHook'))  # mmengine's
    for hook in [checkpoint, *(cfg.get('custom_hooks') or [])]:
        if isinstance(hook, dict) and _type_name(hook) == 'CheckpointHook':
            hook['type'] = 'mmp2seg.AtomicCheckpointHook'
    cfg.default_hooks = hooks


def build_runner(cfg: Config) -> Runner:
    """Build the Runner of ``cfg``, which is adapted in place, after :func:`check_label_files`.

    Without an accelerator, it is adapted to the CPU. See also :func:`make_reproducible`,
    :func:`init_workers` and :func:`set_atomic_checkpoints`. The class is mmengine's Runner or the
    config's ``runner_type``.
    """
    notes = []
    check_label_files(cfg)
    set_atomic_checkpoints(cfg)
    make_reproducible(cfg)
    init_workers(cfg)
    checks = ('mmp2seg.CheckedResumeHook', 'mmp2seg.CheckedStartHook')
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), *(dict(type=kind) for kind in checks)]
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
