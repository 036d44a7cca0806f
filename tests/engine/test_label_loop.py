import pytest
from mmengine.config import Config

from mmp2seg.apis.arguments import CommandError
from mmp2seg.apis.pseudo_labels import set_label_run
from mmp2seg.apis.runner import run_test
from mmp2seg.engine import label_loop
from mmp2seg.engine.label_loop import LabelLoop, UnfinishedSampler
from mmp2seg.evaluation.metrics import PseudoLabelWriter
from mmp2seg.pseudo_labels.shards import ImageEntries, LabelShards, shard_folder
from mmp2seg.registry import DATA_SAMPLERS, LOOPS
from mmp2seg.testing import tiny_p2seg_config, write_tiny_voc


class Points:
    """Nine images with a point each."""

    def __init__(self, moved=None):
        self.moved = moved

    def __len__(self):
        return 9

    def get_data_info(self, index):
        point = [1.0, 2.0 + (index == self.moved)]
        return dict(
            img_id=20 - index, img_path=f'{index}.jpg', seg_map_path=None,
            instances=[dict(point=point)],
        )  # fmt: skip


@pytest.fixture
def sampler(tmp_path, monkeypatch):
    def build(*, rank=0, num_processes=1, dataset=None, settings=(('a', 1),), batch_size=2):
        monkeypatch.setattr(label_loop, 'get_dist_info', lambda: (rank, num_processes))
        return UnfinishedSampler(
            dataset or Points(), outfile=str(tmp_path / 'a.json'), settings=dict(settings),
            batch_size=batch_size, seed=0,
        )  # fmt: skip

    return build


def finish(tmp_path, run, indices):
    shards = LabelShards(tmp_path / 'a.json', rank=1, run=run)
    for index in indices:
        shards.add(ImageEntries(dict(id=20 - index), [], []))
    shards.close()


def test_registered():
    assert LOOPS.get('mmp2seg.LabelLoop') is LabelLoop
    assert DATA_SAMPLERS.get('mmp2seg.UnfinishedSampler') is UnfinishedSampler


def test_each_image_once_over_all_processes(sampler):
    parts = [list(sampler(rank=rank, num_processes=4)) for rank in range(4)]
    assert parts == [[0, 4, 8], [1, 5], [2, 6], [3, 7]]


def test_only_whole_batches_are_left_out(sampler, tmp_path):
    # the batches are 01 23 45 67 8
    finish(tmp_path, sampler().run, [0, 1, 3, 4, 5, 8])
    assert list(sampler()) == [2, 3, 6, 7] and len(sampler()) == 4
    assert list(sampler(batch_size=1)) == [2, 6, 7]
    assert list(sampler(rank=1, num_processes=2)) == [5, 7]  # the batches are 13 57
    assert list(sampler(rank=0, num_processes=2)) == [0, 2, 4, 6]  # 02 46 8


@pytest.mark.parametrize('other', [dict(settings=(('a', 2),)), dict(dataset=Points(moved=3))])
def test_other_settings_or_points_start_from_the_beginning(sampler, tmp_path, other):
    finish(tmp_path, sampler().run, [0, 1])
    assert len(sampler()) == 7 and len(sampler(**other)) == 9


@pytest.fixture
def label(tmp_path):
    """Label the tiny images as ``generate_pseudo_labels.py`` does."""
    data = dict(type='mmp2seg.PointVOCDataset', **write_tiny_voc(tmp_path))
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='mmp2seg.LoadPointAnnotations', with_seg=False),
        dict(type='mmp2seg.PackPointInputs'),
    ]

    def run(name='labels', **model):
        cfg = Config(
            dict(
                default_scope='mmdet',
                work_dir=str(tmp_path / 'work'),
                model=tiny_p2seg_config(**model),
                test_dataloader=dict(dataset=dict(data, pipeline=pipeline), num_workers=0),
                test_evaluator=[],
                log_level='ERROR',
                randomness=dict(seed=0),
            )
        )
        set_label_run(cfg, split='test', outfile=str(tmp_path / f'{name}.json'))
        return run_test(cfg)

    return run


def test_an_interrupted_run_goes_on_where_it_stopped(label, tmp_path, monkeypatch):
    expected = label('whole')
    seen, process = [], PseudoLabelWriter.process

    def interrupt(self, data_batch, data_samples):
        seen.append(data_samples[0]['file_name'])
        if len(seen) == 2:
            raise KeyboardInterrupt
        process(self, data_batch, data_samples)

    monkeypatch.setattr(PseudoLabelWriter, 'process', interrupt)
    with pytest.raises(KeyboardInterrupt):
        label()
    assert not (tmp_path / 'labels.json').exists()
    assert label() == expected
    assert seen == ['img_1.jpg', 'img_2.jpg', 'img_2.jpg', 'img_3.jpg']
    assert (tmp_path / 'labels.json').read_bytes() == (tmp_path / 'whole.json').read_bytes()
    assert not shard_folder(tmp_path / 'labels.json').exists()


def test_a_second_command_for_the_same_json_ends_with_a_message(label, tmp_path):
    shards = LabelShards(tmp_path / 'labels.json')
    with pytest.raises(CommandError, match='labels.json.shards: another command is at work'):
        label()
    shards.remove()
