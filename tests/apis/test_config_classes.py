import json

import pytest
from mmengine.config import Config

from mmp2seg.apis.arguments import CommandError
from mmp2seg.apis.config_classes import check_class_lists, check_label_files


def loaders(classes):
    repeated = dict(type='RepeatDataset', dataset=dict(metainfo=dict(classes=classes)))
    return Config(dict(train_dataloader=dict(dataset=dict(datasets=[repeated]))))


def test_a_single_class_needs_a_comma(tmp_path):
    with pytest.raises(CommandError, match=r"metainfo: .* got the str 'cell': .* \('cell',\)"):
        check_class_lists(loaders('cell'))
    with pytest.raises(CommandError, match="'a' twice"):
        check_class_lists(loaders(['a', 'a']))
    (tmp_path / 'names.txt').write_text('cell\n')
    for classes in (('cell',), ['a', 'b'], None, str(tmp_path / 'names.txt')):
        check_class_lists(loaders(classes))


@pytest.fixture
def stage2(tmp_path):
    """Makes a config of stage 2 whose label file has categories of these names."""

    def run(*names, kind='CocoDataset', classes=('cell', 'dirt'), evaluated=None):
        for file, categories in (('labels.json', names), ('truth.json', evaluated or names)):
            entries = [dict(id=i, name=name) for i, name in enumerate(categories)]
            content = dict(images=[], annotations=[], categories=entries)
            (tmp_path / file).write_text(json.dumps(content))
        data = dict(
            type=kind,
            data_root=str(tmp_path),
            ann_file='labels.json',
            metainfo=dict(classes=classes),
        )
        return Config(
            dict(
                train_dataloader=dict(dataset=dict(type='RepeatDataset', dataset=data)),
                val_dataloader=dict(dataset=data),
                val_evaluator=dict(type='CocoMetric', ann_file=str(tmp_path / 'truth.json')),
            )
        )

    return run


@pytest.mark.parametrize('kind', ['CocoDataset', 'mmp2seg.PseudoLabelCocoDataset'])
def test_categories_are_the_classes(stage2, kind):
    check_label_files(stage2('cell', 'dirt', kind=kind))
    check_label_files(stage2('other', 'cell', 'more', 'dirt', kind=kind))
    message = r"labels\.json: .* the file has \['Cell', 'dirt'\], the config \['cell', 'dirt'\]"
    with pytest.raises(CommandError, match=message):
        check_label_files(stage2('Cell', 'dirt', kind=kind))
    with pytest.raises(CommandError, match=r"the order .*\['dirt', 'cell'\], the config \['cell'"):
        check_label_files(stage2('dirt', 'cell', kind=kind))


def test_the_file_of_the_metric_too(stage2):
    with pytest.raises(CommandError, match=r"truth\.json: .* the order .*\['dirt', 'cell'\]"):
        check_label_files(stage2('cell', 'dirt', evaluated=('dirt', 'cell')))


def test_what_is_not_mmdets_is_left_alone(stage2, tmp_path):
    check_label_files(stage2('Cell', kind='mmp2seg.PointCocoDataset', evaluated=('cell', 'dirt')))
    cfg = stage2('Cell')
    (tmp_path / 'labels.json').unlink()
    (tmp_path / 'truth.json').unlink()
    check_label_files(cfg)
    check_label_files(Config())
