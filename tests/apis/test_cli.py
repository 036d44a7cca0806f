import subprocess
import sys
from pathlib import Path

import pytest

from mmp2seg.apis import cli
from mmp2seg.version import __version__

ROOT = Path(__file__).resolve().parents[2]
ECHO = """\"\"\"{title}.

More of it.
\"\"\"
import argparse, json, os, sys
assert __name__ == '__main__' and __file__ == {path!r}
parser = argparse.ArgumentParser()
parser.add_argument('--status', type=int, default=0)
args, rest = parser.parse_known_args()
print(json.dumps([os.path.basename(__file__), *rest]))
sys.exit(args.status)
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An installed package with two configs and tools that print their name and arguments."""
    package = tmp_path / 'site-packages' / 'mmp2seg'
    home = package / '.mim'
    names = [tool for tool, _ in cli.COMMANDS.values() if tool]
    names += ['dataset_converters/b_to_c.py', 'dataset_converters/a.py', 'model_converters/m.py']
    for name in names:
        path = home / 'tools' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(ECHO.format(title=f'What {name} does', path=str(path)))
    for name in ('p2seg/one.py', 'refine/two.py'):
        (home / 'configs' / name).parent.mkdir(parents=True)
        (home / 'configs' / name).write_text('')
    monkeypatch.setattr(cli, 'PACKAGE', package)
    monkeypatch.chdir(tmp_path)
    return home


def run(capsys, *argv):
    """Run a command; return exit status and output."""
    with pytest.raises(SystemExit) as info:
        cli.main(argv)
    return info.value.code, capsys.readouterr()


@pytest.mark.parametrize(
    ('command', 'tool'),
    [
        ('init', 'init.py'),
        ('train', 'train.py'),
        ('test', 'test.py'),
        ('pseudo-labels', 'generate_pseudo_labels.py'),
        ('check', 'check_dataset.py'),
        ('annotate', 'annotate.py'),
        ('label-studio', 'label_studio_backend.py'),
        ('masks', 'masks.py'),
        ('predict', 'predict.py'),
        ('report', 'report.py'),
    ],
)
def test_commands_run_their_tool_with_all_arguments(home, capsys, command, tool):
    before = sys.argv
    code, output = run(capsys, command, '--amp', 'x.py', '--', '--help', '--status', '7')
    assert (code, output.out) == (
        0,
        f'["{tool}", "--amp", "x.py", "--", "--help", "--status", "7"]\n',
    )
    code, output = run(capsys, command, '--amp', 'mine.py', '-k', 'a=b', '--status', '3')
    assert code == 3
    assert output.out == f'["{tool}", "--amp", "mine.py", "-k", "a=b"]\n'
    assert sys.argv is before


def test_every_command_has_its_tool():
    tools = [ROOT / 'tools' / tool for tool, _ in cli.COMMANDS.values() if tool]
    assert [path for path in tools if not path.is_file()] == []


def test_help_and_errors_of_a_tool_are_its_own(home, capsys):
    code, output = run(capsys, 'train', '--help')
    assert code == 0 and output.out.startswith('usage: train.py [-h]')
    code, output = run(capsys, 'convert', 'a', '--status', 'x')
    assert code == 2 and 'a.py: error: argument --status' in output.err


def test_names_of_installed_configs_become_paths(home, capsys, tmp_path):
    one, two = (str(home / 'configs' / name) for name in ('p2seg/one.py', 'refine/two.py'))
    (tmp_path / 'refine').mkdir()
    (tmp_path / 'refine' / 'two.py').write_text('')
    given = ['p2seg/one.py', 'configs/p2seg/one.py', 'configs/refine/two.py', 'p2seg/gone.py']
    resolved = cli.resolve_configs([*given, 'p2seg', '--out'], home / 'configs')
    assert resolved == [one, one, two, 'p2seg/gone.py', 'p2seg', '--out']
    # a file of the user takes precedence
    assert cli.resolve_configs(['refine/two.py'], home / 'configs') == ['refine/two.py']
    assert one in run(capsys, 'test', '--launcher', 'none', 'p2seg/one.py')[1].out


def test_convert_lists_converters_without_running_them(home, capsys):
    for arguments in ([], ['--help']):
        cli.main(['convert', *arguments])
        lines = capsys.readouterr().out.splitlines()
        assert lines[1:] == [
            '',
            'dataset converters:',
            '  a       What dataset_converters/a.py does.',
            '  b_to_c  What dataset_converters/b_to_c.py does.',
            '',
            'model converters:',
            '  m       What model_converters/m.py does.',
        ]


@pytest.mark.parametrize('name', ['b_to_c', 'b-to-c', 'b_to_c.py'])
def test_convert_runs_a_converter(home, capsys, name):
    code, output = run(capsys, 'convert', name, 'p2seg/one.py')
    assert (code, output.out) == (0, '["b_to_c.py", "p2seg/one.py"]\n')


def test_unknown_names_are_an_error_with_what_there_is(home, capsys):
    code, output = run(capsys, 'trian', 'x.py')
    assert code == 2
    assert "invalid choice: 'trian'" in output.err and 'pseudo-labels' in output.err
    code, output = run(capsys, 'convert', 'b_to_d')
    assert code == 2
    assert output.err == ("mmp2seg convert: error: no converter 'b_to_d': did you mean b_to_c?\n")
    assert 'choose from a, b_to_c, m' in run(capsys, 'convert', 'zzzzzz')[1].err
    assert run(capsys)[0] == 2


def test_help_lists_all_commands(home, capsys):
    code, output = run(capsys, '--help')
    assert code == 0
    for name, (_, purpose) in cli.COMMANDS.items():
        assert f'  {name} ' in output.out and purpose in output.out
    assert run(capsys, '--version')[1].out == f'mmp2seg {__version__}\n'


def test_a_checkout_goes_before_the_copies_of_a_build(home):
    package = home.parent
    assert cli.find_home(package) == home
    (package.parent / 'tools').mkdir()
    (package.parent / 'tools' / 'train.py').write_text('')
    assert cli.find_home(package) == home  # tools/ beside other installed packages
    (package.parent / 'model-index.yml').write_text('')
    assert cli.find_home(package) == package.parent
    assert cli.find_home(ROOT / 'mmp2seg') == ROOT


def test_a_package_without_tools(tmp_path):
    with pytest.raises(SystemExit, match=r'\.mim/tools: no such folder, reinstall mmp2seg'):
        cli.find_home(tmp_path / 'mmp2seg')


def test_help_loads_nothing_heavy():
    script = (
        'import sys\nfrom mmp2seg.apis import cli\n'
        "for argv in (['convert'], ['--help']):\n"
        '    try: cli.main(argv)\n    except SystemExit: print(*sys.modules)'
    )
    out = subprocess.run([sys.executable, '-c', script], cwd=ROOT, capture_output=True, text=True)
    loaded = set(out.stdout.split())
    assert 'mmp2seg.apis.cli' in loaded
    assert not {'torch', 'numpy', 'cv2', 'mmengine', 'mmcv', 'mmdet', 'mmseg'} & loaded
