"""Evaluation of the stage-2 configs: documented options, COCO figures, test-dev results."""

import contextlib
import copy
import functools
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.datasets import CocoDataset
from mmdet.structures import DetDataSample
from mmengine.config import Config, DictAction
from mmengine.evaluator import Evaluator
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmp2seg.ops.rle import decode_rle, encode_rle
from mmp2seg.registry import DATASETS

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
DATA = sorted((CONFIGS / '_base_' / 'datasets').glob('*_pseudo_instances.py'))
SIZE = 24
parse = functools.cache(Config.fromfile)


def coco_config(name='mask-rcnn_r50_fpn_coco'):
    return copy.deepcopy(parse(CONFIGS / 'refine' / f'{name}.py'))


def documented_options(path):
    """The ``--cfg-options`` in the comment at the top of a config, for tools/train.py."""
    comment = re.match(r'(#.*\n)+', path.read_text())[0]
    return dict(re.findall(r'([\w.]+)=(\S+)', comment.replace('and val_..., test_...', '')))


@pytest.mark.parametrize('path', DATA, ids=lambda path: path.stem)
@pytest.mark.parametrize('part', ['val', 'test'])
def test_documented_options_replace_every_path(path, part):
    options = documented_options(path)
    if not any(key.startswith('val_') for key in options):  # Shapes: 'the same keys with val_'
        evaluator = {'val_evaluator.ann_file': 'TRUTH.json'}
        options |= {k.replace('train_', 'val_'): 'TRUTH.json' for k in options} | evaluator
    kept = {
        k.replace('val_', f'{part}_'): DictAction._parse_iterable(v) for k, v in options.items()
    }
    cfg = Config.fromfile(path)
    cfg.merge_from_dict(kept)
    used = [cfg.train_dataloader, cfg[f'{part}_dataloader'], cfg[f'{part}_evaluator']]
    assert not re.search(r'data/|work_dirs', str(used))
    assert str(used).count('TRUTH.json') >= 2


def test_evaluators_of_voc_are_registered_and_read_the_truth(tmp_path):
    cfg = Config.fromfile(CONFIGS / '_base_' / 'datasets' / 'voc_pseudo_instances.py')
    content = {'images': [], 'categories': [], 'annotations': []}
    (tmp_path / 'truth.json').write_text(json.dumps(content))
    for metric in cfg.val_evaluator:
        metric.ann_file = str(tmp_path / 'truth.json')
    cfg.val_evaluator[2].void_dir = str(tmp_path)
    with DefaultScope.overwrite_default_scope('mmdet'):
        metrics = Evaluator(cfg.val_evaluator).metrics
    names = [type(metric).__name__ for metric in metrics]
    assert names == ['CocoMetric', 'VOCInstanceMetric', 'MissingAdjacentMetric']
    assert cfg.test_evaluator[2].void_dir == 'data/VOC2012/SegmentationClass/'


# COCO: ids of categories have gaps, and the file of test-dev has no annotations


def coco_categories():
    metainfo = CocoDataset.METAINFO['classes']
    return [{'id': 2 * i + 3, 'name': name} for i, name in enumerate(metainfo)]


def write_coco(path, annotations=None):
    images = [
        {'id': 90 + i, 'file_name': f'{i}.png', 'height': SIZE, 'width': SIZE} for i in range(4)
    ]
    content = {'images': images, 'categories': coco_categories()}
    if annotations is not None:
        content['annotations'] = annotations
    path.write_text(json.dumps(content))
    return str(path)


def random_mask(rng):
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    y, x, height, width = rng.integers([0, 0, 3, 3], [16, 16, 9, 9])
    mask[y : y + height, x : x + width] = True
    return mask


def box_of(mask):
    rows, cols = np.nonzero(mask)
    return [int(cols.min()), int(rows.min()), int(cols.max() + 1), int(rows.max() + 1)]


def annotation(ann_id, image_id, category_id, mask):
    x1, y1, x2, y2 = box_of(mask)
    return {
        'id': ann_id,
        'image_id': image_id,
        'category_id': category_id,
        'segmentation': encode_rle(mask),
        'bbox': [x1, y1, x2 - x1, y2 - y1],
        'area': int(mask.sum()),
        'iscrowd': 0,
    }


def sample(image_id, masks, labels, scores):
    data_sample = DetDataSample(metainfo={'img_id': image_id, 'ori_shape': (SIZE, SIZE)})
    data_sample.pred_instances = InstanceData(
        masks=torch.from_numpy(np.array(masks, dtype=bool).reshape(-1, SIZE, SIZE)),
        bboxes=torch.tensor([box_of(mask) for mask in masks]).reshape(-1, 4).float(),
        labels=torch.tensor(labels, dtype=torch.int64),
        scores=torch.tensor(scores, dtype=torch.float64),
    )
    return data_sample


def evaluate(evaluator_config, classes, samples):
    with DefaultScope.overwrite_default_scope('mmdet'):
        evaluator = Evaluator(evaluator_config)
    evaluator.dataset_meta = {'classes': tuple(classes)}
    evaluator.process(samples)
    return evaluator.evaluate(len(samples))


def test_coco_classes_of_the_config_are_those_of_mmdet():
    cfg = coco_config()
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        assert tuple(loader.dataset.metainfo.classes) == CocoDataset.METAINFO['classes']


@pytest.mark.parametrize('seed', range(3))
def test_coco_metric_agrees_with_pycocotools(seed, tmp_path):
    rng = np.random.default_rng(seed)
    ids = [category['id'] for category in coco_categories()]
    annotations, results, samples = [], [], []
    for image_id in range(90, 94):
        masks, labels, scores = [], [], []
        for _ in range(rng.integers(1, 5)):
            mask, label = random_mask(rng), rng.integers(0, 3)
            annotations.append(annotation(len(annotations) + 1, image_id, ids[label], mask))
            for _ in range(rng.integers(0, 3)):
                masks.append(np.roll(mask, rng.integers(-1, 2), 0))
                labels.append(int(label if rng.random() < 0.8 else rng.integers(0, 4)))
                scores.append(float(rng.integers(1, 9) / 8))
        samples.append(sample(image_id, masks, labels, scores))
        results += [
            {
                'image_id': image_id,
                'category_id': ids[label],
                'segmentation': encode_rle(mask),
                'score': score,
            }
            for mask, label, score in zip(masks, labels, scores, strict=True)
        ]
    cfg = coco_config()
    cfg.val_evaluator.ann_file = write_coco(tmp_path / 'truth.json', annotations)
    classes = cfg.val_dataloader.dataset.metainfo.classes
    found = evaluate(cfg.val_evaluator, classes, samples)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(cfg.val_evaluator.ann_file)
        direct = COCOeval(truth, truth.loadRes(results), 'segm')
        direct.evaluate()
        direct.accumulate()
        direct.summarize()
    names = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
    expected = {f'coco/segm_{n}': round(v, 3) for n, v in zip(names, direct.stats, strict=False)}
    assert 0 < expected['coco/segm_mAP_50'] < 1
    assert {key: value for key, value in found.items() if 'segm' in key} == expected


def test_test_dev_results_have_the_ids_of_coco(tmp_path):
    cfg = coco_config('mask-rcnn_r50_fpn_coco_test-dev')
    assert cfg.val_evaluator == coco_config().val_evaluator
    assert cfg.test_evaluator.ann_file == cfg.test_dataloader.dataset.ann_file
    for place in (cfg.test_evaluator, cfg.test_dataloader.dataset):
        place.ann_file = write_coco(tmp_path / 'image_info_test-dev2017.json')
    cfg.test_evaluator.outfile_prefix = str(tmp_path / 'folder' / 'results')
    cfg.test_dataloader.dataset.data_prefix.img = str(tmp_path)
    for index in range(4):
        Image.new('RGB', (SIZE, SIZE)).save(tmp_path / f'{index}.png')
    with DefaultScope.overwrite_default_scope('mmdet'):
        dataset = DATASETS.build(cfg.test_dataloader.dataset)
    assert [dataset[i]['data_samples'].img_id for i in range(len(dataset))] == [90, 91, 92, 93]

    rng = np.random.default_rng(0)
    masks = [random_mask(rng), random_mask(rng)]
    samples = [sample(90, [], [], []), sample(91, masks, [0, 79], [0.5, 0.25])]
    assert evaluate(cfg.test_evaluator, dataset.metainfo['classes'], samples) == {}
    written = json.loads((tmp_path / 'folder' / 'results.segm.json').read_text())
    keys = ('image_id', 'category_id', 'score')
    assert [[entry[key] for key in keys] for entry in written] == [[91, 3, 0.5], [91, 161, 0.25]]
    for entry, mask in zip(written, masks, strict=True):
        assert np.array_equal(decode_rle(entry['segmentation']), mask)
    assert (tmp_path / 'folder' / 'results.bbox.json').is_file()
