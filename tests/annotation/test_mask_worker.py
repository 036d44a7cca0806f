import threading
import time

import pytest

from mmp2seg.annotation.mask_worker import MaskWorker
from mmp2seg.annotation.point_store import ImagePoints, Point


def points(x):
    return ImagePoints((Point(x, 1, 'cat', 1),))


class Model:
    """Notes what it is asked for, and waits until it may go on."""

    def __init__(self):
        self.asked = []
        self.may_go_on = threading.Event()
        self.has_begun = threading.Event()

    def __call__(self, name, given):
        self.asked.append((name, given[0].x))
        self.has_begun.set()
        assert self.may_go_on.wait(10)
        if given[0].x < 0:
            raise ValueError('a negative point')
        return dict(masks=[given[0].x], dropped=[])


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def worker(model):
    worker = MaskWorker(lambda: model)
    yield worker
    model.may_go_on.set()
    worker.close()


def test_a_result_is_found_once(worker, model):
    model.may_go_on.set()
    expected = dict(status='ready', masks=[3], dropped=[])
    assert worker.result('a', points(3), timeout=10) == expected
    assert worker.result('a', points(3), timeout=10) == expected
    assert model.asked == [('a', 3)]
    assert worker.status() == dict(status='ready')


def test_the_newest_request_goes_first_and_replaces_older_ones(worker, model):
    assert worker.result('a', points(1), timeout=0)['status'] == 'pending'
    assert model.has_begun.wait(10)
    answers = {}
    threads = []
    requests = [('b', 2), ('b', 3), ('c', 4), ('a', 1)]
    for name, x in requests:

        def ask(name=name, x=x):
            answers[name, x] = worker.result(name, points(x), timeout=10)

        threads.append(threading.Thread(target=ask))
        threads[-1].start()
        time.sleep(0.05)  # the order of the requests
    model.may_go_on.set()
    for thread in threads:
        thread.join()
    assert model.asked == [('a', 1), ('c', 4), ('b', 3)]
    assert answers.pop(('b', 2)) == dict(status='stale')
    assert {key: answer['masks'] for key, answer in answers.items()} == {
        ('b', 3): [3],
        ('c', 4): [4],
        ('a', 1): [1],
    }


def test_requests_that_the_user_left_are_dropped(worker, model):
    worker.result('a', points(1), timeout=0)
    assert model.has_begun.wait(10)
    for index in range(9):
        worker.result(f'b{index}', points(index), timeout=0)
    model.may_go_on.set()
    assert worker.result('b8', points(8), timeout=10)['masks'] == [8]
    assert worker.result('b5', points(5), timeout=10)['masks'] == [5]
    assert ('b4', 4) not in model.asked


def test_points_that_fail_do_not_end_it(worker, model):
    model.may_go_on.set()
    answer = worker.result('a', points(-1), timeout=10)
    assert answer == dict(status='error', message='a negative point')
    assert worker.result('a', points(1), timeout=10)['status'] == 'ready'


def test_a_model_that_cannot_be_loaded_is_the_reason(capsys):
    def load():
        raise ValueError('weights: pip install them')

    worker = MaskWorker(load)
    answer = worker.result('a', points(1), timeout=10)
    assert answer == worker.status() == dict(status='none', message='weights: pip install them')
    worker.close()
    assert capsys.readouterr().err == 'no masks: weights: pip install them\n'


def test_a_model_that_is_being_loaded(model):
    may_load = threading.Event()
    worker = MaskWorker(lambda: may_load.wait(10) and model)
    assert worker.status() == dict(status='loading')
    answer = worker.result('a', points(1), timeout=0.01)
    assert answer == dict(status='pending', is_loading=True)
    may_load.set()
    assert model.has_begun.wait(10)
    answer = worker.result('a', points(1), timeout=0.01)
    assert answer == dict(status='pending', is_loading=False)
    model.may_go_on.set()
    worker.close()


def test_mistakes_of_the_program_have_a_traceback(capsys):
    worker = MaskWorker(lambda: {}['key'])
    assert worker.result('a', points(1), timeout=10)['message'] == "KeyError: 'key'"
    worker.close()
    assert 'Traceback' in capsys.readouterr().err


def test_close_ends_requests_that_wait(worker, model):
    worker.result('a', points(1), timeout=0)
    assert model.has_begun.wait(10)
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(worker.result('b', points(1), timeout=60))
    )
    thread.start()
    time.sleep(0.05)
    threading.Timer(0.1, model.may_go_on.set).start()
    worker.close()
    thread.join(5)
    assert answers == [dict(status='none', message='the command ends')]
    assert model.asked == [('a', 1)]
