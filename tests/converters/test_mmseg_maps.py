import json

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from mmseg.apis import inference_model, init_model
from PIL import Image

from mmp2seg.converters.mmseg_maps import (
    load_segmentor,
    map_of_logits,
    match_classes,
    write_mmseg_maps,
)
from mmp2seg.files.index_png import read_index_png

MODEL_CLASSES = ('background', 'cat', 'dining table', 'sky', 'dog')
OURS = ['dog', 'cat', 'diningtable']
RENAME = {'dining table': 'diningtable'}
CONFIG = """
default_scope = 'mmseg'
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor', mean=[120.0] * 3, std=[60.0] * 3, bgr_to_rgb=True,
        pad_val=0, seg_pad_val=255, test_cfg=dict(size_divisor=8)),
    backbone=dict(
        type='UNet', in_channels=3, base_channels=4, num_stages=2, strides=(1, 1),
        enc_num_convs=(1, 1), dec_num_convs=(1,), downsamples=(True,), enc_dilations=(1, 1),
        dec_dilations=(1,), norm_cfg=norm_cfg),
    decode_head=dict(
        type='FCNHead', in_channels=4, in_index=-1, channels=4, num_convs=1, concat_input=False,
        num_classes=5, norm_cfg=norm_cfg, align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss')),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(32, 32), keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')]
"""


@pytest.fixture(autouse=True)
def keep_default_scope():
    """Restore the default scope, which mmseg's ``init_model`` sets for the whole process."""
    before = DefaultScope._instance_dict.copy()
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)


@pytest.fixture
def project(tmp_path):
    """Make config and checkpoint (random weights) of an mmseg model, and a folder of two images."""
    config, checkpoint = tmp_path / 'tiny.py', tmp_path / 'tiny.pth'
    config.write_text(CONFIG)
    torch.manual_seed(0)
    model = init_model(str(config), device='cpu')
    for weight in model.parameters():
        torch.nn.init.normal_(weight)  # so that several classes win
    meta = dict(dataset_meta=dict(classes=MODEL_CLASSES))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), checkpoint)
    rng = np.random.default_rng(0)
    for name, size in (('a', (30, 45)), ('sub/b', (40, 25))):
        path = tmp_path / 'images' / f'{name}.png'
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (*size, 3)).astype(np.uint8)).save(path)
    return str(config), str(checkpoint), tmp_path / 'images'


def write_points(path, *, size=(30, 45), classes=OURS, points=((1, 2),)):
    content = dict(
        images=[dict(id=1, file_name='a.png', height=size[0], width=size[1])],
        categories=[dict(id=i, name=name) for i, name in enumerate(classes, start=1)],
        annotations=[
            dict(id=i, image_id=1, category_id=label, point=[x, 3.0])
            for i, (x, label) in enumerate(points)
        ],
    )
    path.write_text(json.dumps(content))
    return path


def test_classes_are_matched_by_name():
    assert match_classes(MODEL_CLASSES, OURS, rename=RENAME) == [0, 2, 3, 0, 1]
    # several of the model's classes may map to one
    values = match_classes(['car', 'truck', 'cat'], ['car'], rename={'truck': 'car'})
    assert values == [1, 1, 0]


def test_classes_that_do_not_match():
    message = (
        r"it lacks \['diningtable'\] \(--rename MODEL=OURS .*ours: \['dog'.*"
        r"the model's: \['background', 'cat'"
    )
    with pytest.raises(ValueError, match=message):
        match_classes(MODEL_CLASSES, OURS)
    with pytest.raises(ValueError, match=r"--rename: expected one of .*'dining table'.*, got 'tab"):
        match_classes(MODEL_CLASSES, OURS, rename={'table': 'diningtable'})
    message = r"--rename: expected 'dining table' to become one of \['dog'.*got 'desk'"
    with pytest.raises(ValueError, match=message):
        match_classes(MODEL_CLASSES, OURS, rename={'dining table': 'desk'})


VALUES = torch.tensor([0, 2, 1, 0])
# four channels by three pixels, as probabilities
LOGITS = torch.tensor([[0.1, 0.3, 0.2], [0.6, 0.1, 0.3], [0.2, 0.2, 0.4], [0.1, 0.4, 0.1]]).log()


def pixels(**options):
    semantic_map = map_of_logits(LOGITS[:, None], VALUES, **options)
    assert semantic_map.dtype == torch.uint8
    return semantic_map[0].tolist()


def test_the_highest_channel_wins():
    assert pixels() == [2, 0, 1]


def test_pixels_of_low_probability_are_left_open():
    # the channels of a value are summed: background has .3 + .4 at the second pixel
    assert pixels(min_score=0.5) == [2, 0, 255]
    assert pixels(min_score=0.65) == [255, 0, 255]


def test_only_classes_with_points_take_part():
    assert pixels(present=[1]) == [1, 0, 1]
    assert pixels(present=[]) == [0, 0, 0]
    assert pixels(present=[1, 2]) == pixels()
    # softmax over the channels in use: .2 / .4
    assert pixels(present=[1], min_score=0.49) == [1, 0, 1]
    assert pixels(present=[1], min_score=0.51) == [255, 0, 1]


def test_without_a_background_the_other_classes_stand_for_it():
    values = torch.tensor([1, 2, 3, 3])
    assert map_of_logits(LOGITS[:, None], values, present=[1])[0].tolist() == [0, 0, 0]
    assert map_of_logits(LOGITS[:, None], values, present=[2])[0].tolist() == [2, 0, 0]


def test_maps_agree_with_mmsegs_own_inference(project, tmp_path):
    config, checkpoint, images = project
    out_dir = tmp_path / 'out'
    report = write_mmseg_maps(config, checkpoint, images, out_dir, classes=OURS, rename=RENAME)
    model = init_model(config, checkpoint, device='cpu')
    table = np.array([0, 2, 3, 0, 1], np.uint8)
    counts = np.zeros(256, int)
    for name, size in (('a', (30, 45)), ('sub/b', (40, 25))):
        theirs = inference_model(model, str(images / f'{name}.png')).pred_sem_seg.data[0].numpy()
        ours = read_index_png(out_dir / f'{name}.png')
        assert ours.shape == size
        np.testing.assert_array_equal(ours, table[theirs])
        counts += np.bincount(ours.ravel(), minlength=256)
    assert len(np.flatnonzero(counts)) > 1
    assert report.num_maps == 2
    assert report.background_names == ('background', 'sky')
    assert report.num_pixels.tolist() == [*counts[:4], counts[255]]


def test_points_say_which_images_and_classes(project, tmp_path):
    points = write_points(tmp_path / 'points.json', points=((1, 2), (5, 3)))
    options = dict(classes=OURS, rename=RENAME, points=points)
    write_mmseg_maps(*project, tmp_path / 'out', **options)
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['a.png']
    assert set(np.unique(read_index_png(tmp_path / 'out' / 'a.png'))) <= {0, 2, 3}
    write_mmseg_maps(*project, tmp_path / 'strict', **options, min_score=1.0)
    assert (read_index_png(tmp_path / 'strict' / 'a.png') == 255).any()


def test_points_that_do_not_fit(project, tmp_path):
    options = dict(classes=OURS, rename=RENAME, points=tmp_path / 'points.json')
    for points, message in (
        (dict(size=(45, 30)), r'a\.png: expected 30 x 45 as in the point json, got 45 x 30'),
        (dict(classes=['dog', 'bird']), r"points\.json: expected .* among .*, got \['bird'\]"),
    ):
        write_points(tmp_path / 'points.json', **points)
        with pytest.raises(ValueError, match=message):
            write_mmseg_maps(*project, tmp_path / 'out', **options)
    write_points(tmp_path / 'points.json')
    with pytest.raises(FileNotFoundError, match=r'a\.png: no such image \(.*images\[0\]\)'):
        write_mmseg_maps(*project[:2], tmp_path, tmp_path / 'out', **options)
    assert not (tmp_path / 'out').exists()


def test_names_come_from_the_checkpoint_and_are_never_guessed(project, tmp_path):
    config, checkpoint, _ = project
    assert load_segmentor(config, checkpoint)[1] == list(MODEL_CLASSES)
    content = torch.load(checkpoint)
    for meta, expected in ((dict(CLASSES=('x',) * 5), ['x'] * 5), ({}, None)):
        torch.save(dict(content, meta=meta), checkpoint)
        if expected:
            assert load_segmentor(config, checkpoint)[1] == expected
        else:
            with pytest.raises(ValueError, match=r'tiny\.pth: .* class names, .*--model-classes'):
                load_segmentor(config, checkpoint)
            _, names = load_segmentor(config, checkpoint, model_classes=MODEL_CLASSES)
            assert names == list(MODEL_CLASSES)
    with pytest.raises(ValueError, match='got 5 channels and 3 names'):
        arguments = dict(classes=['x'], model_classes=['x', 'y', 'z'])
        write_mmseg_maps(*project, tmp_path / 'out', **arguments)


def test_a_checkpoint_of_another_model(project):
    config, checkpoint, _ = project
    content = torch.load(checkpoint)
    prefixed = {f'module.{name}': value for name, value in content['state_dict'].items()}
    torch.save(dict(content, state_dict=prefixed), checkpoint)
    model, _ = load_segmentor(config, checkpoint)  # as saved by a distributed run
    weight = content['state_dict']['decode_head.conv_seg.weight']
    assert torch.equal(model.decode_head.conv_seg.weight, weight)
    del content['state_dict']['decode_head.conv_seg.weight']
    torch.save(content, checkpoint)
    with pytest.raises(ValueError, match=r'tiny\.pth: lacks weights .*: decode_head\.conv_seg\.w'):
        load_segmentor(config, checkpoint)


def test_files_that_are_missing_or_broken(project, tmp_path):
    config, checkpoint, images = project
    with pytest.raises(FileNotFoundError, match='gone.pth: no such file'):
        load_segmentor(config, tmp_path / 'gone.pth')
    with pytest.raises(ValueError, match='expected --min-score in 0..1, got 2'):
        write_mmseg_maps(*project, tmp_path / 'out', classes=OURS, rename=RENAME, min_score=2)
    (images / 'a.png').write_bytes(b'no image')
    with pytest.raises(ValueError, match=r'a\.png: failed to load'):
        write_mmseg_maps(*project, tmp_path / 'out', classes=OURS, rename=RENAME)
    (tmp_path / 'bare.py').write_text(CONFIG.replace('test_pipeline', 'pipeline'))
    with pytest.raises(ValueError, match=r'bare\.py: expected a test_pipeline'):
        load_segmentor(tmp_path / 'bare.py', checkpoint)
