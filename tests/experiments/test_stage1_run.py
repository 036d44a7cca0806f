import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmp2seg.experiments.commands import RunError
from mmp2seg.experiments.stage1_run import Stage1Run, Variant, shapes_phase

ROOT = Path(__file__).resolve().parents[2]

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
elif name == 'generate_pseudo_labels.py':
    value_of('--out').parent.mkdir(parents=True)
    value_of('--out').write_text('labels')
else:
    value_of('--json').parent.mkdir(parents=True)
    value_of('--json').write_text(json.dumps(dict(labels=Path(arguments[0]).read_text())))
"""
TOOLS = ('train.py', 'generate_pseudo_labels.py', 'analysis_tools/eval_pseudo_labels.py')


@pytest.fixture
def tools(tmp_path):
    folder = tmp_path / 'tools'
    (folder / 'analysis_tools').mkdir(parents=True)
    for name in TOOLS:
        (folder / name).write_text(FAKE_TOOL.format(depth=name.count('/')))
    return folder


@pytest.fixture
def make_run(tmp_path, tools):
    def make(*names, truth=Path('truth.json'), **options):
        variants = tuple(Variant(name, Path(f'{name}.py'), truth) for name in names)
        folder = tmp_path / 'run'
        return Stage1Run(Path('shared.py'), variants, folder, 5, tools, device='cpu', **options)

    return make


def calls_of(tools):
    """Return the calls of the tools since the last time, each as (name, arguments)."""
    path = tools / 'calls'
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return [(line.split()[0], line.split()[1:]) for line in lines]


def test_configs_that_share_a_training_train_once(make_run, tools):
    run = make_run('a', 'b')
    assert run.title == 'a + b, seed 5'
    assert run.figures(run.variants[0]) is None
    run.run(dict(os.environ))
    calls = calls_of(tools)
    train, label, evaluate = (Path(name).name for name in TOOLS)
    assert [name for name, _ in calls] == [train, label, evaluate, label, evaluate]
    (_, training), (_, labelling), (_, evaluation), (_, other), _ = calls
    assert training[0] == 'shared.py' and training[-1] == 'randomness.seed=5'
    assert labelling[:4] == ['a.py', 'iter_9.pth', '--split', 'train'] and other[0] == 'b.py'
    assert evaluation[1] == 'truth.json'
    for variant in run.variants:
        assert run.figures(variant) == {'labels': 'labels'}
        assert run.labels(variant).is_file()
    run.run(dict(os.environ))
    assert calls_of(tools) == []


def test_a_config_that_joins_later_does_not_train_again(make_run, tools):
    make_run('a').run(dict(os.environ))
    calls_of(tools)
    make_run('b', 'a').run(dict(os.environ))
    assert [name for name, _ in calls_of(tools)] == [Path(name).name for name in TOOLS[1:]]


def test_a_training_that_was_interrupted_is_resumed(make_run, tools):
    (tools / 'fail_train.py').touch()
    with pytest.raises(RunError, match=r'train\.py shared\.py .*\n.*logs/train\.log'):
        make_run('a').run(dict(os.environ))
    (tools / 'fail_train.py').unlink()
    make_run('a').run(dict(os.environ))
    (_, first), (_, second), *_ = calls_of(tools)
    assert second == [*first, '--resume']


def test_without_truth_nothing_is_evaluated(make_run, tools):
    run = make_run('a', truth=None)
    run.run(dict(os.environ))
    assert [name for name, _ in calls_of(tools)] == ['train.py', 'generate_pseudo_labels.py']
    assert run.figures(run.variants[0]) is None


def test_figures_without_truth_are_not_those_of_earlier_labels(make_run):
    make_run('a').run(dict(os.environ))
    run = make_run('a', truth=None)
    assert run.figures_file(run.variants[0]).is_file()
    assert run.figures(run.variants[0]) is None


def test_stage_2_does_not_depend_on_the_evaluation(make_run):
    with_truth, without = (
        dataclasses.replace(make_run('a', truth=truth), refine='m') for truth in ('t.json', None)
    )
    names = [phase.name for phase in with_truth.phases(with_truth.variants[0])]
    assert names == ['train', 'labels-a', 'refine-a-m', 'test-a-m', 'evaluation-a']
    assert [phase.name for phase in without.phases(without.variants[0])] == names[:-1]


def test_evaluation_matches_as_the_config_says(make_run, tools):
    run = make_run('a', 'b')
    named = Variant('a', Path('a.py'), Path('truth.json'), 'order')
    dataclasses.replace(run, variants=(named, run.variants[1])).run(dict(os.environ))
    evaluations = [arguments for name, arguments in calls_of(tools) if 'eval' in name]
    assert evaluations[0][-2:] == ['--match', 'order']
    assert '--match' not in evaluations[1]


def test_shapes_take_the_place_of_the_configs_data(make_run, tools):
    make_run('a', truth=None, data=Path('/shapes')).run(dict(os.environ))
    (_, training), (_, labelling), (_, evaluation) = calls_of(tools)
    for arguments in (training, labelling):
        assert 'train_dataloader.dataset.data_root=/shapes' in arguments
    assert evaluation[1] == '/shapes/annotations/instances_train.json'


def test_shapes_folder_is_of_all_that_the_data_depend_on(tmp_path):
    phases = [
        shapes_phase(tmp_path, seed, tools=ROOT / 'tools', num_images=number, size=size)
        for seed, number, size in [(1, 300, 128), (2, 300, 128), (1, 30, 128), (1, 300, 64)]
    ]
    assert len({phase.folder for phase in phases}) == 4
    (command,) = phases[3].commands()
    assert Path(command[1]).is_file() and command[2] == str(phases[3].folder)
    assert '--num-train 300 --num-val 0 --size 64 --seed 1' in ' '.join(command)


def test_figures_are_what_the_evaluation_wrote(make_run):
    run = make_run('a')
    path = run.figures_file(run.variants[0])
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({'mean_iou': None}))
    assert run.figures(run.variants[0]) == {'mean_iou': None}


def test_the_module_leaves_mmengine_and_torch_unimported():
    script = (
        'import sys, mmp2seg.experiments.stage1_run, mmp2seg.experiments.job_pool; '
        'assert not {"mmengine", "torch"} & set(sys.modules)'
    )
    subprocess.run([sys.executable, '-c', script], cwd=ROOT, check=True)


def test_other_data_have_their_own_truth_and_true_maps(make_run, tools):
    places = dict(data_truth='truth.json', data_true_maps='true_maps')
    make_run('a', data=Path('/data'), **places).run(dict(os.environ))
    evaluation = calls_of(tools)[-1][1]
    assert evaluation[1] == '/data/truth.json'
    assert evaluation[-2:] == ['--true-maps', '/data/true_maps']


def test_objects_without_masks_are_judged_by_the_points_of_the_data(make_run, tools):
    run = make_run('a', truth=None, data=Path('/shapes'))
    dataclasses.replace(run, unmasked='s/points.json').run(dict(os.environ))
    *_, (_, evaluation) = calls_of(tools)
    assert evaluation[-2:] == ['--unmasked', '/shapes/s/points.json']
