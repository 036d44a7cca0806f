import dataclasses
import json
from pathlib import Path

from mmp2seg.experiments.stage2_run import Stage2Run


def make_run(folder):
    return Stage2Run('solov2-1234', 'nearest', folder, 7, Path('/tools'), device='cpu')


def test_trains_with_the_seed_and_tests_the_last_checkpoint(tmp_path):
    run = make_run(tmp_path)
    train, test = run.phases()
    (command,) = train.commands()
    assert command[1:3] == ['/tools/train.py', str(tmp_path / 'solov2-1234.py')]
    assert command[-2:] == ['--cfg-options', 'randomness.seed=7']
    assert train.resumes and not test.resumes
    (tmp_path / 'train').mkdir()
    (tmp_path / 'train' / 'last_checkpoint').write_text('/x/iter_9.pth\n')
    (command,) = test.commands()
    assert command[1:4] == ['/tools/test.py', str(run.config), '/x/iter_9.pth']
    assert command[-2:] == ['--work-dir', str(tmp_path / 'test')]


def test_phases_of_two_segmentors_or_labels_have_different_names(tmp_path):
    names = {phase.name for phase in make_run(tmp_path).phases()}
    assert names == {'refine-nearest-solov2-1234', 'test-nearest-solov2-1234'}


def test_a_variant_has_phases_with_names_for_files(tmp_path):
    run = dataclasses.replace(make_run(tmp_path), labels='a[k=1]-nearest')
    assert run.phases()[0].name == 'refine-a__k-1-nearest-solov2-1234'
    assert run.phases()[0].title.startswith('a[k=1]-nearest, seed 7')


def test_figures_are_those_of_the_last_test(tmp_path):
    assert make_run(tmp_path).figures() is None
    for day, value in (('20260102_0000', 0.25), ('20260101_0000', 0.5)):
        (tmp_path / 'test' / day).mkdir(parents=True)
        (tmp_path / 'test' / day / f'{day}.json').write_text(json.dumps({'AP': value}))
    assert make_run(tmp_path).figures() == {'AP': 0.25}
