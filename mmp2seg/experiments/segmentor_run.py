"""One training of a segmentor on a label file, and its test.

Light to import: a worker process that runs it needs no mmengine.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from mmp2seg.experiments.commands import cfg_options, tool_command
from mmp2seg.experiments.phases import Phase


@dataclass(frozen=True)
class SegmentorRun:
    """A stage-2 config, trained and tested with one seed.

    Attributes:
        name: of the config; it stands for all that the result depends on but labels and seed.
        labels: what it learns from, for the reader and in the names of the phases.
        folder: for all that is written, the config too.
        seed: of the training.
        tools: the folder of the tools.
        device: as the tools' option.
    """

    name: str
    labels: str
    folder: Path
    seed: int
    tools: Path
    device: str = 'auto'

    @property
    def config(self) -> Path:
        """File of the config, which names the label file and the test data."""
        return self.folder / f'{self.name}.py'

    def figures(self) -> dict[str, float] | None:
        """What the test measured, None if there was none."""
        return test_figures(self.folder / 'test')

    def phases(self) -> list[Phase]:
        """The training and the test; the label file has to be there."""
        key, title = f'{self.labels}-{self.name}', f'{self.labels}, seed {self.seed}'
        return [
            Phase(
                f'refine-{key}',
                f'{title}: train {self.name} on the labels',
                self._train_commands,
                self.folder / 'train',
                resumes=True,
            ),
            Phase(f'test-{key}', f'{title}: test it', self._test_commands, self.folder / 'test'),
        ]

    def _train_commands(self) -> list[list[str]]:
        command = self._command('train.py', self.config, place='train')
        return [[*command, *cfg_options({'randomness.seed': self.seed})]]

    def _test_commands(self) -> list[list[str]]:
        checkpoint = (self.folder / 'train' / 'last_checkpoint').read_text().strip()
        return [self._command('test.py', self.config, checkpoint, place='test')]

    def _command(self, tool: str, *arguments: object, place: str) -> list[str]:
        options = '--device', self.device, '--work-dir', self.folder / place
        return tool_command(self.tools, tool, *arguments, *options)


def test_figures(work_dir: Path) -> dict[str, float] | None:
    """What ``tools/test.py`` measured last in this work dir, None if nothing."""
    logs = sorted(work_dir.glob('*/*.json'))
    return json.loads(logs[-1].read_text()) if logs else None
