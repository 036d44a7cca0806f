import logging
import math

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.evaluator import Evaluator
from mmengine.structures import PixelData

from mmp2seg.datasets import PointVOCDataset
from mmp2seg.evaluation.metrics import SemanticMapWriter
from mmp2seg.files.index_png import read_index_png
from mmp2seg.registry import METRICS
from mmp2seg.testing import write_tiny_voc

VALUES = [[0, 1, 2], [255, 20, 2]]
CONFIDENCE = [[0.9, 0.6, 0.59], [0.9, 0.1, math.nan]]


def make_sample(image_id, file_name, *, values=VALUES, confidence=CONFIDENCE, size=(2, 3)):
    sample = DetDataSample(metainfo=dict(img_id=image_id, file_name=file_name, ori_shape=size))
    field = dict(sem_seg=torch.tensor([values]))
    if confidence is not None:
        field['confidence'] = torch.tensor([confidence])
    sample.pred_sem_seg = PixelData(**field)
    return sample


def make_writer(folder, **options):
    return SemanticMapWriter(str(folder), **options)


def process(writer, *samples):
    writer.process(None, [sample.to_dict() for sample in samples])
    return writer


def test_unsure_pixels_become_255(tmp_path):
    evaluator = Evaluator([make_writer(tmp_path / 'maps')])
    evaluator.process([make_sample(1, 'a/b.jpg'), make_sample(0, 'c.png', confidence=None)])
    figures = evaluator.evaluate(2)
    assert read_index_png(tmp_path / 'maps' / 'a' / 'b.png').tolist() == [
        [0, 1, 255],
        [255, 255, 255],
    ]
    assert read_index_png(tmp_path / 'maps' / 'c.png').tolist() == VALUES
    assert figures == {
        'semantic_maps/num_maps': 2,
        'semantic_maps/ignored': pytest.approx(100 * 5 / 12, abs=0.01),
    }


def test_without_a_threshold_only_nan_is_unsure(tmp_path):
    process(make_writer(tmp_path, min_confidence=0), make_sample(0, 'a.jpg'))
    assert read_index_png(tmp_path / 'a.png').tolist() == [[0, 1, 2], [255, 20, 255]]


def test_a_missing_confidence_is_a_warning(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr(
        'mmp2seg.evaluation.metrics.semantic_map_writer.print_log',
        lambda text, *, logger, level=logging.INFO: lines.append((level, text)),
    )
    writer = make_writer(tmp_path)
    process(writer, make_sample(0, 'a.jpg'), make_sample(1, 'b.jpg', confidence=None))
    writer.evaluate(2)
    ((_, warning),) = [line for line in lines if line[0] == logging.WARNING]
    assert 'no confidence for 1 of 2 maps' in warning
    lines.clear()
    process(make_writer(tmp_path), make_sample(0, 'a.jpg')).evaluate(1)
    unsure = make_sample(1, 'b.jpg', confidence=None)
    process(make_writer(tmp_path, min_confidence=0), unsure).evaluate(1)
    assert [level for level, _ in lines] == [logging.INFO] * 2


def test_figures_of_no_images(tmp_path):
    figures = make_writer(tmp_path).compute_metrics([])
    assert figures['num_maps'] == 0 and math.isnan(figures['ignored'])


def test_an_image_that_fills_the_last_batch_counts_once(tmp_path):
    writer = process(make_writer(tmp_path), *(make_sample(0, 'a.jpg') for _ in range(2)))
    assert writer.evaluate(1)['semantic_maps/num_maps'] == 1


def test_the_point_dataset_finds_the_maps(tmp_path):
    data = write_tiny_voc(tmp_path)
    writer = make_writer(tmp_path / 'maps')
    entries = list(PointVOCDataset(**data))
    for entry in entries:
        sample = make_sample(entry['img_id'], entry['file_name'])
        process(writer, sample)
    data['data_prefix'] = {**data['data_prefix'], 'seg_map': str(tmp_path / 'maps')}
    found = {entry['seg_map_path'] for entry in PointVOCDataset(**data)}
    assert found == {str(path) for path in (tmp_path / 'maps').iterdir()} and len(found) == 3


@pytest.mark.parametrize('name', ['../a.jpg', '/tmp/a.jpg', 'b/../../a.jpg'])
def test_a_map_never_leaves_the_folder(tmp_path, name):
    with pytest.raises(ValueError, match='expected a file in the image folder'):
        process(make_writer(tmp_path / 'maps'), make_sample(0, name))
    assert list(tmp_path.iterdir()) == []


def test_two_images_with_one_map_are_an_error(tmp_path):
    writer = process(make_writer(tmp_path), make_sample(0, 'a.jpg'), make_sample(1, 'a.png'))
    with pytest.raises(ValueError, match=r'a\.png: expected the map of one image, got a\.jpg and'):
        writer.evaluate(2)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(size=(3, 2)), r'a\.jpg: expected a map of 2 x 3 pixels like the image, got 3 x 2'),
        (dict(values=[[0, 0, 0], [0, 0, 256]]), r'a\.jpg: expected map values in 0\.\.255'),
        (dict(values=[[0, 0, 0], [0, 0, -1]]), r'got -1\.\.0'),
    ],
)
def test_maps_that_do_not_fit(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        process(make_writer(tmp_path), make_sample(0, 'a.jpg', **changes))
    assert list(tmp_path.iterdir()) == []


def test_results_without_maps(tmp_path):
    sample = make_sample(0, 'a.jpg')
    del sample.pred_sem_seg
    with pytest.raises(ValueError, match=r'pred_sem_seg\.sem_seg in the results, got none \(model'):
        process(make_writer(tmp_path), sample)


def test_another_field(tmp_path):
    sample = make_sample(0, 'a.jpg')
    sample.other = sample.pred_sem_seg
    del sample.pred_sem_seg
    process(make_writer(tmp_path, source_name='other', min_confidence=0.95), sample)
    assert (read_index_png(tmp_path / 'a.png') == 255).all()


@pytest.mark.parametrize('value', [-0.1, 1.1, math.nan])
def test_min_confidence_is_a_probability(tmp_path, value):
    with pytest.raises(ValueError, match=r'expected min_confidence in 0\.\.1, got'):
        make_writer(tmp_path, min_confidence=value)


def run_rank(rank, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/init', rank=rank, world_size=2
    )
    writer = make_writer(folder / 'maps')
    process(writer, *(make_sample(i, f'{i}.jpg') for i in ((0, 2), (1, 0))[rank]))
    np.save(folder / f'{rank}.npy', list(writer.evaluate(3).values()))
    torch.distributed.destroy_process_group()


def test_two_processes_write_one_folder(tmp_path):
    torch.multiprocessing.spawn(run_rank, args=(tmp_path,), nprocs=2)
    assert sorted(path.name for path in (tmp_path / 'maps').iterdir()) == [
        '0.png',
        '1.png',
        '2.png',
    ]
    for rank in range(2):
        num_maps, ignored = np.load(tmp_path / f'{rank}.npy')
        assert num_maps == 3 and ignored == pytest.approx(66.67)


def test_is_registered(tmp_path):
    cfg = dict(type='mmp2seg.SemanticMapWriter', folder=str(tmp_path))
    assert isinstance(METRICS.build(cfg), SemanticMapWriter)
