"""The widget of napari: choose an image, points and a model; the masks become a Labels layer."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas
from napari.layers import Image, Labels, Layer, Points
from napari.qt.threading import GeneratorWorker, create_worker
from napari.utils.notifications import show_error, show_warning
from napari.viewer import Viewer
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from mmp2seg.annotation.mask_worker import message_of
from mmp2seg.annotation.point_store import FileChangedError
from mmp2seg.datasets.coco_content import BACKGROUND
from mmp2seg.napari_plugin.points_file import save_points
from mmp2seg.napari_plugin.segmentation import (
    ModelChoice,
    PointMaskModel,
    PointOutcome,
    SliceImages,
    SliceResult,
    class_map,
)
from mmp2seg.napari_plugin.slices import SlicePoints, class_names_of, points_by_slice

_CONFIG = 'point_segmenter/efficientnet-lite0'
_ONE_CLASS = '(one class for all)'
_CURRENT, _ALL = 'current slice', 'all slices with points'
# What places a layer in the world.
_PLACEMENT = ('scale', 'translate', 'rotate', 'shear', 'affine')
# Key of a layer's metadata: what this widget made, and of which Points layer.
_MADE_BY = 'mmp2seg'
# Messages that the widget shows; the rest is in the features of the Labels layer.
_MOST_MESSAGES = 5


@dataclasses.dataclass(frozen=True, eq=False)
class _Job:
    """What a run was asked for; the layers may change or go while it runs."""

    image: Image
    points: Points
    slices: list[SlicePoints]
    images: SliceImages
    choice: ModelChoice
    object_size: float | None
    with_classes: bool

    @property
    def class_of_row(self) -> dict[int, int]:
        """Number of the class of each row of the points, 1 and above, in alphabetical order."""
        names = sorted({name for one in self.slices for name in one.classes} - {BACKGROUND})
        numbers = {name: number for number, name in enumerate(names, 1)}
        return {
            int(row): numbers[name]
            for one in self.slices
            for row, name in zip(one.rows, one.classes, strict=True)
            if name in numbers
        }


class P2SegWidget(QWidget):
    """Masks of the points of a layer, as labels ``n + 1`` for point n.

    The work is done in a thread. Its slices are shown one by one; *Cancel* ends it after the slice
    that it is at, whose masks are discarded. A further run with the same layers replaces what this
    widget has made before, in the slices that it looks at.

    Args:
        viewer: napari's viewer, or its model.
    """

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._model = PointMaskModel()
        self._worker: GeneratorWorker | None = None
        self._outcomes: list[PointOutcome] = []
        self._is_cancelled = False
        self._job: _Job | None = None
        self._failure: str | None = None

        self.image = QComboBox()
        self.points = QComboBox()
        self.class_column = QComboBox()
        self.class_name = QLineEdit('object')
        self.slices = QComboBox()
        self.slices.addItems([_CURRENT, _ALL])
        self.config = QLineEdit(_CONFIG)
        self.config.setToolTip('A point segmenter needs no checkpoint; a config of stage 1 does.')
        self.checkpoint = QLineEdit()
        self.checkpoint.setPlaceholderText('of a config of stage 1')
        browse = QPushButton('…')
        browse.clicked.connect(self._browse)
        self.device = QComboBox()
        self.device.addItems(['auto', 'cpu', 'cuda'])
        self.object_size = QDoubleSpinBox()
        self.object_size.setRange(0, 10_000)
        self.object_size.setSpecialValueText('from the points')
        self.object_size.setToolTip('Diameter of a typical object in pixels.')
        self.with_classes = QCheckBox('also a layer of the classes')
        self.run_button = QPushButton('Run')
        self.run_button.clicked.connect(self.run)
        self.cancel_button = QPushButton('Cancel')
        self.cancel_button.clicked.connect(self.cancel)
        self.save_button = QPushButton('Save points …')
        self.save_button.setToolTip('into a point json, which the commands of mmp2seg read')
        self.save_button.clicked.connect(self._ask_where_to_save)
        self.progress = QProgressBar()
        self.message = QLabel()
        self.message.setWordWrap(True)

        weights = QHBoxLayout()
        weights.addWidget(self.checkpoint)
        weights.addWidget(browse)
        form = QFormLayout()
        for name, field in (
            ('image', self.image),
            ('points', self.points),
            ('class', self.class_column),
            ('name of the class', self.class_name),
            ('slices', self.slices),
            ('config', self.config),
            ('checkpoint', weights),
            ('device', self.device),
            ('object size', self.object_size),
            ('', self.with_classes),
        ):
            form.addRow(name, field)
        buttons = QHBoxLayout()
        buttons.addWidget(self.run_button)
        buttons.addWidget(self.cancel_button)
        buttons.addWidget(self.save_button)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addLayout(buttons)
        layout.addWidget(self.progress)
        layout.addWidget(self.message)
        layout.addStretch()

        for event in (viewer.layers.events.inserted, viewer.layers.events.removed):
            event.connect(self._list_layers)
        self.points.currentIndexChanged.connect(self._list_columns)
        self.class_column.currentIndexChanged.connect(self._show_state)
        self._list_layers()
        self._show_state()

    def run(self) -> None:
        """Start a run with what is chosen; an error is shown, and nothing is started."""
        if self._worker is not None:
            return
        try:
            self._job = self._new_job()
        except ValueError as error:
            self._fail(error)
            return
        self._outcomes, self._failure, self._is_cancelled = [], None, False
        self.progress.setRange(0, len(self._job.slices))
        self.progress.setValue(0)
        self.message.setText('loading the model …')
        job, model = self._job, self._model

        def work() -> Iterator[SliceResult]:
            yield from model.segment(
                job.choice, job.images, job.slices, object_size=job.object_size
            )

        worker = create_worker(work, _start_thread=False, _ignore_errors=True)
        worker.yielded.connect(self._take)
        worker.errored.connect(self._fail)
        worker.finished.connect(self._finish)
        self._worker = worker
        self._show_state()
        worker.start()

    def cancel(self) -> None:
        """End the run after the slice that it is at, and discard it; finished slices stay."""
        if self._worker is not None:
            self._is_cancelled = True
            self.message.setText('ending after this slice …')
            self._worker.quit()

    def closeEvent(self, event: Any) -> None:
        """End a run when the widget is closed."""
        self.cancel()
        super().closeEvent(event)

    def save(self, path: str | Path) -> None:
        """Write the points of an image file to a point json; an error is shown.

        See :func:`mmp2seg.napari_plugin.points_file.save_points`.
        """
        try:
            image, points = self._layers()
            if image.ndim != 2 or image.source.path is None:
                raise ValueError(
                    f'expected a 2D image that was opened from a file, got the layer {image.name}'
                )
            (one,) = self._slices(image, points)
            saved = save_points(path, image.source.path, one, size=_shape(image))
        except (OSError, ValueError, FileChangedError) as error:
            self._fail(error)
            return
        self.message.setText(f'{len(saved.points)} points saved to {path}')

    def _new_job(self) -> _Job:
        image, points = self._layers()
        limits = None if image.rgb else tuple(image.contrast_limits)
        device = self.device.currentText()
        return _Job(
            image,
            points,
            self._slices(image, points),
            SliceImages(_full(image), image.rgb, limits),
            ModelChoice(
                self.config.text().strip(),
                self.checkpoint.text().strip() or None,
                None if device == 'auto' else device,
            ),
            self.object_size.value() or None,
            self.with_classes.isChecked(),
        )

    def _layers(self) -> tuple[Image, Points]:
        """Return the chosen layers.

        Raises:
            ValueError: there are none, or they do not fit.
        """
        image, points = self._chosen(self.image, Image), self._chosen(self.points, Points)
        if image is None or points is None:
            raise ValueError('expected an Image layer and a Points layer, choose them first')
        if points.ndim > image.ndim:
            raise ValueError(
                f'expected points of at most {image.ndim} axes, as {image.name} has, got '
                f'{points.ndim} in {points.name}'
            )
        displayed = tuple(self._viewer.dims.displayed)
        if displayed != tuple(range(self._viewer.dims.ndim))[-2:]:
            raise ValueError(
                'expected the last two axes to be displayed, as rows and columns: switch off the '
                f'3D view and roll the axes back, got the axes {displayed}'
            )
        return image, points

    def _slices(self, image: Image, points: Points) -> list[SlicePoints]:
        """Return the points that are shown, by slice of the image.

        Raises:
            ValueError: there are none, or one has no class.
        """
        rows = np.flatnonzero(points.shown)
        if not len(rows):
            raise ValueError(f'expected points in {points.name}, got none that are shown')
        current = np.floor(_to_data(image, self._viewer.dims.point)[:-2] + 0.5).astype(int)
        slices = points_by_slice(
            [_to_data(image, points.data_to_world(points.data[row])) for row in rows],
            self._classes(points, rows),
            rows=rows.tolist(),
            shape=_shape(image),
            current=tuple(current.tolist()),
            only_current=self.slices.currentText() == _CURRENT,
        )
        if not slices:
            raise ValueError(f'expected points of {points.name} in the current slice, got none')
        return slices

    def _classes(self, points: Points, rows: npt.NDArray[np.int64]) -> tuple[str, ...]:
        column = self.class_column.currentIndex() - 1  # the first entry is one class for all
        if column < 0:
            name = self.class_name.text().strip()
            if not name:
                raise ValueError('expected a name of the class, got none')
            return (name,) * len(rows)
        return class_names_of(points.features.iloc[rows, column].tolist(), rows.tolist())

    def _take(self, result: SliceResult) -> None:
        """Show the masks of a slice."""
        assert self._job is not None
        if self._is_cancelled:
            return
        self._outcomes += result.outcomes
        self.progress.setValue(self.progress.value() + 1)
        self._write(self._job, 'masks', result, result.instances)
        if self._job.with_classes:
            classes = class_map(result.instances, self._job.class_of_row)
            self._write(self._job, 'classes', result, classes)
        self.message.setText(f'{self.progress.value()} of {self.progress.maximum()} slices')

    def _write(
        self, job: _Job, kind: str, result: SliceResult, values: npt.NDArray[np.int32]
    ) -> None:
        layer = self._made(job, kind)
        if layer is None:
            layer = self._new_layer(job, kind)
        layer.data[result.index] = values
        for name in _PLACEMENT:  # the image may have been moved since the last run
            setattr(layer, name, getattr(job.image, name))
        if kind == 'masks':
            layer.features = _features(layer, result)
        layer.refresh()

    def _made(self, job: _Job, kind: str) -> Labels | None:
        """Return the layer that this widget has made of these points and this image before."""
        mark = _mark(job, kind)
        shape = _shape(job.image)
        for layer in self._viewer.layers:
            is_made = isinstance(layer, Labels) and layer.metadata.get(_MADE_BY) == mark
            if is_made and layer.data.shape == shape:
                return layer
        return None

    def _new_layer(self, job: _Job, kind: str) -> Labels:
        layers = self._viewer.layers
        selected, active = set(layers.selection), layers.selection.active
        layer = Labels(
            np.zeros(_shape(job.image), np.int32),
            name=f'{kind} of {job.points.name}',
            metadata={_MADE_BY: _mark(job, kind)},
        )
        # below the points, which stay selected: the next click adds a point
        layers.insert(layers.index(job.points) if job.points in layers else len(layers), layer)
        if selected:
            layers.selection = selected
            layers.selection.active = active
        return layer

    def _fail(self, error: Exception) -> None:
        self._failure = message_of(error)
        self.message.setText(self._failure)
        show_error(self._failure)

    def _finish(self) -> None:
        self._worker = None
        self._show_state()
        done, wanted = self.progress.value(), self.progress.maximum()
        lines = [] if self._failure is None else [self._failure]
        if done < wanted:
            lines.append(f'ended after {done} of {wanted} slices')
        without = [outcome for outcome in self._outcomes if outcome.score is None]
        lines.append(f'{len(self._outcomes) - len(without)} masks, {len(without)} points without')
        lines += [f'point {one.row}: {one.message}' for one in without[:_MOST_MESSAGES]]
        if len(without) > _MOST_MESSAGES:
            lines.append('… the features of the layer list all')
        self.message.setText('\n'.join(lines))
        if without:
            show_warning(f'{len(without)} points without a mask: see the widget')

    def _browse(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, 'Weights of stage 1', '', '*.pth')
        if path:
            self.checkpoint.setText(path)

    def _ask_where_to_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self,
            'Point json: other images in it stay',
            'points.json',
            '*.json',
            options=QFileDialog.Option.DontConfirmOverwrite,
        )
        if path:
            self.save(path)

    def _chosen(self, field: QComboBox, kind: type[Layer]) -> Any:
        layer = field.currentData()
        return layer if isinstance(layer, kind) and layer in self._viewer.layers else None

    def _list_layers(self, event: Any = None) -> None:
        for field, kind in ((self.image, Image), (self.points, Points)):
            chosen = field.currentData()
            field.blockSignals(True)
            field.clear()
            for layer in self._viewer.layers:
                if isinstance(layer, kind):
                    field.addItem(layer.name, layer)
                    layer.events.name.connect(self._list_layers)
            place = _place(field, chosen)
            # the newest layer, if the chosen one is gone
            field.setCurrentIndex(field.count() - 1 if place < 0 else place)
            field.blockSignals(False)
        self._list_columns()

    def _list_columns(self, event: Any = None) -> None:
        points = self._chosen(self.points, Points)
        chosen = self.class_column.currentText()
        self.class_column.clear()
        self.class_column.addItem(_ONE_CLASS)
        if points is not None:
            self.class_column.addItems([str(name) for name in points.features.columns])
            points.events.features.connect(self._list_columns)
        self.class_column.setCurrentIndex(max(self.class_column.findText(chosen), 0))

    def _show_state(self, event: Any = None) -> None:
        is_running = self._worker is not None
        self.run_button.setEnabled(not is_running)
        self.cancel_button.setEnabled(is_running)
        self.class_name.setEnabled(self.class_column.currentIndex() <= 0)


def _place(field: QComboBox, layer: Layer | None) -> int:
    return next((k for k in range(field.count()) if field.itemData(k) is layer), -1)


def _full(image: Image) -> Any:
    """Return the array of an image; of a pyramid, that of the full resolution."""
    return image.data[0] if image.multiscale else image.data


def _shape(image: Image) -> tuple[int, ...]:
    """Return the size of this array without colours."""
    shape = _full(image).shape
    return tuple(shape[:-1] if image.rgb else shape)


def _to_data(image: Image, world: Sequence[float]) -> npt.NDArray[np.float64]:
    """Return a position in pixels of the image; NaN in axes that the world position lacks."""
    num_axes = image.ndim
    missing = max(num_axes - len(world), 0)
    position = np.array(image.world_to_data([0.0] * missing + list(world)), np.float64)
    position[:missing] = np.nan
    return position[-num_axes:]


def _features(layer: Labels, result: SliceResult) -> pandas.DataFrame:
    """Return the table of a layer, with the rows of a slice replaced by those of its new result.

    It has a row for each label, and for each point without one. Rows of points that are gone go
    with the others of their slice.
    """
    place = ', '.join(map(str, result.index))
    new = pandas.DataFrame(
        [
            (one.row + 1, one.row, place, one.class_name, one.score, one.message)
            for one in result.outcomes
        ],
        columns=['index', 'point', 'slice', 'class_name', 'score', 'message'],
    ).astype({'score': float})
    old = layer.features
    parts = [old[old['slice'] != place], new] if 'slice' in old else [new]
    return pandas.concat([part for part in parts if len(part)] or [new], ignore_index=True)


def _mark(job: _Job, kind: str) -> dict[str, str]:
    return dict(kind=kind, points=str(job.points.unique_id), image=str(job.image.unique_id))
