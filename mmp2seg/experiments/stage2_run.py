"""One training of a segmentor on a label file, and its test.

This module imports no mm package, so that worker processes start fast.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from mmp2seg.experiments.commands import cfg_options, tool_command
from mmp2seg.experiments.phases import Phase, file_name


@dataclass(frozen=True)
class Stage2Run:
    """A stage-2 config, trained and tested with one seed.

    Attributes:
        name: name of the config; it identifies everything the result depends on, except labels and
            seed.
        labels: name of the training labels in titles and names of the phases.
        folder: folder of all output, including the config.
        seed: seed of the training.
        tools: the folder of the tools.
        device: ``--device`` of the tools.
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
        """Return the figures of the last test, None if there was none."""
        logs = sorted((self.folder / 'test').glob('*/*.json'))
        return json.loads(logs[-1].read_text()) if logs else None

    def phases(self) -> list[Phase]:
        """Return the training and the test; the label file must exist by then."""
        key, title = f'{file_name(self.labels)}-{self.name}', f'{self.labels}, seed {self.seed}'
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
