"""Resume without running the config of the checkpoint."""

import difflib

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmp2seg.registry import HOOKS

_SHOWN_LINES = 10


@HOOKS.register_module()
class CheckedResumeHook(Hook):
    """Take the config out of a checkpoint before mmengine runs it, and say how it differs.

    mmengine's ``Runner.resume`` executes the text ``meta['config']`` of the checkpoint as Python,
    to compare the number of GPUs of an option that it no longer has.
    """

    priority = 'VERY_HIGH'

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare the checkpoint's config with the runner's as texts, and remove it."""
        meta = checkpoint.get('meta')
        text = meta.pop('config', None) if isinstance(meta, dict) else None
        if not runner._resume or not isinstance(text, str):
            return
        texts = (_settings(text), _settings(runner.cfg.pretty_text))
        lines = [
            line
            for line in difflib.unified_diff(*texts, n=0, lineterm='')
            if not line.startswith(('---', '+++', '@@'))
        ]
        if lines:
            shown = '\n'.join(lines[:_SHOWN_LINES])
            more = f'\n... {len(lines) - _SHOWN_LINES} more' if len(lines) > _SHOWN_LINES else ''
            runner.logger.warning(
                f'resumed with a config that differs from that of the checkpoint:\n{shown}{more}'
            )


def _settings(text: str) -> list[str]:
    """Return the lines of a config without those that differ in every resumed training."""
    return [line for line in text.splitlines() if not line.startswith(('load_from =', 'resume ='))]
