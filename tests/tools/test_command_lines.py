"""The common style of all tools in ``tools/``."""

import subprocess
import sys

import pytest

from .tool_runs import TOOLS

NAMES = sorted(str(path.relative_to(TOOLS)) for path in TOOLS.rglob('*.py'))
HEAVY = ('torch', 'numpy', 'cv2', 'mmengine', 'mmcv', 'mmdet', 'mmseg')
SCRIPT = """
import runpy, sys
for path in sys.argv[2:]:
    sys.argv = [path, '--help']
    try:
        runpy.run_path(path, run_name='__main__')
    except SystemExit as end:
        assert not end.code, path
    heavy = {heavy!r} & {{*sys.modules}}
    assert not heavy, (path, heavy)
"""


def test_help_imports_nothing_heavy():
    paths = [str(TOOLS / name) for name in NAMES]
    script = SCRIPT.format(heavy=set(HEAVY))
    process = subprocess.run(
        [sys.executable, '-c', script, '--', *paths], capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.count('usage: ') == len(paths)


@pytest.mark.parametrize('name', NAMES)
def test_every_tool_ends_with_run_command(name):
    last = (TOOLS / name).read_text().rstrip().splitlines()[-2:]
    assert last[0] == "if __name__ == '__main__':"
    assert last[1].startswith('    run_command(main')
