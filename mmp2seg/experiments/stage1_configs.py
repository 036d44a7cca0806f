"""Stage-1 configs over seeds: which trainings they need, and the runs of each training.

Configs that differ only in test settings share a training. Everything of a training is in one
folder, named by a key of the settings it depends on, so a changed config never meets old results::

    <work dir>/configs/<config>-<key>.py               the whole config, to label with
    <work dir>/runs/<config>-<key>/<config>-<key>.py   its part that affects the training
    <work dir>/runs/<config>-<key>/seed<seed>/train    and logs; per config labels and evaluation
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mmengine.config import Config, ConfigDict

from mmp2seg.apis.arguments import CommandError
from mmp2seg.experiments.phases import file_name
from mmp2seg.experiments.stage1_run import Stage1Run, Variant
from mmp2seg.experiments.stage2_configs import (
    SHAPES_LAYOUT,
    DataLayout,
    config_key,
    segmentor_name,
    write_segmentor_config,
)
from mmp2seg.files.atomic_write import write_text
from mmp2seg.files.config_reading import read_config

# Settings that mmengine's Runner, or ours, reads to train.
TRAINING_KEYS = (
    'auto_scale_lr',
    'custom_hooks',
    'custom_imports',
    'data_preprocessor',
    'default_hooks',
    'default_scope',
    'env_cfg',
    'find_unused_parameters',
    'load_from',
    'log_level',
    'log_processor',
    'model',
    'model_wrapper_cfg',
    'optim_wrapper',
    'param_scheduler',
    'randomness',
    'runner_type',
    'sync_bn',
    'train_cfg',
    'train_dataloader',
    'visualizer',
)
_METRIC = 'PseudoMaskMetric'


def load_configs(paths: Sequence[Path], *, cfg_options: Mapping | None = None) -> dict[str, Config]:
    """Load configs by the stem of their file, in order; a repeated path counts once.

    Raises:
        CommandError: a file is missing, or two have the same name.
        ValueError: a config cannot be read, or an option does not fit.
    """
    configs, sources = {}, {}
    for path in paths:
        if not path.is_file():
            raise CommandError(f'config not found: {path}')
        source = path.resolve()
        if sources.setdefault(path.stem, source) != source:
            raise CommandError(f'two configs named {path.stem}: {sources[path.stem]}, {source}')
        configs[path.stem] = read_config(path, options=cfg_options)
    return configs


def training_part(cfg: Config) -> dict:
    """Return the settings that a training depends on, which excludes ``model.test_cfg``."""
    part = {key: cfg[key] for key in TRAINING_KEYS if cfg.get(key) is not None}
    part = Config(part).to_dict()
    part.get('model', {}).pop('test_cfg', None)
    return part


def truth_of(cfg: Config) -> Path | None:
    """Return the json of true instances that the ``test_evaluator`` names, None without one."""
    metric = _mask_metric(cfg)
    return Path(metric.ann_file) if metric else None


def match_of(cfg: Config) -> str | None:
    """Return how objects and instances are matched, None for the rule of ``eval_pseudo_labels.py``.

    The config's ``PseudoMaskMetric`` decides, otherwise the test data: points of a COCO json have
    the ids of the objects, and drifted points of the VOC layout have their order.
    """
    metric = _mask_metric(cfg)
    if metric and metric.get('match'):
        return metric.match
    dataset = (cfg.get('test_dataloader') or {}).get('dataset') or {}
    if str(dataset.get('type')).endswith('PointCocoDataset'):
        return 'point_id'
    names = [step['type'].split('.')[-1] for step in dataset.get('pipeline', ())]
    return 'order' if 'DriftPoints' in names else None


def _mask_metric(cfg: Config) -> ConfigDict | None:
    metrics = cfg.get('test_evaluator') or []
    metrics = metrics if isinstance(metrics, (list, tuple)) else [metrics]
    return next((metric for metric in metrics if metric.type.split('.')[-1] == _METRIC), None)


def require_classes(configs: Mapping[str, Config], classes: Sequence[str]) -> None:
    """Check that the training data of every config has these classes.

    Raises:
        CommandError: names a config with other classes.
    """
    for name, cfg in configs.items():
        metainfo = cfg.train_dataloader.dataset.get('metainfo') or {}
        if tuple(metainfo.get('classes', ())) != tuple(classes):
            raise CommandError(f'--shapes: {name} is not a config for Shapes')


def make_runs(
    configs: Mapping[str, Config],
    seeds: Sequence[int],
    *,
    work_dir: Path,
    tools: Path,
    device: str = 'auto',
    data_of_seed: Mapping[int, Path] | None = None,
    test_data_of_seed: Mapping[int, Path] | None = None,
    truth: Path | None = None,
    refine: tuple[str, Config] | None = None,
    layout: DataLayout = SHAPES_LAYOUT,
) -> list[Stage1Run]:
    """Return the runs of all configs and seeds, seed by seed, and write the configs they use.

    Args:
        data_of_seed: folder of the Shapes dataset of each seed; None = the configs' own data.
        test_data_of_seed: the same for the held-out images that stage 2 is tested on.
        truth: json of true instances to compare with; None = the truth of Shapes or of the config.
        refine: name and config of a segmentor to train on every label file.
        layout: of the folders of the datasets.
    """
    trainings: dict[str, tuple[dict, list[Variant]]] = {}
    for name, cfg in configs.items():
        part = training_part(cfg)
        path = work_dir / 'configs' / f'{file_name(name)}-{config_key(cfg.to_dict())}.py'
        write_text(path, cfg.pretty_text)
        variant = Variant(name, path, truth or truth_of(cfg), match_of(cfg))
        trainings.setdefault(config_key(part), (part, []))[1].append(variant)
    runs = []
    for seed in seeds:
        test_data = None if test_data_of_seed is None else test_data_of_seed[seed]
        for key, (part, variants) in trainings.items():
            folder = _training_folder(work_dir / 'runs', variants[0].file_name, key)
            config = folder / f'{folder.name}.py'
            write_text(config, Config(part).pretty_text)
            run = Stage1Run(
                config=config,
                variants=tuple(variants),
                folder=folder / f'seed{seed}',
                seed=seed,
                tools=tools,
                device=device,
                data=None if data_of_seed is None else data_of_seed[seed],
                refine=refine and segmentor_name(*refine, test_data),
            )
            if refine is not None:
                for variant in variants:
                    write_segmentor_config(
                        run.stage2_run(variant),
                        refine[1],
                        labels=run.labels(variant),
                        train_data=run.data,
                        test_data=test_data,
                        layout=layout,
                    )
            runs.append(run)
    return runs


def _training_folder(parent: Path, name: str, key: str) -> Path:
    """Return the folder of a training, which may carry the name of another config with its key."""
    return next(iter(sorted(parent.glob(f'*-{key}'))), parent / f'{name}-{key}')
