import dataclasses
import json
import os
import sys
from pathlib import Path

import pytest

from mmp2seg.experiments.commands import RunError
from mmp2seg.experiments.generation_run import GenerationDataset, GenerationRun, run_generations

# Stand-in for every tool: writes the expected file and a line per call.
FAKE_TOOL = """
import json, sys
from pathlib import Path
root = Path(__file__).resolve().parents[{depth}]
name, arguments = Path(__file__).name, sys.argv[1:]
with open(root / 'calls', 'a') as calls:
    print(name, *arguments, file=calls)
if (root / f'fail_{{name}}').exists():
    sys.exit(1)
value_of = lambda option: Path(arguments[arguments.index(option) + 1])
if name == 'train.py':
    value_of('--work-dir').mkdir(parents=True, exist_ok=True)
    (value_of('--work-dir') / 'last_checkpoint').write_text('iter_9.pth')
elif name == 'test.py':
    value_of('--work-dir').parent.joinpath('maps').mkdir()
elif name == 'generate_pseudo_labels.py':
    value_of('--out').parent.mkdir(parents=True)
    value_of('--out').write_text('0.5')
else:
    value_of('--json').parent.mkdir(parents=True)
    value_of('--json').write_text(json.dumps(dict(mean_iou=0.5)))
"""
TOOLS = ('train.py', 'test.py', 'generate_pseudo_labels.py', 'analysis_tools/eval_pseudo_labels.py')
TRAIN, MAPS, LABELS, EVALUATE = (Path(name).name for name in TOOLS)


@pytest.fixture
def tools(tmp_path):
    folder = tmp_path / 'tools'
    (folder / 'analysis_tools').mkdir(parents=True)
    for name in TOOLS:
        (folder / name).write_text(FAKE_TOOL.format(depth=name.count('/')))
    return folder


@pytest.fixture
def make_runs(tmp_path, tools):
    def make(number=2, truth=Path('truth.json'), **options):
        runs, weak_maps = [], None
        for generation in range(1, number + 1):
            folder = tmp_path / f'generation{generation}'
            config, labels = Path(f'data{generation}.py'), folder / 'labels' / 'pseudo_labels.json'
            dataset = GenerationDataset(config, weak_maps, folder / 'maps', labels)
            train = Path(f'train{generation}.py')
            run = GenerationRun(generation, folder, train, (dataset,), 5, tools, truth=truth)
            runs.append(dataclasses.replace(run, **options))
            weak_maps = dataset.maps
        return runs

    return make


@pytest.fixture
def run_all(tmp_path, tools):
    """Returns a function that runs the generations and returns the names and arguments of calls."""

    def run_all(runs):
        path = tools / 'calls'
        path.unlink(missing_ok=True)
        try:
            run_generations(runs, tmp_path / 'logs', environment=dict(os.environ))
        finally:
            lines = path.read_text().splitlines() if path.exists() else []
            run_all.calls = [(line.split()[0], line.split()[1:]) for line in lines]
        return [name for name, _ in run_all.calls]

    return run_all


def test_generations_follow_each_other(make_runs, run_all):
    runs = make_runs(device='cpu', match='order')
    assert runs[0].figures() is None
    assert run_all(runs) == 2 * [TRAIN, MAPS, LABELS, EVALUATE]
    train, maps, labels, evaluation = (arguments for _, arguments in run_all.calls[4:])
    folder = runs[1].folder
    assert train[:3] == ['train2.py', '--work-dir', str(folder / 'train')]
    assert train[-2:] == ['--cfg-options', 'randomness.seed=5']
    assert maps[:2] == ['data2.py', 'iter_9.pth']
    assert not str(maps[3]).startswith(str(folder / 'maps'))
    assert labels[:5] == ['data2.py', 'iter_9.pth', '--split', 'train', '--out']
    assert labels[5] == evaluation[0] == str(runs[1].datasets[0].labels)
    assert evaluation[1] == 'truth.json' and evaluation[-2:] == ['--match', 'order']
    for arguments in (train, maps, labels):
        assert arguments[arguments.index('--device') + 1] == 'cpu'
    assert runs[1].figures() == {'mean_iou': 0.5}
    assert run_all(runs) == []


def test_a_failed_phase_is_the_first_of_the_next_start(make_runs, run_all, tools):
    runs = make_runs()
    (tools / 'fail_test.py').touch()
    with pytest.raises(RunError):
        run_all(runs)
    assert [name for name, _ in run_all.calls] == [TRAIN, MAPS]
    (tools / 'fail_test.py').unlink()
    assert run_all(runs) == [MAPS, LABELS, EVALUATE, TRAIN, MAPS, LABELS, EVALUATE]


def test_an_interrupted_training_resumes(make_runs, run_all, tools):
    (tools / 'fail_train.py').touch()
    with pytest.raises(RunError):
        run_all(make_runs())
    (tools / 'fail_train.py').unlink()
    run_all(make_runs())
    resumed = ['--resume' in arguments for name, arguments in run_all.calls if name == TRAIN]
    assert resumed == [True, False]


@pytest.mark.parametrize(
    ('changes', 'calls'),
    [
        (dict(number=3), [TRAIN, MAPS, LABELS, EVALUATE]),
        (dict(number=1), []),
        (dict(truth=Path('other.json')), [EVALUATE] * 2),
        (dict(truth=None), []),
        (dict(seed=6), 2 * [TRAIN, MAPS, LABELS, EVALUATE]),
    ],
)
def test_a_change_repeats_what_depends_on_it(make_runs, run_all, changes, calls):
    run_all(make_runs())
    assert run_all(make_runs(**changes)) == calls


def test_other_maps_train_again(make_runs, run_all):
    runs = make_runs()
    run_all(runs)
    (dataset,) = runs[0].datasets
    changed = dataclasses.replace(dataset, config=Path('other.py'))
    runs[0] = dataclasses.replace(runs[0], datasets=(changed,))
    assert run_all(runs) == [MAPS, LABELS, EVALUATE, TRAIN, MAPS, LABELS, EVALUATE]


def test_maps_that_are_gone(make_runs, run_all):
    run_all(make_runs(1))
    make_runs()[0].datasets[0].maps.rmdir()
    with pytest.raises(RunError, match=r'generation 2: train.*generation1/maps.*\.done\.json'):
        run_all(make_runs())


def test_every_dataset_has_maps_and_labels(make_runs):
    (run,) = make_runs(1)
    (run.folder / 'train').mkdir(parents=True)
    (run.folder / 'train' / 'last_checkpoint').write_text('iter_9.pth')
    (dataset,) = run.datasets
    other = GenerationDataset(Path('b.py'), Path('w'), Path('m'), Path('b.json'))
    run = dataclasses.replace(run, datasets=(dataset, other), truth=None)
    (_, maps), (labels,) = run.chain(), run.results()
    for phase in (maps, labels):
        first, second = phase.commands()
        assert 'data1.py' in first and 'b.py' in second
    text = run.describe()
    for part in ('trained on   the weak maps of the config', '  w\n', ' b.json', 'iter_9.pth'):
        assert part in text


def test_several_processes(make_runs, tools):
    (run,) = make_runs(1, processes=3)
    (command,) = run.chain()[0].commands()
    assert command[:2] == [sys.executable, '-m'] and '--nproc_per_node=3' in command
    assert command[command.index('--launcher') + 1] == 'pytorch'


def test_figures_without_truth(make_runs, run_all):
    run_all(make_runs(1))
    (run,) = make_runs(1, truth=None)
    assert json.loads(run.figures_file.read_text()) and run.figures() is None
