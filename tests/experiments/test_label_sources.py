import subprocess
import sys
from pathlib import Path

import pytest

from mmp2seg.experiments.label_sources import LABEL_KINDS, LabelSource, label_sources
from mmp2seg.experiments.stage1_run import Stage1Run, Variant

ROOT = Path(__file__).resolve().parents[2]
VARIANTS = (Variant('a', Path('a.py'), Path('truth.json')), Variant('b', Path('b.py')))


@pytest.fixture
def stage1(tmp_path):
    return Stage1Run(Path('shared.py'), VARIANTS, tmp_path / 'run', 5, Path('/tools'), device='cpu')


def test_a_source_per_training_config_and_kind(stage1):
    sources = label_sources([stage1], ['full', 'pseudo'])
    assert [(source.variant.name, source.kind) for source in sources] == [
        ('a', 'full'),
        ('a', 'pseudo'),
        ('b', 'full'),
        ('b', 'pseudo'),
    ]
    assert len({source.title for source in sources}) == 4


def test_paths(stage1, tmp_path):
    paths = {kind: LabelSource(kind, stage1, VARIANTS[0]).path for kind in LABEL_KINDS}
    assert paths['full'] == Path('truth.json')
    assert paths['pseudo'] == stage1.labels(VARIANTS[0])
    assert len(set(paths.values())) == 4
    assert LabelSource('full', stage1, VARIANTS[1]).path is None


def test_what_makes_the_labels(stage1):
    assert LabelSource('full', stage1, VARIANTS[0]).phases() == []
    names = [phase.name for phase in LabelSource('pseudo', stage1, VARIANTS[0]).phases()]
    assert names == ['train', 'labels-a']
    nearest = LabelSource('nearest', stage1, VARIANTS[0])
    (phase,) = nearest.phases()
    (command,) = phase.commands()
    assert command[2:] == ['a.py', '--rule', 'nearest', '--out', str(nearest.path)]


def test_evaluation(stage1):
    sources = [LabelSource(kind, stage1, VARIANTS[0]) for kind in LABEL_KINDS]
    phases = [source.evaluation_phase(Path('truth.json')) for source in sources]
    assert len({phase.name for phase in phases}) == len({phase.folder for phase in phases}) == 4
    for source, phase in zip(sources, phases, strict=True):
        (command,) = phase.commands()
        assert command[2:] == [
            *map(str, [source.path, 'truth.json', '--json', source.figures_file])
        ]
        assert source.figures_file.parent == phase.folder
    assert sources[0].figures_file == stage1.figures_file(VARIANTS[0])


def test_full_masks_of_another_file_are_another_run(stage1):
    files = [Variant('a', Path('a.py'), Path(name)) for name in ('truth.json', 'other.json')]
    runs = [LabelSource('full', stage1, file).stage2_run('solov2') for file in files]
    assert runs[0].folder != runs[1].folder
    assert not names_of(runs[0]) & names_of(runs[1])  # their stamps


def names_of(run):
    return {phase.name for phase in run.phases()}


def test_phases_are_named_apart(stage1):
    variants = [Variant(name, Path('a.py'), Path('t.json')) for name in ('a', 'b', 'full')]
    names = [
        name
        for variant in variants
        for kind in LABEL_KINDS
        for name in names_of(LabelSource(kind, stage1, variant).stage2_run('solov2-1234'))
    ]
    assert len(set(names)) == len(names) == 24


def test_making_labels_anew_removes_no_config_of_stage_2(stage1):
    """A phase that starts from scratch removes its folder; the config is written earlier."""
    for kind in LABEL_KINDS:
        source = LabelSource(kind, stage1, VARIANTS[0])
        run = source.stage2_run('solov2-1234')
        for phase in [*source.phases(), *run.phases()]:
            assert phase.folder not in run.config.parents


def test_stage_2_of_the_pseudo_labels_is_the_one_of_the_chain(stage1):
    run = LabelSource('pseudo', stage1, VARIANTS[0]).stage2_run('solov2-1234')
    assert run.folder == stage1.folder / 'a' / 'refine-solov2-1234'
    folders = {
        LabelSource(kind, stage1, variant).stage2_run('solov2-1234').folder
        for kind in LABEL_KINDS
        for variant in VARIANTS
    }
    assert len(folders) == 8


def test_the_module_leaves_mmengine_and_torch_unimported():
    script = (
        'import sys, mmp2seg.experiments.label_sources; '
        'assert not {"mmengine", "torch"} & set(sys.modules)'
    )
    subprocess.run([sys.executable, '-c', script], cwd=ROOT, check=True)
