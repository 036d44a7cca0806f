"""Checkpoints that are complete or not there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, get_file_backend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from mmp2seg.files.atomic_write import replaced_file, write_text
from mmp2seg.registry import HOOKS

_BACKEND = 'mmp2seg.atomic'


class AtomicLocalBackend(LocalBackend):
    """The local file system; a file has its old content or all of the new one."""

    _later: list[str] | None = None

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes to a file.

        Raises:
            OSError: the folder cannot be written to, or the disk is full.
        """
        with replaced_file(filepath) as temporary:
            temporary.write_bytes(obj)

    def remove(self, filepath: str | Path) -> None:
        """Remove a file, or keep it until the end of :meth:`removing_later`."""
        if self._later is None:
            super().remove(filepath)
        else:
            self._later.append(str(filepath))

    @contextmanager
    def removing_later(self) -> Iterator[list[str]]:
        """Keep the files that the block removes, and yield their list; the caller removes them."""
        self._later = []
        try:
            yield self._later
        finally:
            self._later = None


register_backend(_BACKEND, AtomicLocalBackend, force=True)


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """mmengine's ``CheckpointHook``, which loses no checkpoint when it is interrupted.

    A checkpoint and the file ``last_checkpoint`` are renamed when they are complete, and the
    checkpoints that ``max_keep_ckpts`` outdates are removed after that, not before. This holds for
    local folders; other file systems and ``backend_args`` are as in mmengine.
    """

    def before_train(self, runner: Runner) -> None:
        """Find the folder, and write to it atomically if it is a local one."""
        folder = str(self.out_dir or runner.work_dir)
        plain = self.backend_args is None and self.file_client_args is None
        if plain and type(get_file_backend(folder)) is LocalBackend:
            self.backend_args = dict(backend=_BACKEND)
        super().before_train(runner)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        outdated = self._take_outdated(runner, step)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if not is_main_process():
            return
        write_text(Path(runner.work_dir) / 'last_checkpoint', self.last_ckpt)
        for number in outdated:
            path = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(number))
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)
            elif self.file_backend.isdir(path):  # of deepspeed
                self.file_backend.rmtree(path)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        if not isinstance(self.file_backend, AtomicLocalBackend):
            super()._save_best_checkpoint(runner, metrics)
            return
        with self.file_backend.removing_later() as outdated:
            super()._save_best_checkpoint(runner, metrics)
        best = {getattr(self, 'best_ckpt_path', None)}
        best.update(getattr(self, 'best_ckpt_path_dict', {}).values())
        for path in set(outdated) - best:
            self.file_backend.remove(path)

    def _take_outdated(self, runner: Runner, step: int) -> list[int]:
        """Note a step as kept, and return the steps that are not kept any more."""
        if self.max_keep_ckpts <= 0:
            return []
        kept = [number for number in self.keep_ckpt_ids if number != step] + [step]
        outdated, kept = kept[: -self.max_keep_ckpts], kept[-self.max_keep_ckpts :]
        self.keep_ckpt_ids = type(self.keep_ckpt_ids)(kept, self.max_keep_ckpts)
        runner.message_hub.update_info('keep_ckpt_ids', kept)
        return outdated
