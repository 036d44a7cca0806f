"""Answer the requests of Label Studio: check a labelling config, and find masks of keypoints."""

import contextlib
import functools
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mmp2seg.annotation.predictor import class_labels
from mmp2seg.apis.command_errors import bug_line, error_line, is_expected
from mmp2seg.apis.inferencer import P2SegInferencer
from mmp2seg.apis.point_result import PointResult
from mmp2seg.datasets.coco_content import BACKGROUND
from mmp2seg.files.image_folder import image_size
from mmp2seg.files.json_reading import is_integer
from mmp2seg.files.text_reading import printable
from mmp2seg.label_studio.label_config import LabelConfig, read_label_config
from mmp2seg.label_studio.mask_regions import mask_regions
from mmp2seg.label_studio.sdk import encode_brush, parse_config
from mmp2seg.label_studio.task_images import ImageSource, TaskImages
from mmp2seg.label_studio.task_points import (
    Click,
    is_interactive,
    keypoint_results,
    newest_results,
    read_clicks,
    stored_results,
)
from mmp2seg.ops.rle import decode_rle

_KEPT_CONFIGS = 16


class TaskError(ValueError):
    """A task that cannot be answered; the message names it."""


class LabelStudioBackend:
    """Find the masks of tasks. Several threads can call it; one image is looked at at a time.

    What the model computed of the last image is kept, so that further clicks are fast.

    Args:
        inferencer: the model; nothing else may use it.
        images: the images of tasks.
        version: ``model_version`` in Label Studio.
        parse: see :func:`mmp2seg.label_studio.sdk.parse_config`.
        encode: see :func:`mmp2seg.label_studio.sdk.encode_brush`.
        log: takes a line about each task.
    """

    def __init__(
        self,
        inferencer: P2SegInferencer,
        images: TaskImages,
        *,
        version: str,
        parse: Callable[[str], dict[str, Any]] = parse_config,
        encode: Callable[[npt.NDArray[np.bool_]], list[int]] = encode_brush,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self.version = version
        self._inferencer, self._images = inferencer, images
        self._known = inferencer.classes  # a point segmenter will learn more
        self._encode, self._log = encode, _print_line if log is None else log
        self._config = functools.lru_cache(_KEPT_CONFIGS)(lambda text: self._read(parse(text)))
        self._lock = threading.Lock()
        self._seen: ImageSource | None = None

    def check(self, label_config: Any) -> None:
        """Check that the backend can work with a labelling config.

        Raises:
            ValueError: it is none, tags are missing, or a network has other classes.
        """
        self._tags(label_config)

    def predict(self, body: Any) -> dict[str, Any]:
        """Answer a request for predictions.

        Args:
            body: ``tasks``, ``label_config`` and ``params``, whose ``context`` has the keypoints of
                a user who clicks.

        Returns:
            dict: ``results``, one entry per task, and ``model_version``. To a click, the entry is
            an object with ``result``, the regions, ``score``, their mean, and ``model_version``.
            Otherwise it is the same, or an empty list if the task has no keypoints or cannot be
            answered: Label Studio then stores no prediction, and asks again next time. ``errors``
            lists ``task``, its place, and ``message`` of tasks that cannot be answered.

        Raises:
            TaskError: the task of a click cannot be answered.
            ValueError: the request is not one of Label Studio, or see :meth:`check`.
        """
        if not isinstance(body, dict) or not isinstance(body.get('tasks'), list):
            raise ValueError(f'expected an object with a list of tasks, got {body!r:.60}')
        config, labels = self._tags(body.get('label_config'))
        params = body.get('params')
        context = params.get('context') if isinstance(params, dict) else None
        results: list[Any] = []
        errors = []
        for index, task in enumerate(body['tasks']):
            where = _name(task, index)
            try:
                task = _checked(task)
                if is_interactive(context):
                    wanted, others = _clicked(task, context['result'], config)
                else:
                    wanted, others = stored_results(task, config), []
                if wanted or is_interactive(context):
                    results.append(self._answer(task, wanted, others, config, labels, where))
                else:
                    results.append([])
            except Exception as error:
                message = self._describe(error, where)
                if is_interactive(context):
                    raise TaskError(message) from error
                results.append([])
                errors.append(dict(task=index, message=message))
        answer = dict(results=results, model_version=self.version)
        return answer | dict(errors=errors) if errors else answer

    def _answer(
        self,
        task: dict[str, Any],
        wanted: Sequence[dict],
        others: Sequence[dict],
        config: LabelConfig,
        labels: dict[str, Any],
        where: str,
    ) -> dict[str, Any]:
        """Return the masks of the wanted keypoints of a task; the others compete with them."""
        regions: list[dict[str, Any]] = []
        if wanted:
            start = time.perf_counter()
            data = task.get('data')
            source = self._images.find(data.get(config.image_key) if type(data) is dict else None)
            result, clicks = self._look(source, task, [*wanted, *others], config, labels, where)
            asked = 0
            for index, score, rle in zip(
                result.point_indices, result.scores, result.rles, strict=True
            ):
                click, place = clicks[index]
                if place < len(wanted):
                    asked += 1
                    regions += mask_regions(
                        decode_rle(rle), click, float(score), config, encode=self._encode
                    )
            for point in result.dropped:
                if clicks[point.index][1] < len(wanted):
                    self._log(f'{where}: {point}')
            self._log(
                f'{where}: {len(wanted)} keypoints, {asked} masks, '
                f'{time.perf_counter() - start:.2f} s'
            )
        score = float(np.mean([region['score'] for region in regions])) if regions else 0.0
        return dict(result=regions, score=score, model_version=self.version)

    def _look(
        self,
        source: ImageSource,
        task: dict[str, Any],
        results: Sequence[dict],
        config: LabelConfig,
        labels: dict[str, Any],
        where: str,
    ) -> tuple[PointResult, list[tuple[Click, int]]]:
        """Return the masks of an image, and its points without background with their places."""
        number = task.get('id') if is_integer(task.get('id')) else None
        with contextlib.ExitStack() as stack:
            path = None
            if source != self._seen:  # fetched before the lock, as another server may be slow
                path = stack.enter_context(self._images.file(source, task_id=number))
            stack.enter_context(self._lock)
            if source != self._seen:
                if path is None:  # another request has changed it meanwhile
                    path = stack.enter_context(self._images.file(source, task_id=number))
                self._seen = None  # if the image is broken
                self._size = image_size(path)
                self._inferencer.set_image(path)
                self._seen = source
            clicks = read_clicks(results, config, size=self._size, where=where)
            objects = [(click, k) for k, click in enumerate(clicks) if click.label != BACKGROUND]
            background = [(click.x, click.y) for click in clicks if click.label == BACKGROUND]
            result = self._inferencer.predict(
                [(click.x, click.y) for click, _ in objects],
                [labels[click.label] for click, _ in objects],
                background if background and self._inferencer.reads_background_points else None,
            )
        return result, objects

    def _tags(self, label_config: Any) -> tuple[LabelConfig, dict[str, Any]]:
        if not isinstance(label_config, str):
            raise ValueError(f'expected a labelling config, got {label_config!r:.60}')
        return self._config(label_config)

    def _read(self, tags: dict[str, Any]) -> tuple[LabelConfig, dict[str, Any]]:
        config = read_label_config(tags)
        return config, class_labels(self._known, config.labels, where='labelling config')

    def _describe(self, error: Exception, where: str) -> str:
        expected = isinstance(error, OSError | ValueError) or is_expected(error)
        line = error_line(error) if expected else bug_line(error)
        line = ' '.join(line.split())
        message = line if line.startswith(where) else f'{where}: {line}'
        self._log(message)
        if not expected or os.environ.get('MMP2SEG_DEBUG'):
            traceback.print_exception(error)
        return message


def _checked(task: Any) -> dict[str, Any]:
    if not isinstance(task, dict):
        raise ValueError(f'expected a task, got {task!r:.60}')
    return task


def _clicked(
    task: dict[str, Any], results: list[Any], config: LabelConfig
) -> tuple[list[dict], list[dict]]:
    """Return the keypoints of a click, and the user's others, which compete for the pixels.

    The others are those of her draft; those of annotations can be another user's. Label Studio
    sends all keypoints of the clicked label, so that what the draft, which is saved seconds later,
    has more of that label is gone. The same can be true of other labels, so that they get no masks.
    """
    clicked = keypoint_results(results, config)
    labels = [_labels(result) for result in clicked]
    drafted = newest_results(task, 'drafts', config)
    return clicked, [result for result in drafted if _labels(result) not in labels]


def _labels(result: dict) -> Any:
    value = result.get('value')
    return value.get('keypointlabels') if isinstance(value, dict) else None


def _name(task: Any, index: int) -> str:
    number = task.get('id') if isinstance(task, dict) else None
    return f'tasks[{index}]' if number is None else f'task {printable(str(number)):.40}'


def _print_line(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)
