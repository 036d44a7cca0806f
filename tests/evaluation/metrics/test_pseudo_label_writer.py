import json
import logging

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData
from pycocotools.coco import COCO

from mmp2seg.evaluation.metrics import PseudoLabelWriter, pseudo_label_writer
from mmp2seg.pseudo_labels.coco_json import load
from mmp2seg.registry import METRICS

CLASSES = ('cat', 'dog')
HEIGHT, WIDTH = 12, 16


def make_sample(image_id, num_points=3, dropped=()):
    """A data sample with ``num_points`` points; those of the indices ``dropped`` have no mask."""
    rng = np.random.default_rng(image_id)
    points = rng.uniform(0, 10, (num_points, 2))
    labels = rng.integers(0, len(CLASSES), num_points)
    masks = np.zeros((num_points, HEIGHT, WIDTH), dtype=bool)
    for mask, (x, y) in zip(masks, points.astype(int), strict=True):
        mask[y : y + 2, x : x + 3] = True
    every = InstanceData(
        masks=torch.from_numpy(masks),
        labels=torch.from_numpy(labels),
        scores=torch.from_numpy(rng.uniform(0, 1, num_points).astype(np.float32)),
        points=torch.from_numpy(points),
        point_ids=torch.arange(num_points) + 10,
    )
    keep = torch.tensor([i not in dropped for i in range(num_points)], dtype=torch.bool)
    sample = DetDataSample(
        metainfo={
            'img_id': image_id,
            'file_name': f'{image_id}.png',
            'img_path': f'images/{image_id}.png',
            'ori_shape': (HEIGHT, WIDTH),
            'img_shape': (2 * HEIGHT, 2 * WIDTH),
        }
    )
    sample.ori_points = InstanceData(
        points=every.points, labels=every.labels, point_ids=every.point_ids
    )
    sample.pred_instances = every[keep]
    sample.dropped_points = InstanceData(
        points=every.points[~keep],
        labels=every.labels[~keep],
        point_ids=every.point_ids[~keep],
        reasons=['no_region' for _ in dropped],
    )
    return sample


def make_writer(outfile, **kwargs):
    writer = PseudoLabelWriter(str(outfile), **kwargs)
    writer.dataset_meta = {'classes': CLASSES}
    return writer


def write(outfile, samples, **kwargs):
    writer = make_writer(outfile, **kwargs)
    writer.process(None, [sample.to_dict() for sample in samples])
    return writer.evaluate(len(samples))


def write_ann_file(path, image_ids, **image_fields):
    size = {'height': HEIGHT, 'width': WIDTH, **image_fields}
    content = {
        'images': [{'id': i, 'file_name': f'{i}.png', 'license': 3, **size} for i in image_ids],
        'categories': [
            {'id': 18, 'name': 'dog', 'supercategory': 'animal'},
            {'id': 17, 'name': 'cat', 'supercategory': 'animal'},
        ],
        'annotations': [{'id': 1, 'image_id': 5, 'segmentation': 'not read'}],
    }
    path.write_text(json.dumps(content))
    return content


def test_registered_under_every_default_scope():
    assert METRICS.get('PseudoLabelWriter') is PseudoLabelWriter
    built = METRICS.build({'type': 'mmp2seg.PseudoLabelWriter', 'outfile': 'a.json'})
    assert isinstance(built, PseudoLabelWriter)


def test_figures_and_file(tmp_path):
    samples = [make_sample(5, 3, dropped=[1]), make_sample(2, 2), make_sample(9, 0)]
    evaluator = Evaluator(make_writer(tmp_path / 'a.json'))
    evaluator.dataset_meta = {'classes': CLASSES}
    evaluator.process(samples)
    assert evaluator.evaluate(3) == {
        'pseudo_labels/num_images': 3,
        'pseudo_labels/num_instances': 4,
        'pseudo_labels/num_dropped': 1,
        'pseudo_labels/num_dropped_duplicate': 0,
        'pseudo_labels/num_dropped_outside_image': 0,
        'pseudo_labels/num_dropped_no_region': 1,
        'pseudo_labels/num_dropped_no_pixels': 0,
    }
    content = load(tmp_path / 'a.json')
    assert content['images'] == [
        {'id': i, 'file_name': f'{i}.png', 'height': HEIGHT, 'width': WIDTH} for i in (2, 5, 9)
    ]
    assert content['categories'] == [{'id': 1, 'name': 'cat'}, {'id': 2, 'name': 'dog'}]
    ids = [(ann['id'], ann['image_id'], ann['point_id']) for ann in content['annotations']]
    assert ids == [(1, 2, 10), (2, 2, 11), (3, 5, 10), (4, 5, 12)]
    (point,) = content['dropped_points']
    assert (point['image_id'], point['point_id'], point['reason']) == (5, 11, 'no_region')


def test_masks_labels_and_points_survive(tmp_path):
    sample = make_sample(5)
    write(tmp_path / 'a.json', [sample])
    coco = COCO(str(tmp_path / 'a.json'))
    pred = sample.pred_instances
    for index, ann in enumerate(coco.loadAnns(coco.getAnnIds(imgIds=[5]))):
        assert np.array_equal(coco.annToMask(ann).astype(bool), pred.masks[index].numpy())
        assert ann['category_id'] == pred.labels[index] + 1
        assert ann['point'] == pred.points[index].tolist()  # to the last bit
        assert np.float32(ann['score']) == pred.scores[index]


def test_no_images(tmp_path):
    figures = write(tmp_path / 'a.json', [])
    assert figures['pseudo_labels/num_images'] == 0
    assert load(tmp_path / 'a.json')['annotations'] == []


def test_images_and_categories_of_the_ann_file_stay_as_they_are(tmp_path):
    expected = write_ann_file(tmp_path / 'ann.json', [9, 5, 2])
    figures = write(
        tmp_path / 'a.json', [make_sample(5), make_sample(2)], ann_file=str(tmp_path / 'ann.json')
    )
    content = load(tmp_path / 'a.json')
    assert content['images'] == expected['images']
    assert content['categories'] == expected['categories']
    assert figures['pseudo_labels/num_images'] == 3
    category_of_label = {0: 17, 1: 18}
    labels = [label for i in (2, 5) for label in make_sample(i).ori_points.labels.tolist()]
    assert [ann['category_id'] for ann in content['annotations']] == [
        category_of_label[label] for label in labels
    ]


def test_images_without_result_are_reported(tmp_path, monkeypatch):
    write_ann_file(tmp_path / 'ann.json', [9, 5, 2])
    messages = []
    monkeypatch.setattr(
        'mmp2seg.evaluation.metrics.pseudo_label_writer.print_log',
        lambda message, logger, level=logging.INFO: messages.append((level, message)),
    )
    write(tmp_path / 'a.json', [make_sample(5)], ann_file=str(tmp_path / 'ann.json'))
    level, message = messages[0]
    assert level == logging.WARNING
    assert 'ann.json: no result for 2 of 3 images' in message


@pytest.mark.parametrize(
    'image_ids, fields, message',
    [
        ([2], {}, r'ann.json: image 5 \(5.png\) is not among its images'),
        ([5], {'file_name': 'x.png'}, 'ann.json: image 5 is x.png, the tested one is 5.png'),
        (
            [5],
            {'height': 24},
            r'ann.json: image 5 \(5.png\): expected 16 x 12 pixels, .* got 16 x 24',
        ),
    ],
)
def test_an_ann_file_of_other_images_stops_at_the_first_sample(
    tmp_path, image_ids, fields, message
):
    write_ann_file(tmp_path / 'ann.json', image_ids, **fields)
    writer = make_writer(tmp_path / 'a.json', ann_file=str(tmp_path / 'ann.json'))
    with pytest.raises(ValueError, match=message):
        writer.process(None, [make_sample(5).to_dict()])
    assert not (tmp_path / 'a.json').exists()


def test_an_ann_file_that_lists_an_image_twice(tmp_path):
    write_ann_file(tmp_path / 'ann.json', [5, 5])
    with pytest.raises(ValueError, match='ann.json: expected image ids that differ'):
        make_writer(tmp_path / 'a.json', ann_file=str(tmp_path / 'ann.json'))


def test_user_errors(tmp_path):
    with pytest.raises(ValueError, match=r"end with \.json, got 'a\.pkl'"):
        PseudoLabelWriter('a.pkl')
    with pytest.raises(FileNotFoundError, match='missing.json'):
        PseudoLabelWriter('a.json', ann_file=str(tmp_path / 'missing.json'))
    (tmp_path / 'ann.json').write_text('{"images": []}')
    with pytest.raises(ValueError, match=r"ann\.json: expected a list 'categories'"):
        PseudoLabelWriter('a.json', ann_file=str(tmp_path / 'ann.json'))
    writer = PseudoLabelWriter('a.json')
    with pytest.raises(ValueError, match='ann_file or classes'):
        writer.process(None, [make_sample(5).to_dict()])


def test_a_lost_point_is_an_error(tmp_path):
    sample = make_sample(5, 3)
    sample.pred_instances = sample.pred_instances[:2]
    with pytest.raises(ValueError, match=r'image 5: .*\[10, 11, 12\], got \[10, 11\]'):
        write(tmp_path / 'a.json', [sample])


def test_copies_of_an_image_give_no_double_entries(tmp_path):
    samples = [make_sample(image_id) for image_id in (5, 2, 5)]
    write(tmp_path / 'with_copy.json', samples)
    write(tmp_path / 'once.json', samples[:2])
    assert load(tmp_path / 'with_copy.json') == load(tmp_path / 'once.json')


def test_mmdet_trains_on_it_without_an_ignored_mask(tmp_path):
    # not at the top: the processes of the last test would wait for it
    from mmdet.datasets import CocoDataset

    samples = [make_sample(5, 3, dropped=[1]), make_sample(2, 4), make_sample(9, 0)]
    write(tmp_path / 'a.json', samples)
    for sample in samples:
        image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        cv2.imwrite(str(tmp_path / sample.file_name), image)

    def load_all(path):
        dataset = CocoDataset(
            ann_file=str(path),
            data_prefix={'img': str(tmp_path)},
            metainfo={'classes': CLASSES},
            pipeline=[
                {'type': 'LoadImageFromFile'},
                {'type': 'mmdet.LoadAnnotations', 'with_bbox': True, 'with_mask': True},
            ],
        )
        return {item['img_id']: item for item in (dataset[i] for i in range(len(dataset)))}

    items = load_all(tmp_path / 'a.json')
    assert sorted(items) == [2, 5, 9]
    for sample in samples:
        item, pred = items[sample.img_id], sample.pred_instances
        assert not item['gt_ignore_flags'].any()
        assert np.array_equal(item['gt_masks'].masks.astype(bool), pred.masks.numpy())
        assert item['gt_bboxes_labels'].tolist() == pred.labels.tolist()

    # what the str counts are for: mmdet silently ignores all others
    content = json.loads((tmp_path / 'a.json').read_text())
    for ann in content['annotations']:
        ann['segmentation']['counts'] = None
    (tmp_path / 'broken.json').write_text(json.dumps(content))
    assert all(
        item['gt_ignore_flags'].all() for item in load_all(tmp_path / 'broken.json').values()
    )


def test_a_process_waits_as_long_as_the_first_one_is_at_work(tmp_path, monkeypatch):
    sent = [['at work', None], ['at work', None], ['failed', 'no space left']]
    monkeypatch.setattr(pseudo_label_writer, 'is_main_process', lambda: False)
    monkeypatch.setattr(
        pseudo_label_writer,
        'broadcast_object_list',
        lambda message: message.__setitem__(slice(None), sent.pop(0)),
    )
    with pytest.raises(RuntimeError, match='the first process ended: no space left'):
        write(tmp_path / 'a.json', [make_sample(5)])
    assert sent == [] and not (tmp_path / 'a.json').exists()


def test_the_other_processes_are_told_of_an_error(tmp_path, monkeypatch):
    sent = []
    monkeypatch.setattr(pseudo_label_writer, 'broadcast_object_list', sent.append)
    monkeypatch.setattr(pseudo_label_writer, '_SIGN_SECONDS', 0)
    (tmp_path / 'a.json').mkdir()  # cannot be replaced by a file
    with pytest.raises(OSError, match=r'a\.json'):
        write(tmp_path / 'a.json', [make_sample(5), make_sample(2)])
    assert sent[0] == ['at work', None] and sent[-1][0] == 'failed' and 'a.json' in sent[-1][1]


def test_memory_holds_no_results(tmp_path):
    writer = make_writer(tmp_path / 'a.json')
    writer.process(None, [make_sample(5).to_dict()])
    assert writer.results == []
    (shard,) = (tmp_path / 'a.json.shards').glob('*.jsonl')
    assert len(shard.read_text().splitlines()) == 2
    writer.evaluate(1)
    assert [path.name for path in tmp_path.iterdir()] == ['a.json']


def write_part(rank, world_size, folder, parts):
    """Worker of one rank: test its images and evaluate."""
    torch.set_num_threads(1)
    pseudo_label_writer._SIGN_SECONDS = 0  # after each image
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=world_size
    )
    writer = make_writer(f'{folder}/ranks.json', collect_dir=f'{folder}/collected')
    for image_id, num_points, dropped in parts[rank]:
        writer.process(None, [make_sample(image_id, num_points, dropped).to_dict()])
    figures = writer.evaluate(4)
    with open(f'{folder}/figures_{rank}.json', 'w') as file:
        json.dump(figures, file)
    torch.distributed.destroy_process_group()


def test_two_processes_with_uneven_images_write_the_same_file(tmp_path):
    images = [(5, 3, (1,)), (2, 2, ()), (9, 0, ()), (4, 4, (0, 3))]
    # rank 0 has three images; rank 1 one of its own and a copy that comes before it
    parts = [[images[0], images[2], images[3]], [images[0], images[1]]]
    expected = write(tmp_path / 'one.json', [make_sample(*image) for image in images])
    torch.multiprocessing.spawn(write_part, (2, str(tmp_path), parts), nprocs=2)
    assert (tmp_path / 'ranks.json').read_bytes() == (tmp_path / 'one.json').read_bytes()
    for rank in range(2):
        assert json.loads((tmp_path / f'figures_{rank}.json').read_text()) == expected
