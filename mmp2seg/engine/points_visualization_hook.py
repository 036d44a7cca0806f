"""Log pictures of stage 1 during validation and test."""

from collections.abc import Sequence
from pathlib import Path

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement

from mmp2seg.files.image_reading import read_rgb
from mmp2seg.registry import HOOKS
from mmp2seg.visualization.panels import picture_path


@HOOKS.register_module()
class PointsVisualizationHook(Hook):
    """Draw every ``interval``-th image of a validation or a test with the runner's visualizer.

    Pictures go to the visualizer's backends: ``LocalVisBackend`` writes them below
    ``<work dir>/<start time>/vis_data/vis_image``, ``TensorboardVisBackend`` shows them. All
    validations draw the same images under the same names, ``val_<number>``, with the runner's
    iteration as step. In a distributed run the backends get the images of the main process.

    The visualizer may also be mmdet's or mmseg's. A stage-1 network returns its semantic map and
    offsets only on request. The hook requests them for the batches that it draws.

    Args:
        draw: False: do nothing.
        interval: distance of the drawn images, in the order of the data.
        show: show the pictures in a window instead. Needs ``draw``.
        wait_time: seconds to show each picture.
        test_out_dir: write the pictures of all images of a test to this folder instead, below
            ``<work dir>/<start time>``: ``a/1.jpg`` to ``a/1.jpg.png``.

    Raises:
        ValueError: ``interval`` is less than 1.
    """

    def __init__(
        self,
        *,
        draw: bool = False,
        interval: int = 50,
        show: bool = False,
        wait_time: float = 0.0,
        test_out_dir: str | None = None,
    ) -> None:
        if interval < 1:
            raise ValueError(f'expected interval to be at least 1, got {interval}')
        self.draw = draw
        self.interval = interval
        self.show = show
        self.wait_time = wait_time
        self.test_out_dir = test_out_dir
        self._seen = 0
        self._had_maps: bool | None = None

    def before_val_epoch(self, runner: Runner) -> None:
        """Count the images of this validation from 0."""
        self._seen = 0

    def before_test_epoch(self, runner: Runner) -> None:
        """Count the images of this test from 0."""
        self._seen = 0

    def before_val_iter(self, runner: Runner, batch_idx: int, data_batch: dict) -> None:
        """Request the maps of a batch that is drawn."""
        self._request_maps(runner, data_batch, every=self.interval)

    def before_test_iter(self, runner: Runner, batch_idx: int, data_batch: dict) -> None:
        """Request the maps of a batch that is drawn."""
        self._request_maps(runner, data_batch, every=self._test_interval())

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict,
        outputs: Sequence[BaseDataElement],
    ) -> None:
        """Draw the images of a batch."""
        self._draw_batch(runner, outputs, name='val', every=self.interval, step=runner.iter)

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict,
        outputs: Sequence[BaseDataElement],
    ) -> None:
        """Draw the images of a batch."""
        folder = None
        if self.test_out_dir is not None:
            folder = Path(runner.work_dir, runner.timestamp, self.test_out_dir)
        self._draw_batch(
            runner, outputs, name='test', every=self._test_interval(), step=0, folder=folder
        )

    def _test_interval(self) -> int:
        return 1 if self.show or self.test_out_dir is not None else self.interval

    def _request_maps(self, runner: Runner, data_batch: dict, *, every: int) -> None:
        options = _stage1_options(runner)
        size = len(data_batch['data_samples']) if self.draw else 0
        drawn = any(index % every == 0 for index in range(self._seen, self._seen + size))
        if options is not None and drawn:
            self._had_maps = options['return_maps']
            options['return_maps'] = True

    def _draw_batch(
        self,
        runner: Runner,
        outputs: Sequence[BaseDataElement],
        *,
        name: str,
        every: int,
        step: int,
        folder: Path | None = None,
    ) -> None:
        if self._had_maps is not None:
            _stage1_options(runner)['return_maps'] = self._had_maps
            self._had_maps = None
        if not self.draw:
            return
        for sample in outputs:
            index, self._seen = self._seen, self._seen + 1
            if index % every:
                continue
            file_name = sample.get('file_name', sample.img_path)
            runner.visualizer.add_datasample(
                str(file_name) if self.show else f'{name}_{index}',
                read_rgb(sample.img_path),
                data_sample=sample,
                show=self.show,
                wait_time=self.wait_time,
                out_file=None if folder is None else str(picture_path(folder, file_name)),
                step=step,
            )


def _stage1_options(runner: Runner) -> dict | None:
    """Return ``test_cfg`` of the stage-1 network, also inside of wrappers; None for others."""
    model = runner.model
    while hasattr(model, 'module'):
        model = model.module
    options = getattr(model, 'test_cfg', None)
    return options if isinstance(options, dict) and 'return_maps' in options else None
