"""Every config of stage 2 parses, builds, reads every mask, trains and predicts."""

import copy
import functools
import logging
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmdet.datasets import CocoDataset
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.logging import MessageHub
from mmengine.registry import HOOKS, DefaultScope
from mmengine.structures import InstanceData

from mmp2seg.apis.pseudo_labels import write_baseline_labels
from mmp2seg.datasets import PointVOCDataset

from .test_configs import (
    CONFIGS,
    SIZE,
    STAGE2,
    build_dataset,
    build_model,
    load_config,
    name_of,
    parse,
    use_tiny_data,
)

BOXES_ALONE = [path for path in STAGE2 if path.stem.startswith('boxinst')]
BASE_OF_MMDET = re.compile(r"^_base_ = 'mmdet::.+'$", re.M)
SWAPS = [path for path in STAGE2 if BASE_OF_MMDET.search(path.read_text())]
NUM_CLASSES = dict(shapes=4, own_data=2, coco=80)
SWITCHES = [path for path in STAGE2 if path.stem.startswith('rtmdet')]


@pytest.fixture(scope='module')
def use_tiny_labels(tmp_path_factory):
    """Makes a stage-2 config train and test on three small images with pseudo labels."""

    @functools.cache
    def write(classes):
        stage1 = copy.deepcopy(parse(CONFIGS / 'p2seg' / 'tiny_shapes.py'))
        folder = tmp_path_factory.mktemp('labels')
        use_tiny_data(stage1, folder)
        for loader in (stage1.train_dataloader, stage1.test_dataloader):
            loader.dataset.metainfo = dict(classes=classes)
        labels = str(folder / 'labels.json')
        write_baseline_labels(stage1, rule='nearest', split='train', outfile=labels)
        return labels

    def use(cfg):
        labels = write(classes_of(cfg.val_dataloader))
        for loader in (cfg.train_dataloader, cfg.test_dataloader):
            data = innermost(loader.dataset)
            data.update(data_root='', ann_file=labels, serialize_data=False)
            for key in data.data_prefix:
                part = dict(img='JPEGImages', seg='WSSS_maps')[key]
                data.data_prefix[key] = str(Path(labels).parent / part)

    return use


def shrink(cfg):
    """Use small images, few proposals and narrow heads."""
    sizes = dict.fromkeys(('scale', 'crop_size', 'img_scale', 'size'), SIZE)
    sizes.update(scales=[SIZE], ratio_range=(1.0, 1.0))
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        for step in innermost(loader.dataset).pipeline:
            step.update({key: value for key, value in sizes.items() if key in step})
    model = cfg.model
    for augment in model.data_preprocessor.get('batch_augments') or []:
        augment.size = SIZE
    if 'roi_head' in model:
        model.train_cfg.rpn_proposal.max_per_img = model.test_cfg.rpn.max_per_img = 16
        for stage in listed(model.train_cfg.rcnn):
            stage.sampler.num = 16
        for head in [*listed(model.roi_head.bbox_head), *listed(model.roi_head.mask_head)]:
            head.update(
                {key: 32 for key in ('fc_out_channels', 'conv_out_channels') if key in head}
            )
    if model.type == 'Mask2Former':
        model.panoptic_head.num_queries = 10
        model.panoptic_head.transformer_decoder.num_layers = 2
        model.panoptic_head.pixel_decoder.encoder.num_layers = 1
        model.train_cfg.num_points = 64
        model.test_cfg.max_per_image = 10
    if 'num_grids' in model.get('mask_head', {}):
        model.mask_head.feat_channels = 32
        model.mask_head.num_grids = [10, 8, 6, 4, 4][: len(model.mask_head.num_grids)]


@pytest.fixture
def first_iteration():
    """Sets the runner's message hub to iteration 0, which mmdet's BoxInst reads."""
    info = MessageHub.get_current_instance().runtime_info
    before = info.copy()
    info['iter'] = 0
    yield
    info.clear()
    info.update(before)


@pytest.mark.usefixtures('first_iteration')
@pytest.mark.parametrize('path', STAGE2, ids=name_of)
def test_stage2_trains_and_predicts_the_classes_of_its_data(path, use_tiny_labels):
    cfg = load_config(path)
    classes = classes_of(cfg.train_dataloader)
    assert classes_of(cfg.val_dataloader) == classes
    if 'voc' in path.stem:
        assert classes == PointVOCDataset.METAINFO['classes']
    else:
        (number,) = [n for name, n in NUM_CLASSES.items() if name in path.stem]
        assert len(classes) == number
    use_tiny_labels(cfg)
    shrink(cfg)
    model = build_model(cfg)
    for name, module in model.named_modules():
        if hasattr(module, 'num_classes') and 'rpn_head' not in name:
            assert module.num_classes == len(classes)

    torch.manual_seed(0)
    model.train()
    train_data = build_dataset(cfg, cfg.train_dataloader.dataset)
    batch = model.data_preprocessor(pseudo_collate([train_data[0], train_data[1]]), True)
    total, log = model.parse_losses(model(**batch, mode='loss'))
    total.backward()
    assert all(torch.isfinite(loss) for loss in log.values())
    name_of_masks = 'loss_mask_project' if path in BOXES_ALONE else 'loss_mask'
    mask_losses = [value for name, value in log.items() if name.endswith(name_of_masks)]
    assert mask_losses and all(value > 0 for value in mask_losses)
    unused = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert unused == []

    model.eval()
    test_data = build_dataset(cfg, cfg.test_dataloader.dataset)
    with torch.no_grad():
        (result,) = model.test_step(pseudo_collate([test_data[0]]))
    instances = result.pred_instances
    assert instances.masks.shape == (len(instances.labels), 48, 56)


@pytest.mark.parametrize('path', STAGE2, ids=name_of)
def test_stage2_reads_every_mask_of_a_pseudo_label_file(path, use_tiny_labels):
    cfg = load_config(path)
    use_tiny_labels(cfg)
    data = innermost(cfg.train_dataloader.dataset)
    (loading,) = (
        step
        for step in data.pipeline
        if step.type in ('LoadAnnotations', 'mmp2seg.LoadPseudoLabels')
    )
    whole = build_dataset(cfg, {**data, 'pipeline': [data.pipeline[0], loading]})
    # the image without points is filtered out
    assert [len(image['gt_bboxes_labels']) for image in whole] == [3, 1]
    for image in whole:
        assert not image['gt_ignore_flags'].any()
        if path not in BOXES_ALONE:
            assert (image['gt_masks'].areas > 0).all()
    shrink(cfg)
    packed = build_dataset(cfg, cfg.train_dataloader.dataset)[0]
    assert len(packed['data_samples'].gt_instances) > 0


@pytest.mark.parametrize('path', SWAPS, ids=name_of)
def test_a_swap_is_mmdets_own_config_but_for_the_labels(path):
    cfg = parse(path).to_dict()
    labels = cfg.pop('pseudo_labels', {})
    assert set(labels) <= {'type', 'data_root', 'ann_file', 'data_prefix'}
    base = BASE_OF_MMDET.search(path.read_text())[0]
    expected = Config.fromstring(base, '.py').to_dict()
    data = expected['train_dataloader']['dataset']
    prefix = {**data['data_prefix'], **labels.get('data_prefix', {})}
    data.update({**labels, 'data_prefix': prefix})
    assert cfg == expected
    assert bool(labels) == (path not in BOXES_ALONE)


@pytest.mark.parametrize('path', SWITCHES, ids=name_of)
def test_masks_stay_where_training_switches_its_pipeline(path, use_tiny_labels):
    cfg = load_config(path)
    use_tiny_labels(cfg)
    dataset = build_dataset(cfg, cfg.train_dataloader.dataset)
    (hook,) = (hook for hook in cfg.custom_hooks if hook.type == 'PipelineSwitchHook')
    hook.switch_pipeline = hook.switch_pipeline[:2]  # only reading
    runner = SimpleNamespace(epoch=hook.switch_epoch, logger=logging.getLogger(__name__))
    runner.train_dataloader = SimpleNamespace(dataset=dataset)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        HOOKS.build(hook).before_train_epoch(runner)
        images = list(dataset)
    assert [len(image['gt_masks']) for image in images] == [3, 1]
    for image in images:
        assert not image['gt_ignore_flags'].any()
        assert (image['gt_masks'].areas > 0).all()


@pytest.mark.parametrize('path', STAGE2, ids=name_of)
def test_boxes_of_masks_that_a_crop_cut_off_are_filtered(path):
    """Their loss is infinite: the logarithm of a width of 0."""
    steps = innermost(parse(path).train_dataloader.dataset).pipeline
    crops = [i for i, step in enumerate(steps) if step.get('recompute_bbox')]
    filters = [i for i, step in enumerate(steps) if step.type.split('.')[-1].startswith('Filter')]
    assert not crops or (filters and max(crops) < max(filters))


@pytest.mark.parametrize('path', BOXES_ALONE, ids=name_of)
def test_a_segmentor_that_learns_from_boxes_sees_no_mask(path):
    pipeline = innermost(parse(path).train_dataloader.dataset).pipeline
    assert not any(step.get('with_mask') or step.get('recompute_bbox') for step in pipeline)


def test_own_data_is_tested_on_its_own_labels_unless_the_truth_is_named(use_tiny_labels):
    cfg = load_config(CONFIGS / 'refine' / 'mask-rcnn_efficientnet-lite0_own_data.py')
    labels = cfg.train_dataloader.dataset.ann_file
    for part in (cfg.val_dataloader.dataset, cfg.val_evaluator, cfg.test_evaluator):
        assert part.ann_file == labels
    use_tiny_labels(cfg)
    cfg.test_evaluator.ann_file = cfg.test_dataloader.dataset.ann_file
    dataset = build_dataset(cfg, cfg.test_dataloader.dataset)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        evaluator = Evaluator(cfg.test_evaluator)
    evaluator.dataset_meta = dataset.metainfo
    loading = [dict(type='LoadImageFromFile'), *cfg.train_dataloader.dataset.pipeline[1:2]]
    loaded = build_dataset(cfg, {**cfg.train_dataloader.dataset, 'pipeline': loading})
    for image in loaded:
        found = InstanceData(
            bboxes=image['gt_bboxes'].tensor,
            masks=torch.from_numpy(image['gt_masks'].masks).bool(),
            labels=torch.from_numpy(image['gt_bboxes_labels']),
            scores=torch.ones(len(image['gt_bboxes_labels'])),
        )
        sample = DetDataSample(metainfo={key: image[key] for key in ('img_id', 'ori_shape')})
        sample.pred_instances = found
        evaluator.process([sample])
    assert evaluator.evaluate(len(loaded))['coco/segm_mAP'] == 1


@pytest.mark.parametrize('name', ['mask-rcnn_tiny_shapes', 'solov2_tiny_shapes'])
def test_refiners_of_shapes_have_the_options_of_their_name(name):
    options = dict(score_weight=0.0, ignore_border=0, ignore_semantic=None)
    values = dict(score_weight=1.0, ignore_border=1, ignore_semantic='disagreement')
    of_name = dict(_score='score_weight', _border='ignore_border', _semantic='ignore_semantic')
    plain = parse(CONFIGS / 'refine' / f'{name}.py')
    for suffix in ('', *of_name):
        cfg = parse(CONFIGS / 'refine' / f'refiner_{name}{suffix}.py')
        one = of_name.get(suffix)
        expected = {**options, one: values[one]} if one else values
        assert {key: cfg.model[key] for key in options} == expected
        others = {key: value for key, value in cfg.model.items() if key not in options}
        assert others == {**plain.model, 'type': cfg.model.type}
        assert (cfg.optim_wrapper, cfg.train_cfg) == (plain.optim_wrapper, plain.train_cfg)


def classes_of(dataloader):
    dataset = innermost(dataloader.dataset)
    return tuple(dataset.get('metainfo', CocoDataset.METAINFO)['classes'])


def listed(part):
    return part if isinstance(part, list) else [part]


def innermost(dataset):
    while 'dataset' in dataset:
        dataset = dataset.dataset
    return dataset
