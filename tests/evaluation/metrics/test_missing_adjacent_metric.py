import json

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator

from mmp2seg.evaluation.metrics import MissingAdjacentMetric
from mmp2seg.files.index_png import write_palette_png
from mmp2seg.ops.rle import encode_rle
from mmp2seg.registry import METRICS

# Cats A and B lie side by side, C is far away, D lies across a void band (+) from C; e is a dog.
TRUTH = ['AABB........CC+++++DD', 'AABB........CC+++++DD', '......ee.............']
# A is predicted half, B and C not at all, D whole, e as a cat.
PREDICTED = ['AA.................DD', '......EE...........DD']
SHAPE = (len(TRUTH), len(TRUTH[0]))


def letters_of(rows):
    grid = np.array([list(row) for row in rows])
    return {letter: grid == letter for letter in sorted(set(grid.ravel()) - {'.', '+'})}


def sample(image_id, masks=(), labels=(), scores=()):
    pred = {
        'masks': torch.from_numpy(np.array(masks, dtype=bool).reshape(-1, *SHAPE)),
        'labels': torch.tensor(labels, dtype=torch.int64),
        'scores': torch.tensor(scores, dtype=torch.float32),
    }
    return {'img_id': image_id, 'pred_instances': pred}


@pytest.fixture
def ann_file(tmp_path):
    annotations = [
        {
            'id': ord(letter),
            'image_id': 1,
            'category_id': 40 if letter.isupper() else 30,
            'segmentation': encode_rle(mask),
        }
        for letter, mask in letters_of(TRUTH).items()
    ]
    crowd = {**annotations[0], 'id': 1, 'iscrowd': 1}
    crowd['segmentation'] = encode_rle(np.ones(SHAPE, dtype=bool))
    content = {
        'images': [
            {'id': i, 'file_name': f'{i}.jpg', 'height': SHAPE[0], 'width': SHAPE[1]}
            for i in (1, 2)
        ],
        'categories': [{'id': 30, 'name': 'dog'}, {'id': 40, 'name': 'cat'}],
        'annotations': [*annotations, crowd],
    }
    (tmp_path / 'truth.json').write_text(json.dumps(content))
    (tmp_path / 'void').mkdir()
    void = np.array([[255 * (pixel == '+') for pixel in row] for row in TRUTH], dtype=np.uint8)
    write_palette_png(tmp_path / 'void' / '1.png', void)
    write_palette_png(tmp_path / 'void' / '2.png', void)
    return str(tmp_path / 'truth.json')


MASKS = letters_of([*PREDICTED, '.' * SHAPE[1]])
SAMPLES = [
    sample(1, [MASKS['A'], MASKS['D'], MASKS['E']], [1, 1, 1], [0.9, 0.1, 0.8]),
    sample(2, [MASKS['A']], [0], [0.5]),
]


def evaluate(ann_file, samples, classes=('dog', 'cat'), **kwargs):
    config = {'type': 'mmp2seg.MissingAdjacentMetric', 'ann_file': ann_file, **kwargs}
    metric = METRICS.build(config)
    assert isinstance(metric, MissingAdjacentMetric)
    metric.dataset_meta = {'classes': classes}
    metric.process(None, samples)
    return metric.evaluate(len(samples))


def test_figures_by_hand(ann_file):
    assert evaluate(ann_file, SAMPLES) == {
        'objects/missing_rate_iou50': 60.0,
        'objects/adjacent_rate_iou50': 50.0,
        'objects/num_objects': 5,
        'objects/num_missing_iou50': 3,
        'objects/num_adjacent': 2,
        'objects/num_adjacent_found_iou50': 1,
    }


def test_across_the_void_band(ann_file, tmp_path):
    figures = evaluate(ann_file, SAMPLES, void_dir=str(tmp_path / 'void'))
    assert figures['objects/num_adjacent'] == 4
    assert figures['objects/adjacent_rate_iou50'] == 50.0
    figures = evaluate(ann_file, SAMPLES, void_dir=str(tmp_path / 'void'), void_gap=5)
    assert figures['objects/num_adjacent'] == 2
    assert evaluate(ann_file, SAMPLES, gap=0)['objects/num_adjacent'] == 0


def test_only_some_predictions(ann_file):
    assert evaluate(ann_file, SAMPLES, score_thr=0.5)['objects/num_missing_iou50'] == 4
    assert evaluate(ann_file, SAMPLES, max_per_image=1)['objects/num_missing_iou50'] == 4
    assert evaluate(ann_file, [sample(1)])['objects/missing_rate_iou50'] == 100


def test_only_objects_of_the_classes_of_the_data(ann_file):
    figures = evaluate(ann_file, [sample(1)], classes=['dog'])
    assert figures['objects/num_objects'] == 1


def test_order_and_copies_do_not_matter(ann_file):
    expected = evaluate(ann_file, SAMPLES)
    assert evaluate(ann_file, [SAMPLES[1], SAMPLES[0], SAMPLES[0]]) == expected


def test_nothing_gives_nan(ann_file):
    figures = evaluate(ann_file, [SAMPLES[1]])
    assert figures['objects/num_objects'] == 0
    assert np.isnan(figures['objects/missing_rate_iou50'])
    assert np.isnan(figures['objects/adjacent_rate_iou50'])


def test_printed_table_says_that_the_definition_is_ours(ann_file, monkeypatch):
    messages = []
    monkeypatch.setattr(
        'mmp2seg.evaluation.metrics.missing_adjacent_metric.print_log',
        lambda message, logger: messages.append(message),
    )
    evaluator = Evaluator(MissingAdjacentMetric(ann_file))
    evaluator.dataset_meta = {'classes': ('dog', 'cat')}
    evaluator.metrics[0].process(None, SAMPLES)
    evaluator.evaluate(2)
    assert 'the definition is ours' in messages[0] and '3 of 5' in messages[0]


def test_errors(ann_file, tmp_path):
    with pytest.raises(FileNotFoundError, match='gone'):
        MissingAdjacentMetric(ann_file, void_dir=str(tmp_path / 'gone'))
    with pytest.raises(ValueError, match='truth.json: image 7 is not among its images'):
        evaluate(ann_file, [sample(7)])
    with pytest.raises(ValueError, match=r"got none for \['cow'\]"):
        evaluate(ann_file, SAMPLES, classes=('cat', 'cow'))
