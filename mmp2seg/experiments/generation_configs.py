"""The configs of self-training: each generation trains on the semantic maps of the one before.

The file names hold a key of the content, so a changed config is another command and its phase runs
again::

    <work dir>/configs/generation<g>-train-<key>.py    the part that affects the training
    <work dir>/configs/generation<g>-data<d>-<key>.py  the whole config, on one training dataset
    <work dir>/generation<g>/{train,maps,labels,evaluation}
"""

import copy
import os
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config, ConfigDict

from mmp2seg.apis.arguments import CommandError
from mmp2seg.apis.data_files import innermost_datasets
from mmp2seg.apis.pseudo_labels import label_dataset, stage1_model
from mmp2seg.experiments.generation_run import GenerationDataset, GenerationRun
from mmp2seg.experiments.stage1_configs import match_of, training_part, truth_of
from mmp2seg.experiments.stage2_configs import config_key
from mmp2seg.files.atomic_write import write_text

_SUFFIX = '.png'  # of the maps that SemanticMapWriter writes


def make_generations(
    cfg: Config,
    number: int,
    *,
    work_dir: Path,
    tools: Path,
    seed: int,
    min_confidence: float = 0.6,
    device: str = 'auto',
    processes: int = 1,
    truth: Path | None = None,
) -> list[GenerationRun]:
    """Return the runs of all generations and write the configs they use.

    Args:
        cfg: config of stage 1; it is not changed.
        number: number of generations.
        work_dir: absolute path of the folder of all output.
        min_confidence: see :class:`mmp2seg.evaluation.metrics.SemanticMapWriter`.
        device, processes, seed, tools: see :class:`GenerationRun`.
        truth: json of the true instances of the training images; None = the file of the config's
            ``PseudoMaskMetric`` if it exists. Labels of several datasets are not evaluated.

    Raises:
        CommandError: the config is not one of stage 1 with training data that has weak maps, or
            there is a ``truth`` and several datasets.
    """
    stage1_model(cfg)
    num_datasets = len(_training_datasets(cfg))
    truth = _usable_truth(cfg, truth, num_datasets)
    runs: list[GenerationRun] = []
    for generation in range(1, number + 1):
        folder = work_dir / f'generation{generation}'
        weak_maps = [dataset.maps for dataset in runs[-1].datasets] if runs else None
        of_generation = cfg if weak_maps is None else with_weak_maps(cfg, weak_maps)
        stem = work_dir / 'configs' / folder.name
        datasets = []
        for index in range(num_datasets):
            place = Path(str(index)) if num_datasets > 1 else Path()
            maps = folder / 'maps' / place
            content = dataset_config(of_generation, index, maps=maps, min_confidence=min_confidence)
            datasets.append(
                GenerationDataset(
                    config=_write(content, f'{stem}-data{index}'),
                    weak_maps=None if weak_maps is None else weak_maps[index],
                    maps=maps,
                    labels=folder / 'labels' / place / 'pseudo_labels.json',
                )
            )
        runs.append(
            GenerationRun(
                number=generation,
                folder=folder,
                config=_write(Config(training_part(of_generation)), f'{stem}-train'),
                datasets=tuple(datasets),
                seed=seed,
                tools=tools,
                device=device,
                processes=processes,
                truth=truth,
                match=match_of(cfg),
            )
        )
    return runs


def with_weak_maps(cfg: Config, folders: Sequence[Path]) -> Config:
    """Return a copy of a config that reads other weak maps.

    The maps replace those of the training datasets, and of each test dataset with the images of
    one of them. Other test datasets keep their maps: there are no new ones for their images.

    Args:
        folders: folder of the maps of each training dataset, in the order of the config.
    """
    cfg = copy.deepcopy(cfg)
    folder_of = {}
    for dataset, folder in zip(_training_datasets(cfg), folders, strict=True):
        folder_of[_images_of(dataset)] = folder
        _set_maps(dataset, folder)
    loader = cfg.get('test_dataloader')
    for dataset in innermost_datasets(loader.dataset) if loader is not None else ():
        folder = folder_of.get(_images_of(dataset))
        if folder is not None:
            _set_maps(dataset, folder)
    return cfg


def dataset_config(cfg: Config, index: int, *, maps: Path, min_confidence: float) -> Config:
    """Return a copy of a config whose test writes the maps of one of its training datasets.

    The training data of the copy is this dataset alone, without wrappers.

    Args:
        index: which of the training datasets.
        maps: the folder to write.
        min_confidence: see :class:`mmp2seg.evaluation.metrics.SemanticMapWriter`.

    Raises:
        CommandError: the config has no data loader for the test.
    """
    cfg = copy.deepcopy(cfg)
    cfg.train_dataloader.dataset = _training_datasets(cfg)[index]
    if cfg.get('test_dataloader') is not None:  # its pipeline is that of the first dataset
        cfg.test_dataloader.dataset = innermost_datasets(cfg.test_dataloader.dataset)[0]
    cfg.test_dataloader.dataset = label_dataset(cfg, 'train')
    cfg.test_evaluator = dict(
        type='mmp2seg.SemanticMapWriter', folder=str(maps), min_confidence=min_confidence
    )
    if cfg.get('test_cfg') is None:
        cfg.test_cfg = dict(type='TestLoop')
    model = stage1_model(cfg)
    model.test_cfg = {**(model.get('test_cfg') or {}), 'return_maps': True}
    return cfg


def _training_datasets(cfg: Config) -> list[ConfigDict]:
    """Return the configs of the training datasets, inside all wrappers.

    Raises:
        CommandError: there are none, or one has no weak maps.
    """
    loader = cfg.get('train_dataloader')
    if loader is None:
        raise CommandError(f'{cfg.filename}: the config has no train_dataloader')
    datasets = innermost_datasets(loader.dataset)
    for dataset in datasets:
        if not (dataset.get('data_prefix') or {}).get('seg_map'):
            raise CommandError(
                f'{cfg.filename}: expected a folder of weak maps, data_prefix.seg_map, in the '
                f'training data, got a {dataset.get("type")} without'
            )
    return datasets


def _usable_truth(cfg: Config, truth: Path | None, num_datasets: int) -> Path | None:
    """Return the truth to compare the labels with, None if there is none."""
    if num_datasets > 1:
        if truth is not None:
            raise CommandError(
                f'--truth: expected one training dataset, got {num_datasets}, each with labels of '
                'its own: tools/analysis_tools/eval_pseudo_labels.py'
            )
        return None
    if truth is not None:
        return truth
    truth = truth_of(cfg)
    return truth if truth is not None and truth.is_file() else None


def _images_of(dataset: ConfigDict) -> tuple[str, str]:
    """Return the paths of a dataset's annotations and images, which identify its images."""
    prefix = dataset.get('data_prefix') or {}
    parts = dataset.get('ann_file') or '', prefix.get('img') or ''
    ann_file, images = (os.path.join(dataset.get('data_root') or '', part) for part in parts)
    return os.path.normpath(ann_file), os.path.normpath(images)


def _set_maps(dataset: ConfigDict, folder: Path) -> None:
    # a new dict: datasets of a config may share theirs
    dataset.data_prefix = {**dataset.data_prefix, 'seg_map': str(folder)}
    if 'seg_map_suffix' in dataset:
        dataset.seg_map_suffix = _SUFFIX


def _write(cfg: Config, stem: str) -> Path:
    path = Path(f'{stem}-{config_key(cfg.to_dict())}.py')
    write_text(path, cfg.pretty_text)
    return path
