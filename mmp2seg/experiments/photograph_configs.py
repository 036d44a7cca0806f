"""Configs of stage 1 on photographs with true masks: what the data decide is replaced."""

import argparse
import copy
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmengine.config import Config

from mmp2seg.analysis.point_segmentation.truth_images import TruthImages, TruthSource
from mmp2seg.apis.arguments import CommandError
from mmp2seg.apis.pseudo_labels import stage1_model
from mmp2seg.apis.runner import innermost_dataset
from mmp2seg.experiments.phases import Phase
from mmp2seg.experiments.photographs import Photographs, held_out_phase
from mmp2seg.experiments.stage1_configs import load_configs
from mmp2seg.experiments.stage2_configs import config_key


def open_photographs(args: argparse.Namespace, *, tools: Path) -> tuple[Photographs, list[str]]:
    """Return the photographs of a command line, and their classes in the order of the labels.

    Raises:
        CommandError: a json, a folder or the config of the segmenter is missing or malformed.
    """
    pairs = list(zip(args.photographs[::2], args.photographs[1::2]))
    for _, folder in pairs:
        if not Path(folder).is_dir():
            raise CommandError(f'--photographs: {folder}: there is no such folder of images')
    try:
        sources = [TruthSource(Path(truth), Path(images)) for truth, images in pairs]
        classes = TruthImages(sources, long_side=args.long_side, min_area=args.min_area).classes
    except (OSError, ValueError) as error:
        raise CommandError(f'--photographs: {error}') from error
    absolute = tuple(str(Path(text).resolve()) for text in args.photographs)
    content = {
        'sources': absolute,
        'truth': [hashlib.sha256(Path(t).read_bytes()).hexdigest() for t, _ in pairs],
        **{name: getattr(args, name) for name in ('long_side', 'min_area', 'strength')},
    }
    segmenter = None
    if args.segmenter is not None:
        segmenter = args.segmenter.resolve()
        (cfg,) = load_configs([segmenter]).values()
        content['segmenter'] = cfg.to_dict()
    photographs = Photographs(
        sources=absolute,
        maps=args.maps,
        num_classes=len(classes),
        key=config_key(content),
        root=args.work_dir / 'photographs',
        tools=tools,
        device=args.device,
        strength=args.strength,
        segmenter=segmenter,
        long_side=args.long_side,
        min_area=args.min_area,
    )
    return photographs, classes


def open_held_out(args: argparse.Namespace, classes: Sequence[str], *, tools: Path) -> Phase:
    """Return the phase that writes the photographs of ``--test-photographs``.

    Args:
        classes: of the photographs to train on.
        tools: the folder of the tools.

    Raises:
        CommandError: a json or a folder is missing or malformed, or has other classes.
    """
    sources = [
        TruthSource(Path(truth), Path(images))
        for truth, images in zip(args.test_photographs[::2], args.test_photographs[1::2])
    ]
    try:
        images = TruthImages(sources, long_side=args.long_side, min_area=args.min_area)
    except (OSError, ValueError) as error:
        raise CommandError(f'--test-photographs: {error}') from error
    if list(images.classes) != list(classes):
        raise CommandError(
            f'--test-photographs: expected the classes {list(classes)}, got {list(images.classes)}'
        )
    content = {
        'sources': [str(Path(text).resolve()) for text in args.test_photographs],
        'truth': [hashlib.sha256(source.truth.read_bytes()).hexdigest() for source in sources],
        **{name: getattr(args, name) for name in ('long_side', 'min_area')},
    }
    return held_out_phase(
        args.work_dir / 'photographs',
        content['sources'],
        key=config_key(content),
        tools=tools,
        long_side=args.long_side,
        min_area=args.min_area,
    )


def segmentor_on_photographs(cfg: Config, classes: Sequence[str]) -> Config:
    """Return a config of stage 2 with the classes of photographs.

    Every ``num_classes`` of its model becomes their number.

    Args:
        cfg: of a segmentor on a ``CocoDataset``.
        classes: names of the classes, in the order of the labels.
    """
    cfg = copy.deepcopy(cfg)
    for key in ('train_dataloader', 'test_dataloader'):
        dataset = innermost_dataset(cfg[key].dataset)
        dataset['metainfo'] = dict(classes=tuple(classes))
        dataset['data_root'] = ''
    _set_everywhere(cfg.model, 'num_classes', len(classes))
    return cfg


def _set_everywhere(node: object, key: str, value: object) -> None:
    """Set every entry ``key`` in nested dicts and lists."""
    if isinstance(node, dict) and key in node:
        node[key] = value
    for child in node.values() if isinstance(node, dict) else node:
        if isinstance(child, (dict, list, tuple)):
            _set_everywhere(child, key, value)


def on_photographs(
    configs: Mapping[str, Config], classes: Sequence[str], *, data: str
) -> dict[str, Config]:
    """Return the configs with the classes and the places of :mod:`.photographs`' folder.

    The folder itself is set for each run (``train_dataloader.dataset.data_root``), so all seeds
    share a config.

    Args:
        configs: configs of stage 1, by name.
        classes: names of the classes, in the order of the labels.
        data: text that tells these data from others, so that their trainings have other folders.

    Raises:
        CommandError: a config is none of stage 1, or has other training data than a
            ``PointCocoDataset``; names it.
    """
    return {name: _on_photographs(name, cfg, classes, data) for name, cfg in configs.items()}


def _on_photographs(name: str, cfg: Config, classes: Sequence[str], data: str) -> Config:
    cfg = copy.deepcopy(cfg)
    head = stage1_model(cfg).semantic_head
    head.num_classes = len(classes)
    for key in ('train_dataloader', 'test_dataloader'):
        dataset = (cfg.get(key) or {}).get('dataset') or {}
        kind = str(dataset.get('type')).split('.')[-1]
        if kind != 'PointCocoDataset':
            raise CommandError(
                f'--photographs: {name}: expected {key}.dataset to be a PointCocoDataset, as in '
                f'configs/p2seg/efficientnet-lite0_own_data.py, got {kind}'
            )
        dataset.update(
            data_root=data,
            ann_file='points.json',
            data_prefix=dict(img='images', seg_map='WSSS_maps'),
            metainfo=dict(classes=tuple(classes)),
        )
        dataset.pop('point_source', None)
    for key in ('val_cfg', 'val_dataloader', 'val_evaluator'):
        cfg[key] = None
    cfg.test_evaluator = dict(type='mmp2seg.PseudoLabelWriter', outfile='pseudo_labels.json')
    return cfg
