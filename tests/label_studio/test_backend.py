import re
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmp2seg.apis.inferencer import P2SegInferencer
from mmp2seg.label_studio.backend import LabelStudioBackend, TaskError
from mmp2seg.label_studio.task_images import TaskImages

from .task_examples import CONFIG, TAGS, keypoint, predict_body, tag

SIZE = (48, 64)
SEGMENTER = dict(
    type='mmp2seg.PointSegmenter',
    backbone=dict(type='mmp2seg.EfficientNetLite', out_indices=(3, 4)),
    long_side=64,
    spacing=1.0,
)


@pytest.fixture(scope='module')
def inferencer():
    torch.manual_seed(0)
    return P2SegInferencer(Config(dict(default_scope='mmdet', model=SEGMENTER)), device='cpu')


@pytest.fixture
def folder(tmp_path):
    picture = np.full((*SIZE, 3), 40, np.uint8)
    picture[8:24, 8:24] = (200, 60, 60)
    picture[20:40, 40:60] = (60, 200, 60)
    for name in ('a.png', 'b.png'):
        cv2.imwrite(str(tmp_path / name), picture)
    (tmp_path / 'broken.png').write_text('no image')
    return tmp_path


@pytest.fixture
def backend(inferencer, folder):
    lines = []
    backend = LabelStudioBackend(
        inferencer,
        TaskImages(local_root=folder),
        version='mmp2seg test',
        parse=lambda text: TAGS if text == CONFIG else {},
        encode=lambda mask: np.flatnonzero(mask).tolist(),
        log=lines.append,
    )
    backend.lines = lines
    return backend


def task(name='a.png', number=7, **more):
    return dict(id=number, data=dict(photo=f'/data/local-files/?d={name}'), **more)


def masks(prediction):
    """Masks by the id of their keypoint."""
    found = {}
    for region in prediction['result']:
        mask = np.zeros(SIZE, bool)
        mask.ravel()[region['value']['rle']] = True
        found[region['meta']['point_id']] = mask
    return found


A, B = keypoint(12, 16, 'block'), keypoint(50, 30, 'bar')


def test_clicks_get_masks_that_compete(backend, inferencer, folder):
    answer = backend.predict(predict_body(task(), clicks=[A, B]))
    (prediction,) = answer['results']
    assert answer['model_version'] == prediction['model_version'] == 'mmp2seg test'
    expected = inferencer(folder / 'a.png', [(12, 16), (50, 30)], ['block', 'bar'])
    found = masks(prediction)
    assert list(found) == [A['id'], B['id']]
    assert (found[A['id']] == expected.masks[0]).all() and (
        found[B['id']] == expected.masks[1]
    ).all()
    assert [r['value']['brushlabels'] for r in prediction['result']] == [['block'], ['bar']]
    scores = [region['score'] for region in prediction['result']]
    np.testing.assert_allclose(scores, expected.scores)
    assert prediction['score'] == pytest.approx(np.mean(scores))
    assert backend.lines[-1].startswith('task 7: 2 keypoints, 2 masks, ')


def test_keypoints_of_the_draft_compete_and_get_no_mask(backend):
    other = keypoint(20, 16, 'bar')  # on the object of A
    (alone,) = backend.predict(predict_body(task(), clicks=[A]))['results']
    (both,) = backend.predict(predict_body(task(), clicks=[A, other]))['results']
    drafts = [dict(result=[A, other])]
    (found,) = backend.predict(predict_body(task(drafts=drafts), clicks=[A]))['results']
    assert list(masks(found)) == [A['id']]
    assert (masks(found)[A['id']] == masks(both)[A['id']]).all()
    assert (masks(found)[A['id']] != masks(alone)[A['id']]).any()


def test_keypoints_of_the_clicked_label_are_those_of_the_click_alone(backend):
    gone = [keypoint(20, 16, 'block'), keypoint(16, 22, 'block', is_positive=False)]
    (alone,) = backend.predict(predict_body(task(), clicks=[A]))['results']
    body = predict_body(task(drafts=[dict(result=gone)]), clicks=[A])
    (found,) = backend.predict(body)['results']
    assert (masks(found)[A['id']] == masks(alone)[A['id']]).all()


def test_keypoints_of_other_annotations_do_not_compete(backend):
    others = [dict(result=[keypoint(20, 16, 'bar')])]
    (alone,) = backend.predict(predict_body(task(), clicks=[A]))['results']
    body = predict_body(task(annotations=others, predictions=others), clicks=[A])
    (found,) = backend.predict(body)['results']
    assert (masks(found)[A['id']] == masks(alone)[A['id']]).all()


def test_background_clicks_change_masks(backend):
    others = [keypoint(20, 16, is_positive=False), keypoint(16, 22, 'background')]
    (prediction,) = backend.predict(predict_body(task(), clicks=[A, *others]))['results']
    (alone,) = backend.predict(predict_body(task(), clicks=[A]))['results']
    assert list(masks(prediction)) == [A['id']]
    assert (masks(prediction)[A['id']] != masks(alone)[A['id']]).any()
    (nothing,) = backend.predict(predict_body(task(), clicks=others))['results']
    assert nothing['result'] == [] and nothing['score'] == 0


def test_points_without_a_mask(backend):
    same = dict(A, id='twice')
    outside = keypoint(70, 16)
    corner = keypoint(64, 48, 'bar')  # 100 %: the last pixel
    (found,) = backend.predict(predict_body(task(), clicks=[A, same, outside, corner]))['results']
    assert list(masks(found)) == [A['id'], corner['id']]
    assert masks(found)[corner['id']][-1, -1]
    assert [line.split(': ')[-1] for line in backend.lines[:-1]] == [
        'an earlier point has the same place and class',
        'the point is not inside the image',
    ]


def test_a_click_that_is_gone(backend):
    assert backend.predict(predict_body(task('gone.png'), clicks=[])) == dict(
        results=[dict(result=[], score=0.0, model_version='mmp2seg test')],
        model_version='mmp2seg test',
    )


def test_an_image_is_looked_at_once(backend, inferencer, folder, monkeypatch):
    looked = []
    set_image = P2SegInferencer.set_image
    monkeypatch.setattr(
        P2SegInferencer,
        'set_image',
        lambda self, path: looked.append(Path(path).name) or set_image(self, path),
    )
    for name in ('a.png', 'a.png', 'b.png', 'broken.png', 'broken.png', 'b.png'):
        if name == 'broken.png':
            with pytest.raises(TaskError, match='task 7: .*broken.png: expected an image'):
                backend.predict(predict_body(task(name), clicks=[A]))
        else:
            backend.predict(predict_body(task(name), clicks=[A]))
    assert looked == ['a.png', 'b.png', 'b.png']
    cv2.imwrite(str(folder / 'b.png'), np.zeros((*SIZE, 3), np.uint8))
    backend.predict(predict_body(task('b.png'), clicks=[A]))
    assert looked[3:] == ['b.png']


def test_stored_keypoints_and_tasks_that_fail(backend):
    stored = [dict(result=[A, dict(type='choices', value=dict(choices=['x'])), B])]
    answer = backend.predict(
        predict_body(
            task(annotations=stored, number=1),
            task(number=2),
            task('broken.png', annotations=stored, number=3),
            task('../a.png', annotations=stored, number=4),
            dict(id=5, data=None, annotations=stored),
            'text',
            task('b.png', predictions=stored, number=6),
        )
    )
    first, *others, last = answer['results']
    assert list(masks(first)) == list(masks(last)) == [A['id'], B['id']]
    assert others == [[], [], [], [], []]
    assert [error['task'] for error in answer['errors']] == [2, 3, 4, 5]
    for error, message in zip(
        answer['errors'],
        ['task 3: .*broken.png', 'task 4: .*not inside', 'task 5: .*address', 'tasks.5.: .*a task'],
    ):
        assert re.match(message, error['message'])
    assert set(backend.lines) > {error['message'] for error in answer['errors']}


def test_an_error_of_the_model_is_one_of_its_task(backend, monkeypatch, capsys):
    def predict(self, *args, **kwargs):
        raise RuntimeError('out of\nmemory')

    monkeypatch.setattr(P2SegInferencer, 'predict', predict)
    with pytest.raises(TaskError, match='^task 7: RuntimeError: out of memory'):
        backend.predict(predict_body(task(), clicks=[A]))
    assert 'Traceback' in capsys.readouterr().err


def test_labelling_configs_and_requests(backend):
    backend.check(CONFIG)
    for config in ('<View/>', None):
        with pytest.raises(ValueError, match='labelling config'):
            backend.check(config)
        with pytest.raises(ValueError, match='labelling config'):
            backend.predict(predict_body(task(), config=config))
    for body in (None, [], dict(tasks=None)):
        with pytest.raises(ValueError, match='expected an object with a list of tasks'):
            backend.predict(body)
    assert backend.predict(dict(tasks=[task()], label_config=CONFIG))['results'] == [[]]


def test_a_network_has_its_own_classes(inferencer, monkeypatch):
    def backend(*known):
        monkeypatch.setattr(P2SegInferencer, 'classes', known)
        return LabelStudioBackend(
            inferencer, TaskImages(), version='', parse=lambda text: TAGS, encode=list
        )

    with pytest.raises(
        ValueError, match='labelling config: expected classes of the network, which'
    ):
        backend('block', 'cat').check(CONFIG)
    backend('cat', 'bar', 'block').check(CONFIG)
    assert backend('class 0', 'class 1')._tags(CONFIG)[1] == dict(block=0, bar=1)


def test_a_second_project_with_other_classes(inferencer, folder):
    """What a point segmenter has learned of one project does not bind the next."""
    projects = dict(
        one=TAGS, two=dict(point=tag('KeyPointLabels', 'cat'), mask=tag('BrushLabels', 'cat'))
    )
    backend = LabelStudioBackend(
        P2SegInferencer(Config(dict(default_scope='mmdet', model=SEGMENTER)), device='cpu'),
        TaskImages(local_root=folder),
        version='',
        parse=projects.get,
        encode=lambda mask: [],
        log=lambda line: None,
    )
    for config, label in (('one', 'bar'), ('two', 'cat'), ('one', 'block')):
        body = predict_body(task(), config=config, clicks=[keypoint(12, 16, label)])
        (found,) = backend.predict(body)['results']
        assert found['result'][0]['value']['brushlabels'] == [label]


def test_clicks_at_once_get_the_masks_of_their_images(backend, monkeypatch):
    at_work, most = [], []
    predict_one = P2SegInferencer.predict

    def predict(self, *args, **kwargs):
        at_work.append(args)
        most.append(len(at_work))
        time.sleep(0.02)  # others could begin
        result = predict_one(self, *args, **kwargs)
        at_work.pop()
        return result

    monkeypatch.setattr(P2SegInferencer, 'predict', predict)
    found, expected = {}, {}

    def click(number):
        name, point = ('a.png', A) if number % 2 else ('b.png', B)
        found[number] = backend.predict(predict_body(task(name), clicks=[point]))['results'][0]

    for number in (0, 1):
        click(number)
    expected = {number: masks(found[number]) for number in (0, 1)}
    threads = [threading.Thread(target=click, args=(number,)) for number in range(2, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(2, 8):
        (mask,), (wanted,) = masks(found[number]).values(), expected[number % 2].values()
        assert (mask == wanted).all()
    assert set(most) == {1}
