import os
from pathlib import Path

import pytest

from mmp2seg.apis.arguments import CommandError
from mmp2seg.experiments.kept_masks import KeptMasks
from mmp2seg.experiments.stage1_configs import load_configs, match_of
from mmp2seg.experiments.stage1_run import Stage1Run, Variant

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
FAKE_TOOL = """
import sys
from pathlib import Path
Path(sys.argv[2]).parent.mkdir(parents=True, exist_ok=True)
Path(sys.argv[2]).write_text(' '.join(sys.argv[3:]))
"""


def kept(tools='tools', **changes):
    options = dict(shares=(0, 0.05, 1), unit='object', truth='t/truth.json', tools=Path(tools))
    return KeptMasks(**{**options, **changes})


def test_every_share_of_a_config_has_its_points():
    configs = load_configs([CONFIGS / 'ablations' / 'tiny_shapes_mixed.py'])
    variants = kept().expand(configs)
    assert list(variants) == [f'tiny_shapes_mixed[masks={share}]' for share in ('0', '0.05', '1')]
    for name, share in zip(variants, ('0', '0.05', '1')):
        for key in ('train_dataloader', 'test_dataloader'):
            file = variants[name][key].dataset.ann_file
            assert file == f'supervision/object-{share}/points.json'
        assert match_of(variants[name]) == 'point_id'
    assert configs['tiny_shapes_mixed'].train_dataloader.dataset.ann_file.startswith('annotations')


def test_a_config_of_other_data_is_named():
    with pytest.raises(CommandError, match='--keep-masks: tiny_shapes: expected train_dataloader'):
        kept().expand(load_configs([CONFIGS / 'p2seg' / 'tiny_shapes.py']))


def test_the_points_are_written_once(tmp_path, capsys):
    path = tmp_path / 'tools' / 'dataset_converters' / 'instances_to_points.py'
    path.parent.mkdir(parents=True)
    path.write_text(FAKE_TOOL)
    masks = kept(tmp_path / 'tools', unit='image')
    for _ in range(2):
        masks.make({4: tmp_path / 'data'}, tmp_path / 'logs', dict(os.environ))
    output = capsys.readouterr().out
    assert output.count('done in') == output.count('finished before') == 3
    text = (tmp_path / 'data' / masks.ann_file(0.05)).read_text()
    assert text == '--rule given --keep-masks 0.05 --keep-by image --seed 4'


def test_the_same_objects_are_judged_in_all_rows():
    assert kept().unmasked == 'supervision/object-0.05/points.json'
    assert kept(shares=(1,)).unmasked == 'supervision/object-0/points.json'
    run = Stage1Run(Path('c.py'), (Variant('a', Path('a.py')),), Path('f'), 1, Path('t'))
    (judged,) = kept().judge([run])
    assert judged.unmasked == kept().unmasked
