from pathlib import Path

import pytest
from mmengine.config import Config

from mmp2seg.apis.arguments import CommandError
from mmp2seg.experiments.stage2_configs import PHOTOGRAPHS_LAYOUT, refinement_config

REFINE = Path(__file__).resolve().parents[2] / 'configs' / 'refine'
LABELS = Path('/runs/labels.json')


def test_voc_trains_on_the_labels_and_tests_as_it_says():
    cfg = Config.fromfile(REFINE / 'mask-rcnn_r50_fpn_voc.py')
    refined = refinement_config(cfg, labels=LABELS)
    assert refined.train_dataloader.dataset.dataset.ann_file == str(LABELS)
    assert refined.val_cfg is refined.val_dataloader is refined.val_evaluator is None
    for key in ('test_dataloader', 'test_evaluator', 'model', 'train_cfg', 'optim_wrapper'):
        assert refined[key] == cfg[key]
    images = cfg.train_dataloader.dataset.dataset.data_prefix
    assert refined.train_dataloader.dataset.dataset.data_prefix == images
    assert cfg.train_dataloader.dataset.dataset.ann_file != str(LABELS)  # it changed a copy


def test_shapes_take_the_place_of_the_configs_data():
    cfg = Config.fromfile(REFINE / 'mask-rcnn_tiny_shapes.py')
    refined = refinement_config(
        cfg, labels=LABELS, train_data=Path('/data/train'), test_data=Path('/data/val')
    )
    assert refined.train_dataloader.dataset.data_prefix.img == '/data/train/JPEGImages/'
    truth = '/data/val/annotations/instances_val.json'
    assert refined.test_dataloader.dataset.ann_file == truth
    assert refined.test_dataloader.dataset.data_prefix.img == '/data/val/JPEGImages/'
    assert refined.test_evaluator.ann_file == truth
    several = refinement_config(
        Config({**cfg.to_dict(), 'test_evaluator': [cfg.test_evaluator] * 2}),
        labels=LABELS,
        test_data=Path('/data/val'),
    )
    assert [metric.ann_file for metric in several.test_evaluator] == [truth] * 2


def test_a_refiner_reads_the_weak_maps_of_shapes():
    cfg = Config.fromfile(REFINE / 'refiner_mask-rcnn_tiny_shapes_semantic.py')
    refined = refinement_config(cfg, labels=LABELS, train_data=Path('/data/train'))
    assert refined.train_dataloader.dataset.data_prefix == dict(
        img='/data/train/JPEGImages/', seg='/data/train/WSSS_maps/'
    )


def test_labels_are_relative_to_the_current_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    cfg = Config.fromfile(REFINE / 'mask-rcnn_r50_fpn_voc.py')
    refined = refinement_config(
        cfg, labels=Path('labels.json')
    )  # is not joined to the config's data_root
    assert refined.train_dataloader.dataset.dataset.ann_file == str(tmp_path / 'labels.json')


def test_several_datasets_are_refused():
    cfg = Config.fromfile(REFINE / 'mask-rcnn_tiny_shapes.py')
    cfg.train_dataloader.dataset = dict(
        type='ConcatDataset', datasets=[cfg.train_dataloader.dataset] * 2
    )
    with pytest.raises(CommandError, match='shapes.py: expected.*one ann_file, got a ConcatDatas'):
        refinement_config(cfg, labels=LABELS)


def test_a_config_without_a_test_is_refused():
    cfg = Config.fromfile(REFINE / 'mask-rcnn_tiny_shapes.py')
    cfg.test_evaluator = None
    with pytest.raises(CommandError, match='mask-rcnn_tiny_shapes.py: the config has no test_eval'):
        refinement_config(cfg, labels=LABELS)


def test_photographs_have_another_layout():
    cfg = Config.fromfile(REFINE / 'mask-rcnn_efficientnet-lite0_own_data.py')
    data = dict(train_data=Path('/data/train'), test_data=Path('/data/test'))
    refined = refinement_config(cfg, labels=LABELS, layout=PHOTOGRAPHS_LAYOUT, **data)
    assert refined.train_dataloader.dataset.data_prefix.img == '/data/train/images/'
    assert refined.test_dataloader.dataset.data_prefix.img == '/data/test/images/'
    assert refined.test_dataloader.dataset.ann_file == '/data/test/truth.json'
    assert refined.test_evaluator.ann_file == '/data/test/truth.json'
