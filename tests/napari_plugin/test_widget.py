import json
import os
import threading
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('napari', reason='napari is not installed')
os.environ.setdefault('QT_QPA_PLATFORM', 'offscreen')  # before Qt is started

import cv2
import pandas
from napari.components import ViewerModel
from napari.layers._source import layer_source
from qtpy.QtWidgets import QApplication

import mmp2seg
from mmp2seg.napari_plugin import widget as plugin
from mmp2seg.napari_plugin.segmentation import PointOutcome, SliceResult
from mmp2seg.napari_plugin.widget import P2SegWidget

MANIFEST = Path(plugin.__file__).with_name('napari.yaml')


@pytest.fixture(scope='module')
def app():
    return QApplication.instance() or QApplication([])


class FakeModel:
    """Masks of 3 x 3 pixels around each point; the class 'lost' has none."""

    def __init__(self):
        self.calls, self.on_slice = [], lambda one: None

    def segment(self, choice, images, slices, *, object_size=None):
        self.calls.append((choice, images, slices, object_size))
        for one in slices:
            self.on_slice(one)
            instances = np.zeros(images.bgr(one.index).shape[:2], np.int32)
            outcomes = []
            for row, (x, y), name in zip(one.rows, one.points_xy, one.classes, strict=True):
                if name != 'lost':
                    column, line = int(x), int(y)
                    instances[line - 1 : line + 2, column - 1 : column + 2] = row + 1
                lost = name == 'lost'
                outcomes.append(
                    PointOutcome(int(row), name, None if lost else 0.5, 'no pixels' if lost else '')
                )
            yield SliceResult(one.index, instances, tuple(outcomes))


@pytest.fixture
def messages(monkeypatch):
    """What napari's notifications would show."""
    shown = []
    for name in ('show_error', 'show_warning'):
        monkeypatch.setattr(plugin, name, shown.append)
    return shown


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def widget(app, viewer, messages):
    made = P2SegWidget(viewer)
    made._model = FakeModel()
    yield made
    made.cancel()
    wait(made)
    made.close()


def wait(widget, *, until=lambda: False):
    """Handle events until the run ends, or something else."""
    for _ in range(2000):
        QApplication.processEvents()
        if widget._worker is None or until():
            return
        QApplication.instance().thread().msleep(5)
    raise TimeoutError('the run did not end')


def run(widget):
    widget.run()
    wait(widget)


def test_points_become_labels_of_the_image(viewer, widget):
    viewer.add_image(np.zeros((20, 30), np.uint8), name='cells', scale=(2, 0.5), translate=(7, 3))
    # other units than the image's pixels: row 6, column 8
    viewer.add_points([[19.0, 7.0], [27.0, 13.0]], name='clicks')
    run(widget)
    (labels,) = (layer for layer in viewer.layers if layer.name == 'masks of clicks')
    assert labels.data.shape == (20, 30)
    assert labels.scale.tolist() == [2, 0.5] and labels.translate.tolist() == [7, 3]
    expected = np.zeros((20, 30), int)
    expected[5:8, 7:10], expected[9:12, 19:22] = 1, 2
    assert (labels.data == expected).all()
    ((choice, images, _, object_size),) = widget._model.calls
    assert choice.config == 'point_segmenter/efficientnet-lite0' and choice.checkpoint is None
    assert images.contrast_limits == (0, 255) and not images.rgb and object_size is None
    assert widget.message.text() == '2 masks, 0 points without'
    assert widget.run_button.isEnabled() and not widget.cancel_button.isEnabled()


def test_classes_come_from_a_column_and_failures_are_shown(viewer, widget, messages):
    viewer.add_image(np.zeros((20, 30, 3), np.uint8), rgb=True)
    features = pandas.DataFrame(dict(size=[1, 2, 3], kind=['dog', 'lost', 'cat']))
    viewer.add_points([[5, 5], [5, 20], [14, 5]], features=features, name='p')
    assert [widget.class_column.itemText(k) for k in range(3)] == [
        '(one class for all)',
        'size',
        'kind',
    ]
    widget.class_column.setCurrentIndex(2)
    widget.with_classes.setChecked(True)
    run(widget)
    masks, classes = viewer.layers['masks of p'], viewer.layers['classes of p']
    assert set(np.unique(masks.data)) == {0, 1, 3}
    assert classes.data[5, 5] == 2 and classes.data[14, 5] == 1  # cat, dog, lost
    table = masks.features
    assert table['class_name'].tolist() == ['dog', 'lost', 'cat']
    assert table['index'].tolist() == [1, 2, 3]
    assert table['message'].tolist() == ['', 'no pixels', '']
    assert widget.message.text() == '2 masks, 1 points without\npoint 1: no pixels'
    assert messages == ['1 points without a mask: see the widget']


def test_a_column_whose_name_is_a_number(viewer, widget):
    viewer.add_image(np.zeros((20, 30), np.uint8))
    viewer.add_points([[5, 5]], features=pandas.DataFrame({0: ['dog']}), name='p')
    widget.class_column.setCurrentIndex(1)
    run(widget)
    assert viewer.layers['masks of p'].features['class_name'].tolist() == ['dog']


def test_a_second_run_replaces_what_the_first_made(viewer, widget):
    viewer.add_image(np.zeros((20, 30), np.uint8))
    mine = viewer.add_labels(np.full((20, 30), 9), name='masks of p')
    points = viewer.add_points([[5, 5]], name='p')
    run(widget)
    points.data = [[14, 20], [5, 20]]
    run(widget)
    assert (mine.data == 9).all()  # a layer of this name that the widget did not make
    (made,) = (layer for layer in viewer.layers if 'mmp2seg' in layer.metadata)
    assert made.data[5, 5] == 0 and made.data[14, 20] == 1 and made.data[5, 20] == 2
    assert made.features['point'].tolist() == [0, 1]


def test_the_table_forgets_points_that_are_gone(viewer, widget):
    viewer.add_image(np.zeros((3, 20, 30), np.uint8), name='stack')
    points = viewer.add_points([[0, 5, 5], [2, 5, 5], [2, 14, 20], [2, 5, 20]], name='p')
    widget.slices.setCurrentText('all slices with points')
    run(widget)
    points.data = points.data[:2]
    run(widget)
    table = viewer.layers['masks of p'].features
    assert table[['point', 'slice', 'class_name']].to_numpy().tolist() == [
        [0, '0', 'object'],
        [1, '2', 'object'],
    ]


def test_the_points_stay_above_the_masks_and_selected(viewer, widget):
    image = viewer.add_image(np.zeros((20, 30), np.uint8), name='cells')
    points = viewer.add_points([[5, 5]], name='p')
    viewer.add_points([[5, 5]], name='q')
    widget.points.setCurrentText('p')
    viewer.layers.selection = {points}
    run(widget)
    assert [layer.name for layer in viewer.layers] == ['cells', 'masks of p', 'p', 'q']
    assert viewer.layers.selection == {points} and viewer.layers.selection.active is points
    assert widget.image.currentData() is image and widget.points.currentData() is points


def test_the_masks_follow_an_image_that_was_moved(viewer, widget):
    image = viewer.add_image(np.zeros((20, 30), np.uint8))
    viewer.add_points([[5, 5]], name='p')
    run(widget)
    image.translate, image.scale, image.rotate = (3, 4), (0.5, 2), 30
    run(widget)
    made = viewer.layers['masks of p']
    for pixel in ((0, 0), (7, 11)):
        assert made.data_to_world(pixel) == pytest.approx(image.data_to_world(pixel))


@pytest.mark.parametrize(
    'placement',
    [
        dict(translate=(-5, 7.25)),
        dict(rotate=30, scale=(2, 2)),
        dict(affine=np.array([[1, 0.2, 3], [0, 1.5, -2], [0, 0, 1]])),
    ],
    ids=lambda placement: next(iter(placement)),
)
def test_points_come_back_to_their_pixel(viewer, widget, placement):
    image = viewer.add_image(np.zeros((20, 30), np.uint8), **placement)
    pixels = [(0, 0), (19, 29), (0, 29), (7, 11)]
    world = np.array([image.data_to_world(pixel) for pixel in pixels])
    viewer.add_points(world / [2, 0.5], scale=(2, 0.5), name='p')
    found = []
    widget._model.on_slice = lambda one: found.extend(one.points_xy.tolist())
    run(widget)
    expected = [[column + 0.5, row + 0.5] for row, column in pixels]
    assert np.allclose(found, expected, atol=1e-4)


def test_slices_of_a_stack(viewer, widget):
    viewer.add_image(np.zeros((4, 20, 30), np.uint8), name='stack')
    viewer.add_points([[0, 5, 5], [2, 5, 5], [2, 14, 20]], name='p')
    viewer.dims.set_point(0, 2)
    run(widget)
    made = viewer.layers['masks of p'].data
    assert [np.unique(one).tolist() for one in made] == [[0], [0], [0, 2, 3], [0]]
    widget.slices.setCurrentText('all slices with points')
    run(widget)
    assert [np.unique(one).tolist() for one in made] == [[0, 1], [0], [0, 2, 3], [0]]
    assert viewer.layers['masks of p'].features['point'].tolist() == [0, 1, 2]
    assert widget.progress.value() == widget.progress.maximum() == 2


def test_points_without_the_axis_of_a_stack_belong_to_the_slice_that_is_shown(viewer, widget):
    viewer.add_image(np.zeros((4, 20, 30), np.uint8), name='stack')
    viewer.add_points([[5, 5]], name='p')
    viewer.dims.set_point(0, 3)
    run(widget)
    made = viewer.layers['masks of p'].data
    assert [int(one.max()) for one in made] == [0, 0, 0, 1]


def test_the_full_resolution_of_a_pyramid(viewer, widget):
    full = np.zeros((40, 60), np.uint8)
    viewer.add_image([full, full[::2, ::2]], name='pyramid')
    viewer.add_points([[35, 50]], name='p')
    run(widget)
    made = viewer.layers['masks of p'].data
    assert made.shape == (40, 60) and made[35, 50] == 1


def test_hidden_points_are_left_out(viewer, widget):
    viewer.add_image(np.zeros((20, 30), np.uint8))
    points = viewer.add_points([[5, 5], [14, 20]], name='p')
    points.shown = [False, True]
    run(widget)
    assert np.unique(viewer.layers['masks of p'].data).tolist() == [0, 2]


def test_cancel_keeps_the_finished_slices(viewer, widget):
    viewer.add_image(np.zeros((4, 20, 30), np.uint8), name='stack')
    viewer.add_points([[k, 5, 5] for k in range(4)], name='p')
    widget.slices.setCurrentText('all slices with points')
    shown, cancelled = threading.Event(), threading.Event()
    viewer.layers.events.inserted.connect(lambda event: shown.set())  # the first slice is there

    def wait_for_the_click(one):
        if one.index == (1,):
            shown.wait(10)
            cancelled.wait(10)

    widget._model.on_slice = wait_for_the_click
    widget.run()
    wait(widget, until=shown.is_set)
    widget.cancel()
    cancelled.set()
    wait(widget)
    made = viewer.layers['masks of p'].data
    assert [int(one.max()) for one in made] == [1, 0, 0, 0]
    assert widget.message.text().splitlines()[0] == 'ended after 1 of 4 slices'
    assert widget.run_button.isEnabled()
    widget._model.on_slice = lambda one: None
    run(widget)  # a cancelled run does not spoil the next one
    assert [int(one.max()) for one in made] == [1, 2, 3, 4]


def test_a_cancelled_image_keeps_its_labels(viewer, widget):
    viewer.add_image(np.zeros((20, 30), np.uint8))
    points = viewer.add_points([[5, 5]], name='p')
    run(widget)
    points.data = [[14, 20]]
    widget.run()
    widget.cancel()
    wait(widget)
    made = viewer.layers['masks of p'].data
    assert made[5, 5] == 1 and made[14, 20] == 0


def test_an_error_of_the_model_is_shown_and_the_next_run_works(viewer, widget, messages):
    viewer.add_image(np.zeros((20, 30), np.uint8))
    viewer.add_points([[5, 5]], name='p')

    def fail(one):
        raise ValueError('no such config')

    widget._model.on_slice = fail
    run(widget)
    assert messages == ['no such config']
    assert widget.message.text().splitlines()[0] == 'no such config'
    widget._model.on_slice = lambda one: None
    run(widget)
    assert viewer.layers['masks of p'].data[5, 5] == 1


def test_an_unexpected_error_has_its_type(viewer, widget, messages, capsys):
    viewer.add_image(np.zeros((20, 30), np.uint8))
    viewer.add_points([[5, 5]], name='p')

    def fail(one):
        raise KeyError('x')

    widget._model.on_slice = fail
    run(widget)
    assert messages == ["KeyError: 'x'"]
    assert widget.message.text().splitlines()[0] == "KeyError: 'x'"
    assert 'Traceback' in capsys.readouterr().err


def test_the_layers_can_go_while_it_runs(viewer, widget):
    viewer.add_image(np.zeros((20, 30), np.uint8))
    viewer.add_points([[5, 5]], name='p')
    widget.run()
    viewer.layers.clear()
    wait(widget)
    assert viewer.layers['masks of p'].data[5, 5] == 1
    assert widget.image.count() == widget.points.count() == 0


def test_layers_are_listed_by_kind_and_name(viewer, widget):
    image = viewer.add_image(np.zeros((20, 30), np.uint8), name='a')
    viewer.add_labels(np.zeros((20, 30), int))
    viewer.add_image(np.zeros((20, 30), np.uint8), name='b')
    assert [widget.image.itemText(k) for k in range(2)] == ['a', 'b']
    assert widget.image.count() == 2 and widget.points.count() == 0
    assert widget.image.currentData() is image  # the choice stays
    image.name = 'c'
    assert widget.image.itemText(0) == 'c'
    viewer.layers.remove(image)
    assert widget.image.count() == 1 and widget.image.currentText() == 'b'


def test_points_are_saved_for_the_commands(viewer, widget, tmp_path, messages):
    path = tmp_path / 'cells.png'
    cv2.imwrite(str(path), np.zeros((20, 30), np.uint8))
    with layer_source(path=str(path)):
        viewer.add_image(np.zeros((20, 30), np.uint8))
    points = viewer.add_points([[5, 6]], features=dict(kind=['dog']))
    widget.class_column.setCurrentIndex(1)
    widget.save(tmp_path / 'points.json')
    assert widget.message.text() == f'1 points saved to {tmp_path / "points.json"}'
    content = json.loads((tmp_path / 'points.json').read_text())
    assert content['images'] == [dict(id=1, file_name='cells.png', height=20, width=30)]
    assert content['annotations'] == [dict(id=1, image_id=1, category_id=1, point=[6.5, 5.5])]
    points.data = [[50, 6]]
    widget.save(tmp_path / 'points.json')
    assert len(messages) == 1 and 'cells.png' in messages[0]  # outside of the image
    viewer.layers.clear()
    viewer.add_image(np.zeros((20, 30), np.uint8), name='array')
    viewer.add_points([[5, 6]])
    widget.save(tmp_path / 'points.json')
    assert messages[1:] == ['expected a 2D image that was opened from a file, got the layer array']
    assert json.loads((tmp_path / 'points.json').read_text()) == content


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda v, w: v.layers.clear(), 'expected an Image layer and a Points layer'),
        (lambda v, w: setattr(v.layers['p'], 'shown', [False] * 2), 'got none that are shown'),
        (lambda v, w: w.class_name.setText(' '), 'expected a name of the class'),
        (lambda v, w: w.class_column.setCurrentIndex(1), 'got none for the points 1'),
        (lambda v, w: v.dims.set_point(0, 3), 'points of p in the current slice, got none'),
        (lambda v, w: setattr(v.dims, 'ndisplay', 3), 'the last two axes to be displayed'),
        (lambda v, w: v.dims.roll(), 'the last two axes to be displayed'),
        (
            lambda v, w: v.add_points(np.zeros((1, 4)), name='q') and w.points.setCurrentText('q'),
            'points of at most 3 axes, as stack has, got 4 in q',
        ),
    ],
)
def test_what_does_not_fit_is_an_error_before_the_work(viewer, widget, messages, change, message):
    viewer.add_image(np.zeros((4, 20, 30), np.uint8), name='stack')
    features = pandas.DataFrame(dict(kind=['dog', None]))
    viewer.add_points([[1, 5, 5], [1, 5, 9]], features=features, name='p')
    viewer.dims.set_point(0, 1)
    change(viewer, widget)
    run(widget)
    assert len(messages) == 1 and message in messages[0]
    assert widget.message.text() == messages[0]
    assert not widget._model.calls


def test_the_manifest(app):
    npe2 = pytest.importorskip('npe2')
    manifest = npe2.PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    (contribution,) = manifest.contributions.widgets
    (command,) = manifest.contributions.commands
    assert contribution.command == command.id
    assert command.python_name == f'{P2SegWidget.__module__}:{P2SegWidget.__name__}'


def test_napari_finds_the_plugin():
    found = metadata.entry_points(group='napari.manifest', name='mmp2seg')
    if not found:
        pytest.skip('mmp2seg is not installed')
    (entry,) = found
    assert entry.value == 'mmp2seg.napari_plugin:napari.yaml'
    assert Path(mmp2seg.__file__).with_name('napari_plugin').joinpath('napari.yaml').is_file()
